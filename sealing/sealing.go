// Package sealing keeps the sealing key of an installation and its database together.
//
// The key is in a file, never in the database; the database knows which key that is, so that another one, or a new one, never
// takes its place in silence. What is sealed is kept by the stores that own it.
package sealing

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/keyrounds/keyrounds/secret"
)

// Rules of the key, in this order:
//
//  1. Whoever seals holds the row of the current key until the transaction ends (Hold). So when another key has become the
//     current one nothing more is sealed with the one before, and what is counted then is all that there is.
//  2. A key is made only where nothing is sealed. Where something is, the key that the database names is found, or it is an error.
//  3. A key leaves the file when the database has nothing more that needs it, and that is committed.

// Store keeps things sealed: the credentials their secrets, the leaks former secrets and more.
type Store interface {
	// SealedWith counts what is sealed: how many, by what it is and by the ID of the key.
	SealedWith(ctx context.Context, tx pgx.Tx) (map[string]map[string]int, error)
	// AnySealed reports whether anything is.
	AnySealed(ctx context.Context, tx pgx.Tx) (bool, error)
	// Reseal seals anew, by reseal, up to limit things that one of the keys from sealed, without those that skip names. done
	// is how many; failed names those that reseal could not. name is what the thing was sealed for.
	Reseal(ctx context.Context, tx pgx.Tx, from, skip []string, limit int, reseal Reseal) (done int, failed []string, err error)
	// Abandon forgets what the key of that ID sealed, and returns how many things that was.
	Abandon(ctx context.Context, tx pgx.Tx, id string) (int, error)
}

// Reseal opens what is sealed for a name and seals it with the current key.
type Reseal = func(sealed []byte, name string) ([]byte, error)

// Options are options of New. Pool and File are required.
type Options struct {
	Pool *pgxpool.Pool
	File secret.KeyFile
	// Make lets the file be made, where nothing is sealed.
	Make bool
	// Dir is called before the file is written, and says why nothing may be written there; nil: it may.
	Dir func() error
	// Record writes into the record, in tx; nil: nobody does.
	Record func(ctx context.Context, tx pgx.Tx, actor, action string, detail any) error
	Now    func() time.Time // default time.Now
}

// Keeper seals and opens with the key of the installation. It reads the file when it needs a key that it has not read yet, so
// that a key that is put there is found without a restart. It is safe for concurrent use.
type Keeper struct {
	Options
	stores []Store
	batch  int // things that are sealed anew in one transaction

	mu   sync.Mutex
	keys map[string]*secret.Sealer // all that were read: what was sealed a moment ago opens, whatever the file has now
	// reading is held while the file is read, which may wait for a KMS.
	reading sync.Mutex
	read    *reading
	stop    func(step string) error // for tests: ends a rotation as if it were killed there; nil: never
}

// reading is the last time that the file was read.
type reading struct {
	file stamp
	at   time.Time
	keys *secret.Keyset
	err  error
}

// stamp tells whether a file was changed. The zero value: there is none.
type stamp struct {
	changed time.Time
	size    int64
	mode    fs.FileMode
	inode   uint64
}

// readAgain is after how long a file that could not be read is read again, though it was not changed.
const readAgain = 5 * time.Second

// New makes a Keeper of what stores keep. It reads nothing yet.
func New(o Options, stores ...Store) *Keeper {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Dir == nil {
		o.Dir = func() error { return nil }
	}
	if o.Record == nil {
		o.Record = func(context.Context, pgx.Tx, string, string, any) error { return nil }
	}
	return &Keeper{Options: o, stores: stores, batch: 500, keys: map[string]*secret.Sealer{}}
}

// Over adds stores; call it before anything else.
func (k *Keeper) Over(stores ...Store) { k.stores = append(k.stores, stores...) }

// Open opens what was sealed for a name; the caller wipes it. Errors wrap secret.ErrUnreadable; *secret.MissingKeyError: the
// file has not the key.
func (k *Keeper) Open(sealed []byte, name string) (secret.Value, error) {
	id := secret.SealedWith(sealed)
	if id == "" {
		return secret.Value{}, fmt.Errorf("open the sealed secret: %w: nothing that was sealed", secret.ErrUnreadable)
	}
	s, err := k.sealer(id)
	if err != nil {
		return secret.Value{}, err
	}
	return s.Open(sealed, name)
}

