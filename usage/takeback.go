package usage

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/klauspost/compress/zstd"

	"github.com/keyrounds/keyrounds/usage/feed"
)

// An import can be taken back, since what it added is written down beside it. What is only a first or a last time, an hour
// of the day, or a scope stays as it is where something else is left of the same row: nobody knows what it was before. The
// first and the last attempt of a month are then known to the day.

// addition is what a part of an import added.
type addition struct {
	Days   []addedDay          `json:"days,omitempty"`
	Months []addedMonth        `json:"months,omitempty"`
	Feed   map[int64]*feed.Day `json:"feed,omitempty"` // by number
	Spans  []feed.Span         `json:"spans,omitempty"`
	Taken  map[uuid.UUID]int   `json:"taken,omitempty"` // our own checks that accounted for events
	Counts Counts              `json:"counts,omitempty"`
}

type addedDay struct {
	Credential int64        `json:"c"`
	Day        int32        `json:"d"`
	Network    netip.Prefix `json:"n"`
	UserAgent  string       `json:"u"`
	Uses       int64        `json:"s"`
	Failures   int64        `json:"f"`
}

type addedMonth struct {
	Credential int64 `json:"c"`
	Month      int32 `json:"m"`
	Exchanges  int64 `json:"e"`
	Requests   int64 `json:"r"`
	Failures   int64 `json:"f"`
	Own        int64 `json:"o"`
	NotAllowed int64 `json:"a"`
	Hidden     int32 `json:"h"`
}

// added notes what the tally is about to add.
func (t *tally) added() addition {
	var a addition
	for k, r := range t.days {
		a.Days = append(a.Days, addedDay{k.credential, k.day, k.network, k.userAgent, r.uses, r.failures})
	}
	for k, m := range t.months {
		a.Months = append(a.Months, addedMonth{
			k.credential, k.month, m.exchanges, m.requests, m.failures, m.own, m.denied, int32(m.hidden.Seconds()),
		})
	}
	return a
}

// keepAddition writes down a part of what the batch added, under an id that it has at its end.
func (in *intake) keepAddition(a addition) error {
	text, err := json.Marshal(a)
	if err != nil {
		return err
	}
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	in.parts = append(in.parts, w.EncodeAll(text, nil))
	return w.Close()
}

// tookNow is how many more events our own checks account for by this batch.
func (in *intake) tookNow() map[uuid.UUID]int {
	took := map[uuid.UUID]int{}
	for check, n := range in.taken {
		if more := n - in.takenOnce[check]; more > 0 {
			took[check] = more
		}
	}
	return took
}

func (in *intake) saveParts(ctx context.Context) error {
	batch := &pgx.Batch{}
	for n, rows := range in.parts {
		batch.Queue(`INSERT INTO usage_batch_rows (feed, batch_id, part, rows) VALUES ($1, $2, $3, $4)`, in.feed.Name, in.batch, n, rows)
	}
	return in.tx.SendBatch(ctx, batch).Close()
}

// NotTakenError says that there is no import of a content that could be taken back.
type NotTakenError struct {
	Before bool // there is one, by a version that did not write down what it added
	Later  int  // so many later imports left out events because this content had brought them
}

func (e *NotTakenError) Error() string {
	if e.Later > 0 {
		return fmt.Sprintf("%d later imports left out events that this content may have brought: without it they would be lost", e.Later)
	}
	if e.Before {
		return "it was taken in by an older version, which did not write down what it added: it cannot be taken back"
	}
	return "this content was not taken in before: there is nothing to replace"
}

// Hint says what to do instead.
func (e *NotTakenError) Hint() string {
	if e.Later > 0 {
		return "replace them together: keyrounds usage import --replace FILE FILE…; the record names the imports"
	}
	if e.Before {
		return "it stays as it was taken in; the record says what came of it: keyrounds audit log"
	}
	return "leave --replace out"
}

// takeBack undoes the imports of a content, in whatever format they were read, and returns their ids.
func (in *intake) takeBack(ctx context.Context, content string, with []string) (ids []string, err error) {
	rows, err := in.tx.Query(ctx, `
		SELECT batch_id, EXISTS (SELECT FROM usage_batch_rows r WHERE r.feed = b.feed AND r.batch_id = b.batch_id)
		FROM usage_batches b WHERE feed = $1 AND (content = $2 OR batch_id = $2 OR starts_with(batch_id, $2 || ' ')) ORDER BY 1`,
		in.feed.Name, content)
	if err != nil {
		return nil, err
	}
	var (
		id    string
		whole bool
		old   bool
	)
	_, err = pgx.ForEachRow(rows, []any{&id, &whole}, func() error {
		ids, old = append(ids, id), old || !whole
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case old, len(ids) == 0:
		return nil, &NotTakenError{Before: old}
	}
	var later int
	err = in.tx.QueryRow(ctx, `
		SELECT count(*) FROM usage_batches b WHERE feed = $1 AND coalesce((counts->>'duplicate')::bigint, 0) > 0
			AND NOT batch_id = ANY($2) AND NOT content = ANY($3)
			AND taken_at >= (SELECT min(taken_at) FROM usage_batches WHERE feed = $1 AND batch_id = ANY($2))`,
		in.feed.Name, ids, orEmpty(with)).Scan(&later)
	if err != nil || later > 0 {
		return nil, cmp.Or(err, error(&NotTakenError{Later: later}))
	}
	for _, id := range ids {
		if err := in.undo(ctx, id); err != nil {
			return nil, fmt.Errorf("take back %s: %w", id, err)
		}
	}
	return ids, in.recover(ctx)
}

// additions gives each part of what an import added.
func (in *intake) additions(ctx context.Context, where string, args []any, each func(addition) error) error {
	rows, err := in.tx.Query(ctx, `SELECT rows FROM usage_batch_rows WHERE `+where+` ORDER BY batch_id, part`, args...)
	if err != nil {
		return err
	}
	parts, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	if err != nil {
		return err
	}
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return err
	}
	defer d.Close()
	for _, part := range parts {
		text, err := d.DecodeAll(part, nil)
		if err != nil {
			return err
		}
		var a addition
		if err := json.Unmarshal(text, &a); err != nil {
			return err
		}
		if err := each(a); err != nil {
			return err
		}
	}
	return nil
}

