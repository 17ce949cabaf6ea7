package rounds

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/registry"
	"github.com/keyrounds/keyrounds/secret"
)

// What a stream leases, and renews, and hands back.

const (
	leaseAhead = 200 * time.Millisecond // what is asked in that time is leased before there is a slot
	mostAhead  = 2000
	mostInHand = 1000 // results that wait to be stored, and nothing more is leased
)

// leased is a credential that a stream is to check.
type leased struct {
	credential.Credential
	lease  registry.Lease
	target checker.Target
	until  atomic.Int64 // by Options.Now; Unix nanoseconds

	// What it waited for since it was leased: its turn by the rate, the end of a pause, and else a slot.
	at          time.Time
	paced       time.Duration
	pausedUntil time.Time // zero: there was no pause
}

// waits says for what how long it waited, where its check begins now. It is pure.
func (l *leased) waits(now time.Time) (w checker.Waits) {
	left := max(0, now.Sub(l.at))
	if !l.pausedUntil.IsZero() { // which holds up everything else
		w.Pause = min(left, max(0, l.pausedUntil.Sub(l.at)))
	}
	w.Rate = min(left-w.Pause, l.paced)
	w.Concurrency = left - w.Pause - w.Rate
	return w
}

func (l *leased) over(now time.Time) bool { return now.UnixNano() >= l.until.Load() }

// lease leases what there is room for, and renews what is held, one transaction at a time.
func (s *stream) lease() {
	if s.placing {
		return
	}
	if s.Now().Sub(s.renewed) >= s.renewal() {
		s.renew()
		return
	}
	room := 0
	switch {
	case s.mayLease() && !s.Now().Before(s.look):
		room = s.room()
	case !s.mustAsk():
		return
	}
	s.placing, s.asked = true, s.Now()
	share := s.wants()
	s.do(func() func() {
		l, err := s.leaseOnce(share, room)
		return func() { s.take(l, err) }
	})
}

// mayLease: there is room for more, and nothing speaks against it.
func (s *stream) mayLease() bool {
	return !s.ended && !s.placing && len(s.results) <= mostInHand && s.session.Pause() == 0 && s.room() > 0
}

// mustAsk: it is time to ask for the share without leasing, and to look for a pause that another was asked for.
func (s *stream) mustAsk() bool { return !s.Now().Before(s.nextAsk()) }

// nextAsk: soon where it holds slots that others wait for and does not use them; each second while it does not use all, or
// something waits.
func (s *stream) nextAsk() time.Time {
	switch {
	case s.slots > s.limit && s.slots > s.flying:
		return later(s.asked.Add(soonLook), s.notBefore)
	case !s.ended && (len(s.queue) > 0 || s.slots > s.flying):
		return later(s.asked.Add(askEvery), s.notBefore)
	}
	return s.Now().Add(time.Hour)
}

// awayLook is how soon a stream asks again after the database did not answer.
const awayLook = 3 * time.Second

// askEvery is how often a stream asks for its share and for pauses at least, while it leases nothing.
const askEvery = time.Second

// room is how many more are to be leased: what the free slots can take now, and what ends in the next moment; no more than
// the rate allows in that time. None while the queue is half full.
func (s *stream) room() int {
	if s.provider.Passive { // they are moved on, and not asked
		return mostAhead
	}
	byRate := max(1, int(min(float64(s.provider.Rate)*leaseAhead.Seconds(), mostAhead+checker.MaxConcurrency)))
	if s.slots == 0 {
		return min(atOnce(s.provider), byRate)
	}
	ahead := min(mostAhead, int(s.speed.perSecond*leaseAhead.Seconds())+1)
	if s.limit == 0 || len(s.queue) > ahead/2 {
		return 0
	}
	return max(0, min(max(0, s.limit-s.flying)+ahead, byRate)-len(s.queue))
}

// wants is what the stream asks for: what it uses, and what it would use.
func (s *stream) wants() registry.Share {
	share := s.place
	share.Busy = max(s.flying, min(s.limit, s.slots))
	share.Wants = atOnce(s.provider)
	if s.ended {
		share.Busy, share.Wants = s.flying, 0
	}
	return share
}

