package sealing

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Steps of a rotation, in this order. Each begins where the one before is on the disk, so that a process that is killed at any
// moment leaves a file and a database of which everything opens, and the next call goes on:
//
//  1. A new key is in the file, beside the old one (Add).
//  2. It is the current one in the database: from here on nothing is sealed with the old one.
//  3. All that the old one sealed is sealed anew, a batch a transaction.
//  4. The database knows the old key no more.
//  5. The file has it no more.

// Rotation is what Rotate did.
type Rotation struct {
	From    []string // IDs of the keys that are gone now
	To      string   // ID of the key that seals
	Resumed bool     // it had been begun before: its key is not new
	Sealed  int      // things that were sealed anew by this call
}

// LeftError says that things could not be sealed anew, since the key that sealed them does not open them.
type LeftError struct{ Names []string }

func (e *LeftError) Error() string {
	shown, more := e.Names, ""
	if len(shown) > 5 {
		shown, more = shown[:5], fmt.Sprintf(" and %d more", len(e.Names)-5)
	}
	return fmt.Sprintf(
		"what is sealed of %s%s cannot be opened, so the old key stays: it was damaged, or moved from another row",
		strings.Join(shown, ", "), more,
	)
}

// Add adds a new key to the file, which nothing is sealed with until Rotate, so that replicas can be given the file first. It
// returns the ID of the key. One that was added before, and is not the current one yet, stays the one.
func (k *Keeper) Add(ctx context.Context) (string, error) {
	unlock, err := k.lock()
	if err != nil {
		return "", err
	}
	defer unlock()
	_, added, err := k.add(ctx)
	return added, err
}

func (k *Keeper) lock() (func(), error) {
	if err := k.Dir(); err != nil {
		return nil, err
	}
	return k.File.Lock()
}

// add is step 1. It returns the current key and the new one.
func (k *Keeper) add(ctx context.Context) (now, added string, err error) {
	err = k.inTx(ctx, func(tx pgx.Tx) error {
		s, err := k.Hold(ctx, tx)
		if err == nil {
			now = s.ID()
		}
		return err
	})
	if err != nil {
		return "", "", err
	}
	keys, err := k.File.Read(ctx)
	if err != nil {
		return "", "", err
	}
	if keys.Primary() != now {
		return now, keys.Primary(), nil
	}
	if keys, err = keys.WithNew(); err != nil {
		return "", "", err
	}
	return now, keys.Primary(), k.File.Replace(ctx, keys)
}

// Rotate has a new key seal, seals everything anew with it, and takes the old one out of the file. A rotation that was begun and
// not ended is ended, by the key that was made for it. It can be called again after every error, and beside a running daemon, whose
// file this must be. done is told how many things are sealed anew. *LeftError: all is done but for what it names.
func (k *Keeper) Rotate(ctx context.Context, actor string, done func(n int)) (r Rotation, err error) {
	unlock, err := k.lock()
	if err != nil {
		return r, err
	}
	defer unlock()
	unended, err := k.unended(ctx)
	if err != nil {
		return r, err
	}
	r.Resumed = unended
	was := ""
	if was, r.To, err = k.target(ctx, unended); err != nil {
		return r, err
	}
	if err := k.stopped("added"); err != nil {
		return r, err
	}
	if was != r.To {
		if err := k.makeCurrent(ctx, actor, was, r.To); err != nil {
			return r, err
		}
	}
	if err := k.stopped("current"); err != nil {
		return r, err
	}
	left, err := k.resealAll(ctx, &r, done)
	if err != nil {
		return r, err
	}
	if err := k.end(ctx, actor, &r); err != nil {
		return r, err
	}
	if len(left) > 0 {
		return r, &LeftError{left}
	}
	return r, nil
}

// unended reports whether a rotation was begun: the file has more keys than the one that seals, or the database needs more.
func (k *Keeper) unended(ctx context.Context) (bool, error) {
	keys, err := k.fresh(ctx)
	if err != nil || keys == nil {
		return false, err // Hold says what that means
	}
	known := 0
	err = k.Pool.QueryRow(ctx, `SELECT count(*) FROM sealing_keys`).Scan(&known)
	return known > 1 || len(keys.IDs()) > 1, err
}

// target returns the current key and the one that is to be it.
func (k *Keeper) target(ctx context.Context, unended bool) (was, to string, err error) {
	if !unended {
		return k.add(ctx)
	}
	err = k.inTx(ctx, func(tx pgx.Tx) error {
		s, err := k.Hold(ctx, tx)
		if err == nil {
			was = s.ID()
		}
		return err
	})
	if err != nil {
		return "", "", err
	}
	keys, err := k.File.Read(ctx)
	if err != nil {
		return "", "", err
	}
	return was, keys.Primary(), nil
}

