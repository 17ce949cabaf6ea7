package leak

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/leak/scan"
	"github.com/keyrounds/keyrounds/secret"
)

// Store keeps in Postgres what is known of secrets: fingerprints, evidence, attempts, proofs, and also what scans and
// reporters did. It keeps a former secret itself only sealed. It is safe for concurrent use, also by several replicas.
type Store struct {
	StoreOptions

	hmsl  atomic.Bool
	mu    sync.Mutex
	key   []byte
	known map[int64][]byte // the fingerprint that a credential was last seen with; nil: not read yet
}

// Registry is what a Store asks of the credentials (package registry).
type Registry interface {
	// Read returns a credential, retired or not.
	Read(ctx context.Context, tx pgx.Tx, id int64) (credential.Credential, error)
	// Hold is Read, and nobody changes the credential until the transaction ends.
	Hold(ctx context.Context, tx pgx.Tx, id int64) (credential.Credential, error)
	// WithClientID returns the numbers of the credentials that have one of these client ids and are not retired.
	WithClientID(ctx context.Context, clientIDs []string) ([]int64, error)
}

// StoreOptions are options of a Store. Pool and Registry are required.
type StoreOptions struct {
	Pool     *pgxpool.Pool
	Registry Registry
	Sealer   *secret.Sealer // seals former secrets and the key of the fingerprints; nil: without both, only scans find anything
}

// NewStore returns a Store. It does not speak to the database yet.
func NewStore(o StoreOptions) *Store {
	return &Store{StoreOptions: o}
}

// WantHMSL says whether GitGuardian's hashes are kept, which cost some milliseconds a secret. At first they are not. It
// is safe to call at any time.
func (s *Store) WantHMSL(want bool) { s.hmsl.Store(want) }

// Note stores the fingerprint of the secret v that a credential has now. Where it is another than before, the one before
// counts as replaced at now. v itself is not kept. If the credential was changed since c was read, nothing is stored.
// Without a sealing key it is an error. It is cheap where nothing changed.
func (s *Store) Note(ctx context.Context, c credential.Credential, v secret.Value, now time.Time) error {
	p, err := s.prints(ctx)
	if err != nil {
		return err
	}
	print := p.whole(v.Reveal())
	if same, err := s.isKnown(ctx, c.ID, print); err != nil || same {
		return err
	}
	tx, err := s.Pool.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	// Whoever read the secret before it was replaced must not bring it back.
	held, err := s.Registry.Hold(ctx, tx, c.ID)
	if err != nil || !held.Changed.Equal(c.Changed) {
		return err
	}
	if _, err := s.note(ctx, tx, p, c, v.Reveal(), now); err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known[c.ID] = print
	return nil
}

// isKnown reports whether a credential's secret is the one that it was last seen with. What is known is read once:
// a process that asks about every credential would otherwise need a transaction for each.
func (s *Store) isKnown(ctx context.Context, id int64, print []byte) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil {
		rows, err := s.Pool.Query(ctx, `
			SELECT credential_id, fingerprint FROM leak_secrets
			WHERE replaced_at IS NULL AND (hmsl IS NOT NULL OR NOT $1)`, s.hmsl.Load())
		if err != nil {
			return false, err
		}
		known := map[int64][]byte{}
		var (
			of int64
			is []byte
		)
		if _, err := pgx.ForEachRow(rows, []any{&of, &is}, func() error { known[of] = slices.Clone(is); return nil }); err != nil {
			return false, err
		}
		s.known = known
	}
	return bytes.Equal(s.known[id], print), nil
}

func (s *Store) note(ctx context.Context, tx pgx.Tx, p prints, c credential.Credential, value string, now time.Time) (id int64, err error) {
	var hash []byte
	if s.hmsl.Load() {
		hash = p.ofHMSL(hmsl(value))
	}
	print := p.whole(value)
	err = tx.QueryRow(ctx, `
		INSERT INTO leak_secrets (credential_id, client_id, fingerprint, prefixes, hmsl, first_at) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (credential_id, fingerprint) DO UPDATE SET replaced_at = NULL, sealed = NULL, client_id = excluded.client_id,
			hmsl = coalesce(excluded.hmsl, leak_secrets.hmsl),
			dead_at = CASE WHEN leak_secrets.replaced_at IS NULL THEN leak_secrets.dead_at END,
			death = CASE WHEN leak_secrets.replaced_at IS NULL THEN leak_secrets.death END
		RETURNING id`, c.ID, c.ClientID, print, p.prefixes(value), hash, now).Scan(&id)
	if err != nil {
		return 0, err
	}
	// What was found before the secret itself was known is about this one, and it can be tried from now on.
	_, err = tx.Exec(ctx, `
		WITH about AS (
			UPDATE leak_sightings SET secret_id = $2
			WHERE credential_id = $1 AND secret_id IS NULL AND sort <> 'client_id' AND settled_at IS NULL RETURNING id)
		UPDATE leak_secrets SET next_try_at = $3 WHERE id = $2 AND dead_at IS NULL AND EXISTS (SELECT FROM about)`, c.ID, id, now)
	if err != nil {
		return 0, err
	}
	// A secret that another one replaced, and that nobody kept, cannot be tried any more.
	_, err = tx.Exec(ctx, `
		UPDATE leak_secrets SET replaced_at = $3, next_try_at = NULL
		WHERE credential_id = $1 AND id <> $2 AND replaced_at IS NULL`, c.ID, id, now)
	return id, err
}

