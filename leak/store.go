package leak

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"strconv"
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
	notes noteQueue
}

// Registry is what a Store asks of the credentials (package registry).
type Registry interface {
	// Read returns a credential, retired or not.
	Read(ctx context.Context, tx pgx.Tx, id int64) (credential.Credential, error)
	// Hold returns when credentials were last changed, by id, and nobody changes them until the transaction ends.
	Hold(ctx context.Context, tx pgx.Tx, ids []int64) (map[int64]time.Time, error)
	// WithClientID returns the numbers of the credentials that have one of these client ids and are not retired.
	WithClientID(ctx context.Context, clientIDs []string) ([]int64, error)
}

// StoreOptions are options of a Store. Pool and Registry are required.
type StoreOptions struct {
	Pool     *pgxpool.Pool
	Registry Registry
	Sealer   Sealer // seals former secrets and the key of the fingerprints; nil: without both, only scans find anything
}

// NewStore returns a Store. It does not speak to the database yet.
func NewStore(o StoreOptions) *Store {
	return &Store{StoreOptions: o}
}

// WantHMSL says whether GitGuardian's hashes are kept, which cost some milliseconds a secret. At first they are not. It
// is safe to call at any time.
func (s *Store) WantHMSL(want bool) { s.hmsl.Store(want) }

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

// Keep stores the secret that is about to be replaced, sealed, so that its death can be proven, and has it tried from now
// on. Call it in the transaction that replaces the secret. It is forgotten when it is proven dead, or after 30 days if
// there is no evidence that it got out. worked says whether it was ever seen to work: refusals of one that was not, and did not get
// out, prove nothing, and it is forgotten after them.
func (s *Store) Keep(ctx context.Context, tx pgx.Tx, c credential.Credential, old secret.Value, worked bool, now time.Time) error {
	p, err := s.prints(ctx)
	if err != nil {
		return err
	}
	n := s.newNote(p, c, old, now)
	if err := noteAll(ctx, tx, []*note{n}); err != nil {
		return err
	}
	sealer, err := s.Sealer.Hold(ctx, tx)
	if err != nil {
		return err
	}
	sealed, err := sealer.Seal(old, sealName(c.ID, p.whole(old.Reveal())))
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		UPDATE leak_secrets SET replaced_at = $2, sealed = $3, next_try_at = $2, refused_at = '{}', worked = coalesce(worked, false) OR $4
		WHERE id = $1 AND dead_at IS NULL`, n.id, now, sealed, worked)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.known, c.ID)
	return err
}

func sealName(credentialID int64, print []byte) string {
	return formerName(strconv.FormatInt(credentialID, 10), hex.EncodeToString(print))
}

// SecretRow is what is stored of a secret that a credential has or had.
type SecretRow struct {
	ID           int64
	CredentialID int64
	ClientID     string      // that the secret goes with
	First        time.Time   // when keyrounds first saw it
	Replaced     time.Time   // zero: it is the present one
	Kept         bool        // keyrounds has it, sealed
	Leaked       bool        // there is evidence that it got out, which stays so when it is dead; no false alarm
	NeverWorked  bool        // it was replaced, and never seen to work: a mistyped one, perhaps
	Works        *bool       // what the last attempt or check that says so saw; nil: none did
	WorksAt      time.Time   // when
	Refused      []time.Time // since it last worked
	NextTry      time.Time   // zero: it is not watched
	Dead         time.Time   // zero: not proven

	sealed, print []byte
}

const secretColumns = `s.id, s.credential_id, s.client_id, s.first_at, s.replaced_at, s.sealed, s.fingerprint,
	s.works, s.works_at, s.refused_at, s.next_try_at, s.dead_at, s.worked IS FALSE,
	EXISTS (SELECT FROM leak_sightings g WHERE g.secret_id = s.id AND (g.settled_at IS NULL OR g.settled_at >= s.dead_at))`

func scanSecret(row pgx.CollectableRow) (r SecretRow, err error) {
	var replaced, worksAt, next, dead *time.Time
	err = row.Scan(&r.ID, &r.CredentialID, &r.ClientID, &r.First, &replaced, &r.sealed, &r.print,
		&r.Works, &worksAt, &r.Refused, &next, &dead, &r.NeverWorked, &r.Leaked)
	r.Replaced, r.WorksAt, r.NextTry, r.Dead, r.Kept = orZero(replaced), orZero(worksAt), orZero(next), orZero(dead), r.sealed != nil
	return r, err
}

// GivenUp reports whether nothing more will be known of a secret that never worked: it was refused, and is not kept any more.
func (r SecretRow) GivenUp() bool {
	return r.NeverWorked && !r.Leaked && !r.Kept && !r.Replaced.IsZero() && r.Dead.IsZero()
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