func (k *Keeper) makeCurrent(ctx context.Context, actor, was, to string) error {
	s, err := k.sealer(to)
	if err != nil {
		return err
	}
	text, err := proof(s)
	if err != nil {
		return err
	}
	return k.inTx(ctx, func(tx pgx.Tx) error {
		c, err := alone(ctx, tx)
		if err != nil {
			return err
		}
		if c.id != was {
			return fmt.Errorf("another process made key %s the current one meanwhile: rotate again", c.id)
		}
		if _, err := tx.Exec(ctx, `UPDATE sealing_keys SET current = false WHERE current`); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			INSERT INTO sealing_keys (id, proof, current, since) VALUES ($1, $2, true, $3)
			ON CONFLICT (id) DO UPDATE SET current = true, since = excluded.since`, to, text, k.Now())
		if err != nil {
			return err
		}
		return k.Record(ctx, tx, actor, "sealing.rotation_begun", map[string]any{"from": was, "to": to})
	})
}

// alone waits for those who seal (Hold), whom those who come after it wait for, and returns the current key.
func alone(ctx context.Context, tx pgx.Tx) (key, error) {
	if _, err := tx.Exec(ctx, `LOCK TABLE sealing_keys IN EXCLUSIVE MODE`); err != nil {
		return key{}, err
	}
	return current(ctx, tx, "")
}

// resealAll seals all that other keys of the file sealed. left names what could not be.
func (k *Keeper) resealAll(ctx context.Context, r *Rotation, done func(n int)) (left []string, err error) {
	keys, err := k.fresh(ctx)
	if err != nil {
		return nil, err
	}
	from := slices.DeleteFunc(keys.IDs(), func(id string) bool { return id == r.To })
	for _, store := range k.stores {
		var skip []string
		for {
			n, failed := 0, []string(nil)
			err := k.inTx(ctx, func(tx pgx.Tx) error {
				s, err := k.Hold(ctx, tx)
				if err != nil {
					return err
				}
				if s.ID() != r.To {
					return fmt.Errorf("another process made key %s the current one meanwhile: rotate again", s.ID())
				}
				n, failed, err = store.Reseal(ctx, tx, from, skip, k.batch, func(sealed []byte, name string) ([]byte, error) {
					v, err := k.Open(sealed, name)
					if err != nil {
						return nil, err
					}
					defer v.Wipe()
					return s.Seal(v, name)
				})
				return err
			})
			if err != nil {
				return nil, err
			}
			skip = append(skip, failed...)
			if n == 0 && len(failed) == 0 {
				break
			}
			r.Sealed += n
			done(r.Sealed)
			if err := k.stopped("batch"); err != nil {
				return nil, err
			}
		}
		left = append(left, skip...)
	}
	return left, nil
}

// end are steps 4 and 5.
func (k *Keeper) end(ctx context.Context, actor string, r *Rotation) error {
	keys, err := k.File.Read(ctx)
	if err != nil {
		return err
	}
	keep := []string{r.To}
	err = k.inTx(ctx, func(tx pgx.Tx) error {
		keep, r.From = keep[:1], []string{}
		c, err := current(ctx, tx, "FOR SHARE")
		if err != nil {
			return err
		}
		if c.id != r.To {
			return fmt.Errorf("another process made key %s the current one meanwhile: rotate again", c.id)
		}
		needed, err := k.needed(ctx, tx)
		if err != nil {
			return err
		}
		for _, id := range keys.IDs() {
			if id == r.To {
				continue
			}
			if slices.Contains(needed, id) {
				keep = append(keep, id)
			} else {
				r.From = append(r.From, id)
			}
		}
		if _, err := tx.Exec(ctx, `DELETE FROM sealing_keys WHERE NOT current AND id <> ALL($1)`, keep); err != nil {
			return err
		}
		return k.Record(ctx, tx, actor, "sealing.rotated", map[string]any{"from": r.From, "to": r.To, "sealed": r.Sealed})
	})
	if err != nil {
		return err
	}
	if err := k.stopped("known"); err != nil {
		return err
	}
	fewer, err := keys.Only(keep...)
	if err == nil {
		err = k.File.Replace(ctx, fewer)
	}
	return err
}

func (k *Keeper) stopped(step string) error {
	if k.stop == nil {
		return nil
	}
	return k.stop(step)
}

// Abandon forgets what was sealed with a key that is lost, and returns how many things that was. Credentials stay registered,
// without a secret. The key must not be in the file: an error says so, and also that nothing is sealed with it.
func (k *Keeper) Abandon(ctx context.Context, actor, id string) (n int, err error) {
	keys, err := k.fresh(ctx)
	if err != nil {
		return 0, err
	}
	if keys != nil && slices.Contains(keys.IDs(), id) {
		return 0, fmt.Errorf("the key %s is in %s: nothing is lost", id, k.File.Path)
	}
	err = k.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := alone(ctx, tx); err != nil {
			return err
		}
		needed, err := k.needed(ctx, tx)
		if err != nil {
			return err
		}
		if !slices.Contains(needed, id) {
			return fmt.Errorf("nothing is sealed with a key %q", id)
		}
		n = 0
		for _, store := range k.stores {
			more, err := store.Abandon(ctx, tx, id)
			if err != nil {
				return err
			}
			n += more
		}
		if _, err := tx.Exec(ctx, `DELETE FROM sealing_keys WHERE id = $1`, id); err != nil {
			return err
		}
		return k.Record(ctx, tx, actor, "sealing.key_abandoned", map[string]any{"key": id, "things": n})
	})
	return n, err
}