// Keep stores the secret that is about to be replaced, sealed, so that its death can be proven, and has it tried from now
// on. Call it in the transaction that replaces the secret. It is forgotten when it is proven dead, or after 30 days if
// there is no evidence that it got out.
func (s *Store) Keep(ctx context.Context, tx pgx.Tx, c credential.Credential, old secret.Value, now time.Time) error {
	p, err := s.prints(ctx)
	if err != nil {
		return err
	}
	id, err := s.note(ctx, tx, p, c, old.Reveal(), now)
	if err != nil {
		return err
	}
	sealed, err := s.Sealer.Seal(old, sealName(c.ID, p.whole(old.Reveal())))
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		UPDATE leak_secrets SET replaced_at = $2, sealed = $3, next_try_at = $2, refused_at = '{}'
		WHERE id = $1 AND dead_at IS NULL`, id, now, sealed)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.known, c.ID)
	return err
}

func sealName(credentialID int64, print []byte) string {
	return fmt.Sprintf("former secret %d %s", credentialID, hex.EncodeToString(print))
}

// SecretRow is what is stored of a secret that a credential has or had.
type SecretRow struct {
	ID           int64
	CredentialID int64
	ClientID     string      // that the secret goes with
	First        time.Time   // when keyrounds first saw it
	Replaced     time.Time   // zero: it is the present one
	Kept         bool        // keyrounds has it, sealed
	Leaked       bool        // there is evidence that it got out
	Works        *bool       // what the last attempt or check that says so saw; nil: none did
	WorksAt      time.Time   // when
	Refused      []time.Time // since it last worked
	NextTry      time.Time   // zero: it is not watched
	Dead         time.Time   // zero: not proven

	sealed, print []byte
}

const secretColumns = `s.id, s.credential_id, s.client_id, s.first_at, s.replaced_at, s.sealed, s.fingerprint,
	s.works, s.works_at, s.refused_at, s.next_try_at, s.dead_at,
	EXISTS (SELECT FROM leak_sightings g WHERE g.secret_id = s.id AND g.settled_at IS NULL)`

func scanSecret(row pgx.CollectableRow) (r SecretRow, err error) {
	var replaced, worksAt, next, dead *time.Time
	err = row.Scan(&r.ID, &r.CredentialID, &r.ClientID, &r.First, &replaced, &r.sealed, &r.print,
		&r.Works, &worksAt, &r.Refused, &next, &dead, &r.Leaked)
	r.Replaced, r.WorksAt, r.NextTry, r.Dead, r.Kept = orZero(replaced), orZero(worksAt), orZero(next), orZero(dead), r.sealed != nil
	return r, err
}

func orZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

// Secrets lists the secrets of a credential, the present one last; of every credential, by its id, with credentialID 0.
func (s *Store) Secrets(ctx context.Context, credentialID int64) ([]SecretRow, error) {
	rows, err := s.Pool.Query(ctx, `
		SELECT `+secretColumns+` FROM leak_secrets s
		WHERE $1 = 0 OR s.credential_id = $1 ORDER BY s.credential_id, s.replaced_at NULLS LAST, s.id`, credentialID)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanSecret)
}

// Known returns the ids of the credentials whose present secret has a fingerprint: reports can be held against it.
func (s *Store) Known(ctx context.Context) (map[int64]bool, error) {
	rows, err := s.Pool.Query(ctx, `SELECT DISTINCT credential_id FROM leak_secrets WHERE replaced_at IS NULL`)
	if err != nil {
		return nil, err
	}
	known := map[int64]bool{}
	var id int64
	_, err = pgx.ForEachRow(rows, []any{&id}, func() error { known[id] = true; return nil })
	return known, err
}

// Former returns the replaced secrets that are kept, as terms for a scan, by the id of their credential, whose name the
// caller fills in. One that cannot be opened is an error.
func (s *Store) Former(ctx context.Context) (map[int64][]scan.Term, error) {
	rows, err := s.Secrets(ctx, 0)
	if err != nil {
		return nil, err
	}
	all := map[int64][]scan.Term{}
	for _, r := range rows {
		if !r.Kept {
			continue
		}
		v, err := s.open(r)
		if err != nil {
			return nil, err
		}
		all[r.CredentialID] = append(all[r.CredentialID], scan.Term{
			Kind: scan.Secret, Value: v.Reveal(), Partner: r.ClientID, Former: true, Secret: r.ID,
		})
	}
	return all, nil
}

func (s *Store) open(r SecretRow) (secret.Value, error) {
	if s.Sealer == nil {
		return secret.Value{}, errors.New("no sealing key is configured")
	}
	return s.Sealer.Open(r.sealed, sealName(r.CredentialID, r.print))
}

// Reread returns what is stored of a secret now. A secret that does not exist is pgx.ErrNoRows.
func (s *Store) Reread(ctx context.Context, r SecretRow) (SecretRow, error) {
	rows, err := s.Pool.Query(ctx, `SELECT `+secretColumns+` FROM leak_secrets s WHERE s.id = $1`, r.ID)
	if err != nil {
		return r, err
	}
	return pgx.CollectExactlyOneRow(rows, scanSecret)
}

// HasFingerprint reports whether v is the secret that r is about, by its fingerprint.
func (s *Store) HasFingerprint(ctx context.Context, r SecretRow, v secret.Value) (bool, error) {
	p, err := s.prints(ctx)
	return err == nil && bytes.Equal(r.print, p.whole(v.Reveal())), err
}

// SecretByValue returns what is stored of the secret v of a credential, the present one or a former one. ok is false
// where the credential never had it.
func (s *Store) SecretByValue(ctx context.Context, credentialID int64, v secret.Value) (r SecretRow, ok bool, err error) {
	p, err := s.prints(ctx)
	if err != nil {
		return r, false, err
	}
	print := p.whole(v.Reveal())
	rows, err := s.Secrets(ctx, credentialID)
	for _, r := range rows {
		if bytes.Equal(r.print, print) {
			return r, true, err
		}
	}
	return r, false, err
}
