package usage

import (
	"cmp"
	"context"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/secret"
	"github.com/keyrounds/keyrounds/usage/feed"
)

// Rules of whose use it is, of the credentials with its client id, where the event names a key:
//
//  1. Of those whose key_id it is, as they say, or as our own check with their secret showed in the feed.
//  2. Else of those that do not say which key theirs is, or whose key no feed ever showed, as after a rotation that left
//     key_id as it was: a key that was not seen before may be anybody's, and a use too many is better than one too few.
//  3. Else it is a key that no credential has.

// client is a client id that events name, with its credentials and keys.
type client struct {
	credentials []credential.Credential
	owners      map[string]int64 // of keys that our own checks showed, by key id
	seen        map[string]bool  // keys that feeds showed so far, in lower case
}

// holders are the credentials whose use an event is that names a key, or none ("").
func (c *client) holders(keyID string) []credential.Credential {
	if keyID == "" || len(c.credentials) == 0 {
		return c.credentials
	}
	var its, open []credential.Credential
	for _, cred := range c.credentials {
		switch {
		case cred.KeyID != "" && same(cred.KeyID, keyID), c.owners[canonical(keyID)] == cred.ID:
			its = append(its, cred)
		case cred.KeyID == "" || !c.seen[canonical(cred.KeyID)]:
			open = append(open, cred)
		}
	}
	if len(its) > 0 {
		return its
	}
	return open
}

// guid is how Microsoft names clients and keys, in either case.
var guid = regexp.MustCompile(`^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$`)

// canonical is one spelling of an id.
func canonical(id string) string {
	if guid.MatchString(id) {
		return strings.ToLower(id)
	}
	return id
}

// same reports whether two ids are one.
func same(a, b string) bool { return canonical(a) == canonical(b) }

// spellings are the ids that may stand for one in the registry.
func spellings(id string) []string {
	if !guid.MatchString(id) {
		return []string{id}
	}
	return slices.Compact([]string{strings.ToLower(id), id, strings.ToUpper(id)})
}

type keyKey struct{ client, key string }

type keyRow struct {
	uses        int64
	first, last time.Time
	owner       int64     // the credential whose own check had it; 0: none did
	learned     time.Time // when
}

func (t *tally) key(e *feed.Event) *keyRow {
	k := keyKey{e.ClientID, e.KeyID}
	r := t.keys[k]
	if r == nil {
		r = &keyRow{}
		t.keys[k] = r
	}
	return r
}

// useKey folds the key that a use by others names.
func (in *intake) useKey(e *feed.Event) {
	t := in.tally
	if known := in.clients[e.ClientID]; known != nil && e.KeyID != "" {
		known.seen[canonical(e.KeyID)] = true
	}
	if e.KeyID == "" || !e.OK || len(t.keys) >= flushAt {
		return
	}
	r := t.key(e)
	r.uses += e.Times()
	if r.first.IsZero() || e.At.Before(r.first) {
		r.first = e.At
	}
	r.last = later(r.last, e.At)
}

// learnKey notes that our own check of a credential showed its key. What was learned from an event of before its secret
// was changed here is not its key any more.
func (in *intake) learnKey(c *credential.Credential, e *feed.Event) {
	if e.KeyID == "" || !e.OK || e.At.Before(c.Changed) || len(in.tally.keys) >= flushAt {
		return
	}
	if r := in.tally.key(e); !e.At.Before(r.learned) {
		r.owner, r.learned = c.ID, e.At
	}
	if known := in.clients[e.ClientID]; known != nil {
		known.seen[canonical(e.KeyID)] = true
		known.own(e.KeyID, c.ID)
	}
}

// own notes whose key it is, which is the only one of its credential.
func (c *client) own(key string, owner int64) {
	for k, o := range c.owners {
		if o == owner {
			delete(c.owners, k)
		}
	}
	c.owners[canonical(key)] = owner
}