// lot is what came of leasing.
type lot struct {
	leased       []*leased
	slots, share int
	progress     int           // credentials that are not due any more
	wait         time.Duration // until the provider's rate is free
	pause        time.Duration // until the provider may be asked, as it wants
	dry          bool
}

// leaseOnce leases what is due at the provider, up to room, counts it against the budget, books the rate, and writes
// down that it is about to be asked, in one transaction. What the provider may not be asked for moves to when it may.
func (s *stream) leaseOnce(share registry.Share, room int) (l lot, err error) {
	ctx, cancel := context.WithTimeout(s.ctx, storeTimeout)
	defer cancel()
	now, p := s.Now(), s.provider
	until := now.Add(s.leaseTime())
	err = pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		l = lot{}
		var err error
		if l.slots, l.share, err = s.Registry.Slots(ctx, tx, share, atOnce(p), now, until); err != nil || l.slots == 0 {
			return err
		}
		if l.pause, l.wait, err = s.mayAsk(ctx, tx, now); err != nil || l.pause > 0 || l.wait > 0 || room <= 0 {
			return err
		}
		room := min(room, l.slots+mostAhead)
		if share.Busy == 0 { // the first time the slots were not known
			room = min(room, l.slots)
		}
		due, err := s.Registry.Lease(ctx, tx, p.Name, now, until, room)
		if err != nil {
			return err
		}
		l.dry = len(due) < room
		allowed, err := s.ration(ctx, tx, due, p, now)
		if l.progress = len(due) - len(allowed); err != nil || len(allowed) == 0 {
			return err
		}
		if _, err := s.Registry.Pace(ctx, tx, p.Name, now, takes(p, len(allowed))); err != nil {
			return err
		}
		if err := s.Registry.Spend(ctx, tx, p.Name, now, len(allowed)); err != nil {
			return err
		}
		l.leased, err = s.intendLeased(ctx, tx, allowed, until)
		return err
	})
	return l, err
}

// mayAsk returns how long the provider is not to be asked: it asked somebody for a pause, or its rate is booked for longer
// than is leased ahead.
func (s *stream) mayAsk(ctx context.Context, tx pgx.Tx, now time.Time) (pause, wait time.Duration, err error) {
	booked, err := s.Registry.Booked(ctx, tx, s.provider.Name)
	if err != nil {
		return 0, 0, err
	}
	paused, err := s.Registry.Paused(ctx, tx, s.provider.Name)
	return max(0, paused.Sub(now)), max(0, booked.Sub(now.Add(leaseAhead))), err
}

