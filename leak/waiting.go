package leak

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/secret"
)

// WaitingDelivery is a delivery that was verified, and whose alert could not be fetched yet. GitHub does not deliver
// again by itself, so it is kept, sealed, and tried again.
type WaitingDelivery struct {
	Reporter string    `json:"reporter"`
	Event    string    `json:"event"` // X-GitHub-Event
	Since    time.Time `json:"since"`
	Tries    int       `json:"tries"` // after the first one
	Next     time.Time `json:"next_try_at"`
	Why      string    `json:"why"` // the last one failed
	Body     []byte    `json:"-"`   // only from ClaimDelivery

	digest []byte
}

// mostWaiting bounds what one reporter keeps waiting.
const mostWaiting = 1000

// AddDelivery stores a delivery, its body sealed, to be tried at w.Next. One with the same reporter and body that waits
// already stays as it is. It is an error if no sealing key is configured, or if the reporter has mostWaiting others.
func (s *Store) AddDelivery(ctx context.Context, w WaitingDelivery) error {
	if s.Sealer == nil {
		return errors.New("no sealing key is configured")
	}
	digest := sha256.Sum256(w.Body)
	return pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		sealer, err := s.Sealer.Hold(ctx, tx)
		if err != nil {
			return err
		}
		sealed, err := sealer.Seal(secret.New(w.Body), waitingName(w.Reporter, digest[:]))
		if err != nil {
			return err
		}
		var waiting int
		others := tx.QueryRow(ctx, `SELECT count(*) FROM leak_waiting WHERE receiver = $1 AND digest <> $2`, w.Reporter, digest[:])
		if err := others.Scan(&waiting); err != nil {
			return err
		}
		if waiting >= mostWaiting {
			return fmt.Errorf("%d deliveries of %s are waiting already", waiting, w.Reporter)
		}
		_, err = tx.Exec(ctx, `
			INSERT INTO leak_waiting (receiver, digest, event, sealed, since, next_try_at, why) VALUES ($1, $2, $3, $4, $5, $6, $7)
			ON CONFLICT DO NOTHING`,
			w.Reporter, digest[:], w.Event, sealed, w.Since, w.Next, w.Why)
		return err
	})
}

func waitingName(reporter string, digest []byte) string {
	return deliveryName(reporter, hex.EncodeToString(digest))
}

const waitingColumns = "receiver, event, since, tries, next_try_at, why, digest"

func (w *WaitingDelivery) scan(row pgx.Row, more ...any) error {
	err := row.Scan(append([]any{&w.Reporter, &w.Event, &w.Since, &w.Tries, &w.Next, &w.Why, &w.digest}, more...)...)
	w.Since, w.Next = w.Since.UTC(), w.Next.UTC()
	return err
}

// ClaimDelivery returns one delivery that is due at now, with its body, and counts it as tried. No other caller, on
// whatever replica, gets it before until. ok is false where none is due.
func (s *Store) ClaimDelivery(ctx context.Context, now, until time.Time) (w WaitingDelivery, ok bool, err error) {
	var sealed []byte
	row := s.Pool.QueryRow(ctx, `
		UPDATE leak_waiting SET next_try_at = $2, tries = tries + 1 WHERE (receiver, digest) = (
			SELECT receiver, digest FROM leak_waiting WHERE next_try_at <= $1 ORDER BY next_try_at LIMIT 1 FOR UPDATE SKIP LOCKED)
		RETURNING `+waitingColumns+`, sealed`, now, until)
	if err := w.scan(row, &sealed); err != nil {
		if errors.Is(err, pgx.ErrNoRows) {
			err = nil
		}
		return w, false, err
	}
	if s.Sealer == nil {
		return w, false, errors.New("no sealing key is configured")
	}
	body, err := s.Sealer.Open(sealed, waitingName(w.Reporter, w.digest))
	w.Body = []byte(body.Reveal())
	return w, err == nil, err
}

// PostponeDelivery has a claimed delivery tried again at next. why says, without secrets, why it failed.
func (s *Store) PostponeDelivery(ctx context.Context, w WaitingDelivery, next time.Time, why string) error {
	_, err := s.Pool.Exec(ctx, `UPDATE leak_waiting SET next_try_at = $3, why = $4 WHERE receiver = $1 AND digest = $2`,
		w.Reporter, w.digest, next, why)
	return err
}

// DropDelivery forgets a claimed delivery, because it was taken in or is given up. One that is gone is no error.
func (s *Store) DropDelivery(ctx context.Context, w WaitingDelivery) error {
	_, err := s.Pool.Exec(ctx, `DELETE FROM leak_waiting WHERE receiver = $1 AND digest = $2`, w.Reporter, w.digest)
	return err
}

// WaitingDeliveries lists the deliveries that wait, without their bodies, the oldest first.
func (s *Store) WaitingDeliveries(ctx context.Context) ([]WaitingDelivery, error) {
	rows, err := s.Pool.Query(ctx, `SELECT `+waitingColumns+` FROM leak_waiting ORDER BY since, digest`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (w WaitingDelivery, err error) { return w, w.scan(row) })
}