// loadKeys reads which credentials the keys of clients are of. What was learned before a secret was changed is forgotten.
func (in *intake) loadKeys(ctx context.Context, clientIDs []string) error {
	rows, err := in.tx.Query(ctx, `
		SELECT client_id, key_id, coalesce(credential_id, 0), coalesce(learned_at, 'epoch'::timestamptz) FROM usage_keys
		WHERE provider = $1 AND client_id = ANY($2) ORDER BY learned_at NULLS FIRST`, in.feed.Provider, clientIDs)
	if err != nil {
		return err
	}
	var (
		id, key string
		owner   int64
		learned time.Time
	)
	_, err = pgx.ForEachRow(rows, []any{&id, &key, &owner, &learned}, func() error {
		known := in.clients[id]
		if known == nil {
			return nil
		}
		known.seen[canonical(key)] = true
		for _, c := range known.credentials {
			if c.ID == owner && !learned.Before(c.Changed) {
				known.own(key, owner)
			}
		}
		return nil
	})
	return err
}

func (in *intake) saveKeys(ctx context.Context) error {
	keys := sortedKeys(in.tally.keys, func(a, b keyKey) int {
		return cmp.Or(strings.Compare(a.client, b.client), strings.Compare(a.key, b.key))
	})
	batch := &pgx.Batch{}
	for _, k := range keys {
		r := in.tally.keys[k]
		var owner *int64
		if r.owner != 0 {
			owner = &r.owner
		}
		batch.Queue(`
			INSERT INTO usage_keys AS u (provider, client_id, key_id, uses, first_at, last_at, credential_id, learned_at)
			SELECT $1, $2, $3, $4, $5, $6, $7, $8 WHERE (SELECT count(*) FROM usage_keys WHERE provider = $1 AND client_id = $2) < $9
				OR EXISTS (SELECT FROM usage_keys WHERE provider = $1 AND client_id = $2 AND key_id = $3)
			ON CONFLICT (provider, client_id, key_id) DO UPDATE SET uses = u.uses + excluded.uses,
				first_at = least(u.first_at, excluded.first_at), last_at = greatest(u.last_at, excluded.last_at),
				credential_id = CASE WHEN excluded.learned_at >= coalesce(u.learned_at, excluded.learned_at)
					THEN excluded.credential_id ELSE u.credential_id END,
				learned_at = greatest(u.learned_at, excluded.learned_at)`,
			in.feed.Provider, secret.Scrubber{}.Clean(k.client, 512), secret.Scrubber{}.Clean(k.key, 200), r.uses,
			nullTime(r.first), nullTime(r.last), owner, nullTime(r.learned), maxKeys)
	}
	return in.tx.SendBatch(ctx, batch).Close()
}

const maxKeys = 100 // of a client

// Key is a key of a client that feeds showed.
type Key struct {
	KeyID   string     `json:"key_id"`
	Uses    int64      `json:"uses"` // by others
	FirstAt *time.Time `json:"first_at"`
	LastAt  *time.Time `json:"last_at"`
	Own     bool       `json:"own"` // it is the credential's
}

// Keys lists the keys of a credential's client that feeds showed, the one that was used last first, at most 100.
func (s *Store) Keys(ctx context.Context, q Querier, c credential.Credential) ([]Key, error) {
	rows, err := q.Query(ctx, `
		SELECT key_id, uses, first_at, last_at,
			CASE WHEN $4 <> '' THEN key_id = $4 ELSE credential_id IS NOT DISTINCT FROM $3 AND learned_at >= $5 END
		FROM usage_keys WHERE provider = $1 AND client_id = $2 ORDER BY last_at DESC NULLS LAST, key_id LIMIT 100`,
		c.Provider, c.Subject, c.ID, c.KeyID, c.Changed)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (k Key, err error) {
		var own *bool
		err = row.Scan(&k.KeyID, &k.Uses, &k.FirstAt, &k.LastAt, &own)
		k.Own = own != nil && *own
		return k, err
	})
}
