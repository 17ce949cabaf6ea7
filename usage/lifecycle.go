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

// RegisteredFunc returns, by provider, those of some client ids that somebody registered.
type RegisteredFunc func(ctx context.Context, among []string) (map[string]map[string]bool, error)

// Unregistered calls each for the client ids that feeds show and nobody registered, those that were used last first, and for
// what was created in the last 90 days without a client id being said (the newest 1000 of a provider), until each returns
// false. It reads them in pages.
func (s *Store) Unregistered(ctx context.Context, registered RegisteredFunc, each func(Unregistered) bool) error {
	for place := (unregisteredPlace{}); ; {
		page, next, err := s.unregisteredPage(ctx, place)
		if err != nil || len(page) == 0 {
			return err
		}
		ids := make([]string, len(page))
		for i, u := range page {
			ids[i] = u.ClientID
		}
		known, err := registered(ctx, ids)
		if err != nil {
			return err
		}
		for _, u := range page {
			if !known[u.Provider][u.ClientID] && !each(u) {
				return nil
			}
		}
		if len(page) < unregisteredAtOnce {
			return nil
		}
		place = next
	}
}

const unregisteredAtOnce = 500

// unregisteredPlace is a place in the order of Unregistered. The zero value is before all.
type unregisteredPlace struct {
	lastAt                      *time.Time
	clientID, provider, eventID string
}

// unregisteredPage reads the page after a place, and says where it ends. Of what providers' logs said it reads the newest, by
// the index of their providers.
func (s *Store) unregisteredPage(ctx context.Context, after unregisteredPlace) (page []Unregistered, next unregisteredPlace, err error) {
	rows, err := s.Pool.Query(ctx, `
		SELECT * FROM (
			SELECT provider, client_id, events, first_at, last_at, last_address, created_at, created_by, '' AS event_id
			FROM usage_unregistered
			UNION ALL
			SELECT f.provider, '', 0, l.at, l.at, NULL, l.at, l.actor, l.event_id
			FROM (SELECT DISTINCT provider FROM usage_feeds) f CROSS JOIN LATERAL (
				SELECT at, actor, event_id FROM usage_lifecycle
				WHERE provider = f.provider AND action = 'created' AND client_id = '' AND at > now() - interval '90 days'
				ORDER BY at DESC LIMIT $6) l) u
		WHERE $1::timestamptz IS NULL OR last_at < $1 OR last_at = $1 AND (client_id, provider, event_id) > ($2, $3, $4)
		ORDER BY last_at DESC, client_id, provider, event_id LIMIT $5`,
		after.lastAt, after.clientID, after.provider, after.eventID, unregisteredAtOnce, maxUnregistered)
	if err != nil {
		return nil, next, err
	}
	page, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (u Unregistered, err error) {
		var (
			address *netip.Addr
			created *time.Time
		)
		err = row.Scan(&u.Provider, &u.ClientID, &u.Events, &u.FirstAt, &u.LastAt, &address, &created, &u.CreatedBy, &next.eventID)
		if address != nil {
			u.Address = *address
		}
		if created != nil {
			u.CreatedAt = *created
		}
		next.lastAt, next.clientID, next.provider = &u.LastAt, u.ClientID, u.Provider
		return u, err
	})
	return page, next, err
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
