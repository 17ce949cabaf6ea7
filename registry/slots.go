package registry

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// Rules of slots, by which the concurrency of a provider is shared:
//
//  1. Whoever has a check under way holds a slot for it. All slots together are never more than the concurrency.
//  2. A holder with fewer slots than it wants gets free ones, up to its share. One with more than its share gives back those
//     that it does not use just now. Those who do not yield come first, so that a person does not wait for the rounds; a
//     holder that yields, and waited for its first slot for more than a second, does not yield any more.
//  3. Slots are held for a while and renewed. What a killed process held is free when that is over.

// Share is what somebody asks for at a provider.
type Share struct {
	Provider string
	Holder   int64 // who; no two runs share a number
	Busy     int   // slots that it uses now, which are not taken from it
	Wants    int   // slots that it has use for, with those
	Yields   bool  // whoever else waits goes first
}

// longWait is how long who yields waits for a first slot until it does not yield any more.
const longWait = time.Second

// waitLife is how long who waits for a first slot counts. It asks again before that.
const waitLife = 2 * time.Second

// Slots gives sh its share of the total number of slots, until then, in tx, and returns how many it has: no fewer
// than Busy, unless they lapsed; and its share, which is fewer where it is to give some back as they are free. Whoever
// holds slots calls it again before then. It locks the provider's row until tx ends.
func (s *Store) Slots(ctx context.Context, tx pgx.Tx, sh Share, total int, now, until time.Time) (slots, share int, err error) {
	if err := s.lockPace(ctx, tx, sh.Provider); err != nil {
		return 0, 0, err
	}
	rows, err := tx.Query(ctx, `
		SELECT holder, slots, wants, yields, since, held_until > $2 AS live FROM provider_slots WHERE provider = $1
		ORDER BY since, holder`, sh.Provider, now)
	if err != nil {
		return 0, 0, err
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[holding])
	if err != nil {
		return 0, 0, err
	}
	if slices.ContainsFunc(all, func(h holding) bool { return !h.Live }) {
		if _, err := tx.Exec(ctx, `DELETE FROM provider_slots WHERE provider = $1 AND held_until <= $2`, sh.Provider, now); err != nil {
			return 0, 0, err
		}
	}
	all = slices.DeleteFunc(all, func(h holding) bool { return !h.Live })
	own := slices.IndexFunc(all, func(h holding) bool { return h.Holder == sh.Holder })
	if own < 0 {
		all = append(all, holding{Holder: sh.Holder, Since: now, Live: true})
		own = len(all) - 1
	}
	h := &all[own]
	had := h.Slots
	h.Wants, h.Yields = sh.Wants, sh.Yields
	free := total + had
	for _, o := range all {
		free -= o.Slots
	}
	share = allot(total, all, now)[own]
	h.Slots = max(min(sh.Busy, had), min(share, free))
	if (had == 0) != (h.Slots == 0) {
		h.Since = now
	}
	if h.Slots == 0 { // who waits and does not ask again is forgotten soon
		until = earlier(until, now.Add(waitLife))
	}
	_, err = tx.Exec(ctx, putSlotsSQL, sh.Provider, h.Holder, h.Slots, h.Wants, h.Yields, h.Since, until)
	return h.Slots, share, err
}

const putSlotsSQL = `
	INSERT INTO provider_slots (provider, holder, slots, wants, yields, since, held_until) VALUES ($1, $2, $3, $4, $5, $6, $7)
	ON CONFLICT (provider, holder) DO UPDATE SET slots = excluded.slots, wants = excluded.wants, yields = excluded.yields,
		since = excluded.since, held_until = excluded.held_until`

// Leave gives back all slots of a holder.
func (s *Store) Leave(ctx context.Context, provider string, holder int64) error {
	_, err := s.pool.Exec(ctx, `DELETE FROM provider_slots WHERE provider = $1 AND holder = $2`, provider, holder)
	return err
}

// holding is a row of provider_slots.
type holding struct {
	Holder       int64
	Slots, Wants int
	Yields       bool
	Since        time.Time
	Live         bool
}

// urgent comes before those that are not.
func (h holding) urgent(now time.Time) bool {
	return !h.Yields || h.Slots == 0 && now.Sub(h.Since) > longWait
}

// allot shares total slots among all, in their order: first one for each that wants any, the urgent ones before the
// others, and then evenly, nobody more than it wants. It is pure.
func allot(total int, all []holding, now time.Time) []int {
	shares := make([]int, len(all))
	give := func(to func(holding) bool, most int) (gave bool) {
		for i, h := range all {
			if total > 0 && shares[i] < min(h.Wants, most) && to(h) {
				shares[i]++
				total--
				gave = true
			}
		}
		return gave
	}
	urgent := func(h holding) bool { return h.urgent(now) }
	anybody := func(holding) bool { return true }
	give(urgent, 1)
	for most := 1; total > 0; most++ {
		if !give(anybody, most) && most > 1 {
			break
		}
	}
	return shares
}

// lockPace locks the provider's row of provider_pace until tx ends.
func (s *Store) lockPace(ctx context.Context, tx pgx.Tx, provider string) error {
	const lock = `SELECT true FROM provider_pace WHERE provider = $1 FOR UPDATE`
	var there bool
	err := tx.QueryRow(ctx, lock, provider).Scan(&there)
	if !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	if _, err := tx.Exec(ctx, `INSERT INTO provider_pace (provider) VALUES ($1) ON CONFLICT DO NOTHING`, provider); err != nil {
		return err
	}
	return tx.QueryRow(ctx, lock, provider).Scan(&there)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