func (in *intake) undo(ctx context.Context, id string) error {
	err := in.additions(ctx, `feed = $1 AND batch_id = $2`, []any{in.feed.Name, id}, func(a addition) error {
		batch := &pgx.Batch{}
		for _, d := range a.Days {
			batch.Queue(`UPDATE usage_days SET uses = uses - $5, failures = failures - $6
				WHERE credential_id = $1 AND day = $2 AND network = $3 AND user_agent = $4`,
				d.Credential, dayBegins(int64(d.Day)), d.Network, d.UserAgent, d.Uses, d.Failures)
		}
		for _, m := range a.Months {
			batch.Queue(`UPDATE usage_months SET exchanges = exchanges - $3, requests = requests - $4, failures = failures - $5,
					own = own - $6, not_allowed = not_allowed - $7, hidden_s = greatest(0, hidden_s - $8)
				WHERE credential_id = $1 AND month = $2`,
				m.Credential, monthDate(m.Month), m.Exchanges, m.Requests, m.Failures, m.Own, m.NotAllowed, m.Hidden)
			in.undone[monthKey{m.Credential, m.Month}] = true
		}
		for number, d := range a.Feed {
			batch.Queue(`UPDATE usage_feed_days SET records = records - $3, bad = bad - $4, named = named - $5
				WHERE feed = $1 AND day = $2`,
				in.feed.Name, dayBegins(number), d.Records, d.Bad, d.Named)
		}
		for check, n := range a.Taken {
			batch.Queue(`UPDATE usage_taken SET taken = greatest(0, taken - $2) WHERE check_id = $1`, check, n)
		}
		for result, n := range a.Counts {
			in.row.counts[result] = max(0, in.row.counts[result]-n)
		}
		in.row.coverage = without(in.row.coverage, lossesOf(a.Spans))
		return in.tx.SendBatch(ctx, batch).Close()
	})
	if err != nil {
		return err
	}
	_, err = in.tx.Exec(ctx, `DELETE FROM usage_batches WHERE feed = $1 AND batch_id = $2`, in.feed.Name, id)
	return err
}

func lossesOf(spans []feed.Span) (all []loss) {
	for _, s := range spans {
		all = append(all, loss{Span: s})
	}
	return all
}

// recover makes whole what subtraction leaves: rows of nothing go, months are made of their days again, and what other
// imports covered counts again.
func (in *intake) recover(ctx context.Context) error {
	batch := &pgx.Batch{}
	for k := range in.undone {
		first := monthDate(k.month)
		args := []any{k.credential, first, first.AddDate(0, 1, 0)}
		batch.Queue(`DELETE FROM usage_days WHERE credential_id = $1 AND day >= $2 AND day < $3 AND uses <= 0 AND failures <= 0`, args...)
		batch.Queue(`
			UPDATE usage_months m SET first_at = d.first_at, last_at = d.last_at, days = coalesce(d.days, 0),
				first_attempt_at = d.first_attempt_at, last_attempt_at = d.last_attempt_at
			FROM (SELECT min(first_at) FILTER (WHERE uses > 0) AS first_at, max(last_at) FILTER (WHERE uses > 0) AS last_at,
					bit_or(1 << (extract(day FROM day)::int - 1)) FILTER (WHERE uses > 0) AS days,
					min(first_at) FILTER (WHERE failures > 0) AS first_attempt_at,
					max(last_at) FILTER (WHERE failures > 0) AS last_attempt_at
				FROM usage_days WHERE credential_id = $1 AND day >= $2 AND day < $3) AS d
			WHERE m.credential_id = $1 AND m.month = $2 AND (m.exchanges + m.requests + m.failures <= 0
				OR EXISTS (SELECT FROM usage_days WHERE credential_id = $1 AND day >= $2 AND day < $3))`, args...)
		batch.Queue(`DELETE FROM usage_months WHERE credential_id = $1 AND month = $2
			AND exchanges + requests + failures + own <= 0 AND first_at IS NULL`, args[:2]...)
	}
	batch.Queue(`DELETE FROM usage_feed_days WHERE feed = $1 AND records <= 0`, in.feed.Name)
	batch.Queue(`UPDATE usage_feed_days SET first_named_at = NULL, last_named_at = NULL WHERE feed = $1 AND named <= 0`, in.feed.Name)
	if err := in.tx.SendBatch(ctx, batch).Close(); err != nil {
		return err
	}
	return in.additions(ctx, `feed = $1`, []any{in.feed.Name}, func(a addition) error {
		in.row.coverage = join(append(in.row.coverage, a.Spans...), joined(in.asRegistered()))
		return nil
	})
}
