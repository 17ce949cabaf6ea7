package leak

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/secret"
)

// Rules of noting secrets:
//
//  1. Each is noted before it is used: whoever notes one waits until it is stored.
//  2. What is noted while others are being stored is stored with the next ones, in one transaction: a provider's first
//     checks note as many at once as it has slots.
//  3. A credential is in a transaction once. Its next secret waits for the next one.

// note is the fingerprint of a secret that a credential has, and not the secret.
type note struct {
	credential  credential.Credential
	fingerprint []byte
	prefixes    [][]byte
	hmsl        []byte // nil: not kept
	now         time.Time

	id   int64         // of leak_secrets, once it is stored; 0: the credential was changed meanwhile
	err  error         // why it was not stored
	done chan struct{} // closed when it was tried
}

// noteQueue holds what waits to be stored. The zero value is empty.
type noteQueue struct {
	mu      sync.Mutex
	waiting []*note
	storing bool // somebody stores what waits, until nothing does
}

const (
	notesAtOnce = 500
	noteTime    = 2 * time.Second // that a transaction of them may take
)

// Note stores the fingerprint of the secret v that a credential has now. Where it is another than before, the one before
// counts as replaced at now. v itself is not kept. If the credential was changed since c was read, nothing is stored.
// Without a sealing key it is an error. It is cheap where nothing changed. Where ctx ends before it is stored, it may be
// stored all the same.
func (s *Store) Note(ctx context.Context, c credential.Credential, v secret.Value, now time.Time) error {
	p, err := s.prints(ctx)
	if err != nil {
		return err
	}
	if same, err := s.isKnown(ctx, c.ID, p.whole(v.Reveal())); err != nil || same {
		return err
	}
	n := s.newNote(p, c, v, now)
	s.notes.mu.Lock()
	s.notes.waiting = append(s.notes.waiting, n)
	if !s.notes.storing {
		s.notes.storing = true
		go s.storeNotes(context.WithoutCancel(ctx))
	}
	s.notes.mu.Unlock()
	select {
	case <-n.done:
		return n.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Store) newNote(p prints, c credential.Credential, v secret.Value, now time.Time) *note {
	n := &note{
		credential: c, fingerprint: p.whole(v.Reveal()), prefixes: p.prefixes(v.Reveal()), now: now, done: make(chan struct{}),
	}
	if s.hmsl.Load() {
		n.hmsl = p.ofHMSL(hmsl(v.Reveal()))
	}
	return n
}

// storeNotes stores what waits until nothing does.
func (s *Store) storeNotes(ctx context.Context) {
	for {
		ns := s.notes.next()
		if len(ns) == 0 {
			return
		}
		err := s.storeTogether(ctx, ns)
		s.mu.Lock()
		for _, n := range ns {
			if n.err = err; err == nil && n.id != 0 {
				s.known[n.credential.ID] = n.fingerprint
			}
		}
		s.mu.Unlock()
		for _, n := range ns {
			close(n.done)
		}
	}
}

// next takes the next ones that wait, each of another credential, the oldest first. Where there are none nobody stores any
// more.
func (q *noteQueue) next() (ns []*note) {
	q.mu.Lock()
	defer q.mu.Unlock()
	taken := map[int64]bool{}
	var rest []*note
	for _, n := range q.waiting {
		if id := n.credential.ID; len(ns) < notesAtOnce && !taken[id] {
			taken[id] = true
			ns = append(ns, n)
			continue
		}
		rest = append(rest, n)
	}
	q.waiting, q.storing = rest, len(ns) > 0
	return ns
}

func (s *Store) storeTogether(ctx context.Context, ns []*note) error {
	ctx, cancel := context.WithTimeout(ctx, noteTime)
	defer cancel()
	return pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		ids := make([]int64, len(ns))
		for i, n := range ns {
			ids[i] = n.credential.ID
		}
		// Whoever read the secret before it was replaced must not bring it back.
		changed, err := s.Registry.Hold(ctx, tx, ids)
		if err != nil {
			return err
		}
		var still []*note
		for _, n := range ns {
			if at, known := changed[n.credential.ID]; known && at.Equal(n.credential.Changed) {
				still = append(still, n)
			}
		}
		return noteAll(ctx, tx, still)
	})
}

const noteSQL = `
	INSERT INTO leak_secrets (credential_id, client_id, fingerprint, prefixes, hmsl, first_at) VALUES ($1, $2, $3, $4, $5, $6)
	ON CONFLICT (credential_id, fingerprint) DO UPDATE SET replaced_at = NULL, sealed = NULL, client_id = excluded.client_id,
		hmsl = coalesce(excluded.hmsl, leak_secrets.hmsl),
		dead_at = CASE WHEN leak_secrets.replaced_at IS NULL THEN leak_secrets.dead_at END,
		death = CASE WHEN leak_secrets.replaced_at IS NULL THEN leak_secrets.death END
	RETURNING id,
		EXISTS (SELECT FROM leak_sightings WHERE credential_id = $1 AND secret_id IS NULL AND sort <> 'client_id' AND settled_at IS NULL),
		EXISTS (SELECT FROM leak_secrets o WHERE o.credential_id = $1 AND o.fingerprint <> $3 AND o.replaced_at IS NULL)`

// noteAll stores notes of different credentials, and sets their ids. Most are of a first secret that nothing was found of: those
// are one statement each, in one round trip.
func noteAll(ctx context.Context, tx pgx.Tx, ns []*note) error {
	if len(ns) == 0 {
		return nil
	}
	batch, after := &pgx.Batch{}, &pgx.Batch{}
	for _, n := range ns {
		batch.Queue(noteSQL, n.credential.ID, n.credential.Subject, n.fingerprint, n.prefixes, n.hmsl, n.now).QueryRow(
			func(row pgx.Row) error {
				var found, replaces bool
				if err := row.Scan(&n.id, &found, &replaces); err != nil {
					return err
				}
				if found { // before the secret itself was known: it is about this one, which can be tried from now on
					after.Queue(foundSQL, n.credential.ID, n.id, n.now)
				}
				if replaces { // one that nobody kept, so that it cannot be tried any more
					after.Queue(`
						UPDATE leak_secrets SET replaced_at = $3, next_try_at = NULL
						WHERE credential_id = $1 AND id <> $2 AND replaced_at IS NULL`, n.credential.ID, n.id, n.now)
				}
				return nil
			})
	}
	if err := tx.SendBatch(ctx, batch).Close(); err != nil || after.Len() == 0 {
		return err
	}
	return tx.SendBatch(ctx, after).Close()
}

const foundSQL = `
	WITH about AS (
		UPDATE leak_sightings SET secret_id = $2
		WHERE credential_id = $1 AND secret_id IS NULL AND sort <> 'client_id' AND settled_at IS NULL RETURNING id)
	UPDATE leak_secrets SET next_try_at = $3 WHERE id = $2 AND dead_at IS NULL AND EXISTS (SELECT FROM about)`