// intendLeased makes the targets of what is leased, and writes down that they are about to be used: the ledger.
func (s *stream) intendLeased(ctx context.Context, tx pgx.Tx, ls []registry.Leased, until time.Time) ([]*leased, error) {
	ids := make([]int64, len(ls))
	for i, l := range ls {
		ids[i] = l.ID
	}
	worked, err := s.Audit.LastSuccesses(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	all, intents, now := make([]*leased, len(ls)), make([]audit.Intent, len(ls)), s.Now()
	for i, l := range ls {
		to := &leased{Credential: l.Credential, lease: l.Lease, at: time.Now()}
		to.until.Store(until.UnixNano())
		to.target = s.target(l.Credential, nil, worked[l.ID])
		to.target.Quiet = true
		to.target.Begin = func() bool { return !to.over(s.Now()) }
		all[i] = to
		intents[i] = audit.Intent{Check: to.target.ID, CredentialID: l.ID, At: now}
	}
	return all, s.Audit.Intend(ctx, tx, intents)
}

// target is a check to be of c, whose secret is read by read; nil: Resolve. worked is when a token was last issued to it.
func (r *Rounds) target(
	c credential.Credential,
	read func(context.Context, credential.Credential) (secret.Value, error),
	worked time.Time,
) checker.Target {
	if read == nil {
		read = r.Resolve
	}
	return checker.Target{
		ID: uuid.Must(uuid.NewV7()), Credential: c, Worked: worked.After(c.Changed),
		Secret: func(ctx context.Context) (secret.Value, error) { return read(ctx, c) },
	}
}

// take takes over what was leased.
func (s *stream) take(l lot, err error) {
	s.placing = false
	if err != nil {
		s.notBefore = s.Now().Add(awayLook)
		s.failed(err)
		return
	}
	s.hold(l.slots, l.share)
	if (s.limit == 0 || l.pause > 0) && len(s.queue) > 0 { // others come first, or nobody
		s.giveBack(s.queue)
		s.queue = nil
	}
	s.look, s.dry = time.Time{}, l.dry && l.progress == 0
	switch {
	case l.pause > 0:
		s.look = s.Now().Add(l.pause)
	case l.slots == 0:
		s.look = s.Now().Add(longLook)
	case l.wait > 0:
		s.look = s.Now().Add(l.wait)
	case l.dry:
		s.look = s.Now().Add(leaseAhead)
	}
	s.metrics.inFlight.Add(float64(len(l.leased)))
	for _, to := range l.leased {
		s.held[to.ID] = to
	}
	if s.ended {
		s.giveBack(l.leased)
		return
	}
	s.queue = append(s.queue, l.leased...)
}

// hold notes how many slots it has and may use. One that ended uses none for anything new.
func (s *stream) hold(slots, share int) {
	s.slots, s.limit = slots, min(slots, share)
	if s.ended {
		s.limit = 0
	}
}

// renew has the leases and the slots last for longer.
func (s *stream) renew() {
	s.placing, s.renewed = true, s.Now()
	share, now := s.wants(), s.Now()
	var ls []registry.Lease
	for _, to := range s.held {
		ls = append(ls, to.lease)
	}
	s.do(func() func() {
		ctx, cancel := context.WithTimeout(s.ctx, storeTimeout)
		defer cancel()
		until := now.Add(s.leaseTime())
		ids, err := s.Registry.Renew(ctx, ls, until)
		slots, of := 0, 0
		if err == nil {
			slots, of, err = s.share(ctx, share, s.provider)
		}
		return func() {
			s.placing = false
			if err != nil { // the next one comes in time
				s.Log.Warn("leases could not be renewed yet", "provider", s.provider.Name, "error", err)
				return
			}
			s.hold(slots, of)
			for _, id := range ids {
				if to, ok := s.held[id]; ok {
					to.until.Store(until.UnixNano())
				}
			}
		}
	})
}

// giveBack ends leases of which nothing came, and gives back what was counted. Where that fails, they end by
// themselves.
func (s *stream) giveBack(ls []*leased) {
	s.pending++
	s.do(func() func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), 2*time.Second)
		defer cancel()
		ids, leases, intents := make([]int64, len(ls)), make([]registry.Lease, len(ls)), make([]audit.Intent, len(ls))
		for i, to := range ls {
			ids[i], leases[i] = to.ID, to.lease
			intents[i] = audit.Intent{Check: to.target.ID, CredentialID: to.ID}
		}
		err := pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
			if err := s.Registry.Lock(ctx, tx, ids); err != nil {
				return err
			}
			if err := s.Registry.HandBack(ctx, tx, leases); err != nil {
				return err
			}
			if err := s.Audit.Withdraw(ctx, tx, intents); err != nil {
				return err
			}
			if _, err := s.Registry.Pace(ctx, tx, s.provider.Name, s.Now(), -takes(s.provider, len(ls))); err != nil {
				return err
			}
			return s.Registry.Spend(ctx, tx, s.provider.Name, s.Now(), -len(ls))
		})
		if err != nil {
			s.Log.Warn("leases were not handed back, and end by themselves", "credentials", len(ls), "error", err)
		}
		return func() {
			s.pending--
			s.drop(ls)
		}
	})
}

// drop forgets what is stored or handed back.
func (s *stream) drop(ls []*leased) {
	s.metrics.inFlight.Sub(float64(len(ls)))
	for _, to := range ls {
		if s.held[to.ID] == to { // it may be leased anew already
			delete(s.held, to.ID)
		}
	}
}
