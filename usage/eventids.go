package usage

import (
	"cmp"
	"context"
	"encoding/binary"
	"slices"
	"strconv"

	"github.com/cespare/xxhash/v2"
	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/usage/feed"
)

// Files overlap: an export of a week and one of a month hold the same events. What names itself (event_id) counts once, of
// all files of a feed. Only events of registered clients are remembered, and of a day no more than mostIDs: beyond that
// more is counted twice, which changes a number and no answer.
const mostIDs = 500_000

// eventIDs are the ids of the events of a feed's imports, by day.
type eventIDs struct {
	days map[int64]*idsOfDay
	text []byte // of the last event that was hashed
}

type idsOfDay struct {
	known map[uint64]struct{} // of former imports and of this one; nil: put aside, since a log goes on in time
	fresh []uint64            // of this one
}

// So many days are at hand: a log is about in the order of time.
const daysAtHand = 3

// twice reports whether an event was brought before, and remembers it.
func (in *intake) twice(ctx context.Context, e feed.Event) (bool, error) {
	if e.ID == "" || in.ids == nil || len(in.of(e.ClientID)) == 0 {
		return false, nil
	}
	number := feed.DayOf(e.At)
	d := in.ids.days[number]
	if d == nil || d.known == nil {
		var err error
		if d, err = in.loadIDs(ctx, number); err != nil {
			return false, err
		}
	}
	h := in.ids.hash(e)
	if _, known := d.known[h]; known {
		return true, nil
	}
	if len(d.known) < mostIDs {
		d.known[h] = struct{}{}
		d.fresh = append(d.fresh, h)
	}
	return false, nil
}

// hash tells an event from every other. The same id may be on a refusal and on the retry that was let in, and on what two
// clients did in one trace. What it is of is the same for ever: hashes are stored.
func (ids *eventIDs) hash(e feed.Event) uint64 {
	b := ids.text[:0]
	for _, part := range []string{string(e.Kind), e.ClientID, e.ID} {
		b = append(append(b, part...), 0)
	}
	b = append(strconv.AppendBool(b, e.OK), ' ')
	b = strconv.AppendInt(b, e.At.UnixNano(), 10)
	ids.text = b
	return xxhash.Sum64(b)
}

// unique leaves out the events that were brought before.
func (in *intake) unique(ctx context.Context, events []feed.Event) ([]feed.Event, error) {
	if in.ids == nil {
		return events, nil
	}
	kept := events[:0]
	for _, e := range events {
		twice, err := in.twice(ctx, e)
		if err != nil {
			return nil, err
		}
		if twice {
			in.counts[ResultDuplicate]++
			continue
		}
		kept = append(kept, e)
	}
	return kept, nil
}

func (in *intake) loadIDs(ctx context.Context, number int64) (*idsOfDay, error) {
	rows, err := in.tx.Query(ctx, `SELECT hashes FROM usage_event_ids WHERE feed = $1 AND day = $2`, in.feed.Name, dayBegins(number))
	if err != nil {
		return nil, err
	}
	d := in.ids.days[number]
	if d == nil {
		d = &idsOfDay{}
		in.ids.days[number] = d
	}
	d.known = make(map[uint64]struct{}, len(d.fresh))
	for _, h := range d.fresh {
		d.known[h] = struct{}{}
	}
	var hashes []byte
	_, err = pgx.ForEachRow(rows, []any{&hashes}, func() error {
		for ; len(hashes) >= 8; hashes = hashes[8:] {
			d.known[binary.LittleEndian.Uint64(hashes)] = struct{}{}
		}
		return nil
	})
	in.ids.putAside(number)
	return d, err
}

// putAside lets go of what is at hand of the oldest days, but of one.
func (ids *eventIDs) putAside(keep int64) {
	for {
		var atHand []int64
		for number, d := range ids.days {
			if d.known != nil && number != keep {
				atHand = append(atHand, number)
			}
		}
		if len(atHand) < daysAtHand {
			return
		}
		ids.days[slices.Min(atHand)].known = nil
	}
}

func (in *intake) saveIDs(ctx context.Context) error {
	if in.ids == nil {
		return nil
	}
	batch := &pgx.Batch{}
	for _, number := range sortedKeys(in.ids.days, cmp.Compare[int64]) {
		fresh := in.ids.days[number].fresh
		if len(fresh) == 0 {
			continue
		}
		hashes := make([]byte, 0, 8*len(fresh))
		for _, h := range fresh {
			hashes = binary.LittleEndian.AppendUint64(hashes, h)
		}
		batch.Queue(`INSERT INTO usage_event_ids (feed, day, batch_id, hashes) VALUES ($1, $2, $3, $4)`,
			in.feed.Name, dayBegins(number), in.batch, hashes)
	}
	return in.tx.SendBatch(ctx, batch).Close()
}