func (k *Keeper) sealer(id string) (*secret.Sealer, error) {
	if s := k.known(id); s != nil {
		return s, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, err := k.readFile(ctx)
	switch s := k.known(id); {
	case s != nil:
		return s, nil
	case err != nil && !secret.Missing(err):
		return nil, fmt.Errorf("%w: sealed with key %s, and that cannot be read: %w", secret.ErrUnreadable, id, err)
	default:
		return nil, &secret.MissingKeyError{ID: id, Path: k.File.Path}
	}
}

func (k *Keeper) known(id string) *secret.Sealer {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.keys[id]
}

// readFile reads the keys, unless the file is what it was when it was last read: a KMS is not asked again for what is known.
func (k *Keeper) readFile(ctx context.Context) (*secret.Keyset, error) {
	k.reading.Lock()
	defer k.reading.Unlock()
	var now stamp
	if st, err := os.Stat(k.File.Path); err == nil {
		now = stamp{st.ModTime(), st.Size(), st.Mode(), inode(st)}
	}
	if r := k.read; r != nil && r.file == now && (r.err == nil || k.Now().Sub(r.at) < readAgain) {
		return r.keys, r.err
	}
	keys, err := k.File.Read(ctx)
	k.read = &reading{now, k.Now(), keys, err}
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, id := range keys.IDs() {
		if s := keys.Sealer(id); s != nil {
			k.keys[id] = s
		}
	}
	return keys, nil
}

// fresh returns the keys of the file as it is now, nil where there is none.
func (k *Keeper) fresh(ctx context.Context) (*secret.Keyset, error) {
	keys, err := k.readFile(ctx)
	if secret.Missing(err) {
		return nil, nil
	}
	return keys, err
}

// Hold returns what seals in tx, which must be what stores it. Until tx ends no other key becomes the current one. Where nothing
// is sealed it makes the key if there is none, and Options.Make allows that. *secret.MissingKeyError: something is
// sealed with a key that the file has not.
func (k *Keeper) Hold(ctx context.Context, tx pgx.Tx) (*secret.Sealer, error) {
	shared, err := tx.Begin(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = shared.Rollback(ctx) }()
	c, err := current(ctx, shared, "FOR SHARE")
	if err != nil {
		return nil, err
	}
	keys, err := k.fresh(ctx) // after the row is held: the key does not leave the file now
	if err != nil {
		return nil, err
	}
	if c.id != "" && keys != nil && keys.Sealer(c.id) != nil {
		err = shared.Commit(ctx)
	} else if err = shared.Rollback(ctx); err == nil { // lets go of the row: two that share it could not both take it for themselves
		keys, c, err = k.settle(ctx, tx)
	}
	if err != nil {
		return nil, err
	}
	s := keys.Sealer(c.id)
	if s == nil {
		return nil, &secret.MissingKeyError{ID: c.id, Path: k.File.Path}
	}
	if !proves(s, c.proof) {
		return nil, fmt.Errorf(
			"the key %s in %s is not the one that sealed what is in the database, though it has its id: restore it from your backup",
			c.id, k.File.Path,
		)
	}
	return s, nil
}

// Check is for the start: it makes the key where nothing is sealed yet, as Hold does, and says what is wrong otherwise.
func (k *Keeper) Check(ctx context.Context) error {
	return k.inTx(ctx, func(tx pgx.Tx) error {
		_, err := k.Hold(ctx, tx)
		return err
	})
}

// key is a row of sealing_keys.
type key struct {
	id    string
	proof []byte
	since time.Time
}

// current returns the key that seals, the zero key where there is none yet.
func current(ctx context.Context, tx pgx.Tx, lock string) (c key, err error) {
	for {
		err = tx.QueryRow(ctx, `SELECT id, proof, since FROM sealing_keys WHERE current `+lock).Scan(&c.id, &c.proof, &c.since)
		if !errors.Is(err, pgx.ErrNoRows) {
			return c, err
		}
		// Whoever waited for the row while another became the current one gets none: a second look finds the other.
		another := false
		err = tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM sealing_keys WHERE current)`).Scan(&another)
		if err != nil || !another {
			return c, err
		}
	}
}

const proofName = "sealing key"

func proof(s *secret.Sealer) ([]byte, error) { return s.Seal(secret.New([]byte(s.ID())), proofName) }

func proves(s *secret.Sealer, proof []byte) bool {
	v, err := s.Open(proof, proofName)
	return err == nil && v.Reveal() == s.ID()
}

// settle makes a key of the file the current one where that replaces none that is needed.
func (k *Keeper) settle(ctx context.Context, tx pgx.Tx) (*secret.Keyset, key, error) {
	was, err := current(ctx, tx, "FOR UPDATE") // nobody seals with it now
	if err != nil {
		return nil, was, err
	}
	keys, err := k.fresh(ctx)
	if err != nil {
		return nil, was, err
	}
	if was.id != "" && keys != nil && keys.Sealer(was.id) != nil { // since a moment ago
		return keys, was, nil
	}
	needed, err := k.needed(ctx, tx)
	if err != nil {
		return nil, was, err
	}
	if was.id != "" && len(needed) > 0 {
		return nil, was, &secret.MissingKeyError{ID: was.id, Path: k.File.Path}
	}
	if len(needed) > 0 { // sealed before the database knew its key
		if keys == nil || !slices.Contains(needed, keys.Primary()) {
			return nil, was, &secret.MissingKeyError{ID: needed[0], Path: k.File.Path}
		}
	}
	if keys == nil {
		if keys, err = k.makeFile(ctx); err != nil {
			return nil, was, err
		}
	}
	s := keys.Sealer(keys.Primary())
	if s == nil {
		return nil, was, fmt.Errorf("sealing key %s: its key %s cannot be used", k.File.Path, keys.Primary())
	}
	if _, err := tx.Exec(ctx, `DELETE FROM sealing_keys WHERE id = $1`, was.id); err != nil {
		return nil, was, err
	}
	text, err := proof(s)
	if err != nil {
		return nil, was, err
	}
	tag, err := tx.Exec(ctx, `INSERT INTO sealing_keys (id, proof, current, since) VALUES ($1, $2, true, $3) ON CONFLICT DO NOTHING`,
		s.ID(), text, k.Now())
	if err == nil && tag.RowsAffected() == 1 {
		err = k.Record(ctx, tx, "daemon", "sealing.key_registered", map[string]any{"key": s.ID()})
	}
	if err != nil {
		return nil, was, err
	}
	c, err := current(ctx, tx, "FOR SHARE") // perhaps of another process, which has another file
	return keys, c, err
}

// needed names the keys that something is sealed with.
func (k *Keeper) needed(ctx context.Context, tx pgx.Tx) ([]string, error) {
	any := false
	for _, s := range k.stores {
		has, err := s.AnySealed(ctx, tx)
		if err != nil {
			return nil, err
		}
		any = any || has
	}
	if !any {
		return nil, nil
	}
	counts, err := k.count(ctx, tx)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, byKey := range counts {
		for id := range byKey {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

func (k *Keeper) count(ctx context.Context, tx pgx.Tx) (map[string]map[string]int, error) {
	all := map[string]map[string]int{}
	for _, s := range k.stores {
		counts, err := s.SealedWith(ctx, tx)
		if err != nil {
			return nil, err
		}
		for what, byKey := range counts {
			all[what] = byKey
		}
	}
	return all, nil
}

func (k *Keeper) makeFile(ctx context.Context) (*secret.Keyset, error) {
	if !k.Make {
		return nil, fmt.Errorf("sealing key %s: %w: it is named in sealing.key, so it is not made here", k.File.Path, fs.ErrNotExist)
	}
	if err := k.Dir(); err != nil {
		return nil, err
	}
	if err := k.File.Make(ctx); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	keys, err := k.fresh(ctx)
	if err == nil && keys == nil {
		err = fmt.Errorf("sealing key %s: %w", k.File.Path, fs.ErrNotExist)
	}
	return keys, err
}

func (k *Keeper) inTx(ctx context.Context, f func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, k.Pool, f)
}
