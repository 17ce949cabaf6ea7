package usage

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/usage/feed"
)

// fresh drops what an earlier poll brought already. Of a feed of last-used times only those are
// fresh that changed.
func (in *intake) fresh(ctx context.Context, events []feed.Event) ([]feed.Event, error) {
	state := in.feed.Poll.Spec.State
	hashes, at := make([][]byte, 0, len(events)), make([]time.Time, 0, len(events))
	first := map[string]int{}
	for i, e := range events {
		h := keyOf(e, state)
		if j, twice := first[string(h)]; twice {
			if state && e.At.After(events[j].At) {
				first[string(h)] = i
			}
			continue
		}
		first[string(h)] = i
	}
	for h, i := range first {
		hashes, at = append(hashes, []byte(h)), append(at, events[i].At)
	}
	rows, err := in.tx.Query(ctx, `
		INSERT INTO usage_seen AS s (feed, event, event_at) SELECT $1, * FROM unnest($2::bytea[], $3::timestamptz[]) ORDER BY 2
		ON CONFLICT (feed, event) DO UPDATE SET event_at = excluded.event_at WHERE $4 AND s.event_at < excluded.event_at
		RETURNING event`, in.feed.Name, hashes, at, state)
	if err != nil {
		return nil, err
	}
	keep := map[int]bool{}
	var h []byte
	if _, err := pgx.ForEachRow(rows, []any{&h}, func() error { keep[first[string(h)]] = true; return nil }); err != nil {
		return nil, err
	}
	var fresh []feed.Event
	for i, e := range events {
		if keep[i] {
			fresh = append(fresh, e)
		}
	}
	in.counts[ResultDuplicate] += int64(len(events) - len(fresh))
	return fresh, nil
}

// keyOf tells an event from others of its feed: by its id where it has one, or by its client where the feed
// lists last-used times.
func keyOf(e feed.Event, state bool) []byte {
	text := e.ID
	if text != "" { // one may be on a refusal and on its retry, and on what two clients did in one trace
		text = fmt.Sprint(e.ID, "\x00", e.Kind, "\x00", e.ClientID, "\x00", e.OK, e.At.UnixNano())
	}
	switch {
	case state:
		text = e.ClientID
		if e.KeyID != "" {
			text += "\x00" + e.KeyID
		}
	case text == "":
		text = fmt.Sprint(e.Kind, e.ClientID, e.At.UnixNano(), e.Address, e.UserAgent, e.OK, e.TokenID, e.Actor)
	}
	sum := sha256.Sum256([]byte(text))
	return sum[:16]
}
