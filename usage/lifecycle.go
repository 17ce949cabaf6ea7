package usage

import (
	"context"
	"encoding/hex"
	"net/netip"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/secret"
	"github.com/keyrounds/keyrounds/usage/feed"
)

// Lifecycle is what a provider's own log says was done to a credential.
type Lifecycle struct {
	Provider     string    `json:"provider"`
	EventID      string    `json:"event_id"`
	At           time.Time `json:"at"`
	Action       feed.Kind `json:"action"`    // Created, Changed or Revoked
	ClientID     string    `json:"client_id"` // "": the log does not say
	CredentialID int64     `json:"-"`         // 0: none of ours, or not said
	Actor        string    `json:"actor"`
	Feed         string    `json:"feed"`
}

// Unregistered is a client id that feeds show and nobody registered. Where the provider's log says that a
// credential was created, and not which, the client id is empty and CreatedAt is given.
type Unregistered struct {
	Provider  string     `json:"provider"`
	ClientID  string     `json:"client_id"`
	Events    int64      `json:"events"`
	FirstAt   time.Time  `json:"first_at"`
	LastAt    time.Time  `json:"last_at"`
	Address   netip.Addr `json:"last_address,omitzero"`
	CreatedAt time.Time  `json:"created_at,omitzero"`
	CreatedBy string     `json:"created_by,omitempty"`
}

const maxActor = 200

// foldLifecycle takes down a lifecycle event.
func (in *intake) foldLifecycle(e feed.Event) {
	c := secret.Scrubber{}
	l := Lifecycle{
		Provider: in.feed.Provider, EventID: c.Clean(e.ID, 200), At: e.At, Action: e.Kind, ClientID: c.Clean(e.ClientID, 512),
		Actor: c.Clean(e.Actor, maxActor), Feed: in.feed.Name,
	}
	if l.EventID == "" {
		l.EventID = hex.EncodeToString(keyOf(e, false))
	}
	if cs := in.of(e.ClientID); len(cs) > 0 {
		l.CredentialID = cs[0].ID
		in.tally.touch(&cs[0])
	} else if e.Kind == feed.Created && l.ClientID != "" {
		u := in.foldUnregistered(e)
		u.Events--
		u.CreatedAt, u.CreatedBy = e.At, l.Actor
	}
	in.tally.lifecycle = append(in.tally.lifecycle, l)
}

// Client ids that nobody registered are listed up to so many in a provider.
const maxUnregistered = 1000

func (in *intake) foldUnregistered(e feed.Event) *Unregistered {
	id := secret.Scrubber{}.Clean(e.ClientID, 512)
	u := in.tally.unregistered[id]
	if u == nil {
		u = &Unregistered{Provider: in.feed.Provider, ClientID: id, FirstAt: e.At}
		if len(in.tally.unregistered) < maxUnregistered {
			in.tally.unregistered[id] = u
		}
	}
	u.Events++
	if e.At.Before(u.FirstAt) {
		u.FirstAt = e.At
	}
	if !e.At.Before(u.LastAt) {
		u.LastAt, u.Address = e.At, e.Address
	}
	return u
}

// Unregistered lists the client ids that feeds show and nobody registered meanwhile, those that were
// used last first, at most limit, and what was created lately without a client id being said. registered are those that are, by provider.
func (s *Store) Unregistered(ctx context.Context, registered map[string]map[string]bool, limit int) ([]Unregistered, error) {
	rows, err := s.Pool.Query(ctx, `
		SELECT provider, client_id, events, first_at, last_at, last_address, created_at, created_by FROM usage_unregistered
		UNION ALL
		SELECT provider, '', 0, at, at, NULL, at, actor FROM usage_lifecycle l
		WHERE action = 'created' AND client_id = '' AND at > now() - interval '90 days'
		ORDER BY 5 DESC, 2`)
	if err != nil {
		return nil, err
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (u Unregistered, err error) {
		var (
			address *netip.Addr
			created *time.Time
		)
		err = row.Scan(&u.Provider, &u.ClientID, &u.Events, &u.FirstAt, &u.LastAt, &address, &created, &u.CreatedBy)
		if address != nil {
			u.Address = *address
		}
		if created != nil {
			u.CreatedAt = *created
		}
		return u, err
	})
	if err != nil {
		return nil, err
	}
	var list []Unregistered
	for _, u := range all {
		if !registered[u.Provider][u.ClientID] && len(list) < limit {
			list = append(list, u)
		}
	}
	return list, nil
}

// Revocation is a provider's own word that a credential was revoked.
type Revocation struct {
	At    time.Time
	Actor string
	Feed  string
}

// Revocations returns, of these credentials, the last time that the provider's own log says they were
// revoked, and, of the provider, those since a time that do not say of which credential.
func (s *Store) Revocations(
	ctx context.Context, tx pgx.Tx, provider string, credentialIDs []int64, since time.Time,
) (of map[int64]Revocation, unsaid []Revocation, err error) {
	rows, err := tx.Query(ctx, `
		SELECT DISTINCT ON (credential_id) credential_id, at, actor, feed FROM usage_lifecycle
		WHERE credential_id = ANY($1) AND action = 'revoked' ORDER BY credential_id, at DESC`, credentialIDs)
	if err != nil {
		return nil, nil, err
	}
	of = map[int64]Revocation{}
	var (
		id int64
		r  Revocation
	)
	if _, err = pgx.ForEachRow(rows, []any{&id, &r.At, &r.Actor, &r.Feed}, func() error { of[id] = r; return nil }); err != nil {
		return nil, nil, err
	}
	rows, err = tx.Query(ctx, `
		SELECT at, actor, feed FROM usage_lifecycle
		WHERE provider = $1 AND at >= $2 AND action = 'revoked' AND client_id = '' ORDER BY at DESC LIMIT 100`, provider, since)
	if err != nil {
		return nil, nil, err
	}
	unsaid, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Revocation])
	return of, unsaid, err
}

// History returns what providers' own logs say of a credential, the newest first.
func (s *Store) History(ctx context.Context, credentialID int64, limit int) ([]Lifecycle, error) {
	rows, err := s.Pool.Query(ctx, `
		SELECT provider, event_id, at, action, client_id, coalesce(credential_id, 0), actor, feed
		FROM usage_lifecycle WHERE credential_id = $1 ORDER BY at DESC LIMIT $2`, credentialID, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Lifecycle])
}
