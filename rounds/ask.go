package rounds

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"go.opentelemetry.io/otel/attribute"

	"github.com/keyrounds/keyrounds/checker"
)

// How a stream asks, and stores what comes.

const (
	storeEvery  = 100 * time.Millisecond // no result waits longer for others to be stored with
	storeFrom   = 200                    // so many do not wait
	storeMost   = 500                    // in one transaction
	mostStoring = 2                      // transactions at once: while the server works on one, the next is made
	keepResults = 5 * time.Minute        // while the database is away
)

// answer is what came of a check.
type answer struct {
	of     *leased
	result checker.Result
	came   time.Time
}

// ask begins the checks that may begin now.
func (s *stream) ask() {
	for len(s.queue) > 0 && s.flying < s.limit && !s.ended {
		if pause := s.session.Pause(); pause > 0 {
			s.queue[0].pausedUntil = time.Now().Add(pause)
			if pause > checker.LongestPause {
				s.end(nil)
			}
			return
		}
		if s.turn == nil {
			delay := s.session.Turn()
			at := time.Now().Add(delay)
			s.turn, s.queue[0].paced = &at, delay
		}
		if time.Until(*s.turn) > 0 {
			return
		}
		s.turn = nil
		to := s.queue[0]
		s.queue = s.queue[1:]
		s.flying++
		if s.flying > s.workers {
			s.workers++
			go s.answerAll()
		}
		s.todo <- to
	}
}

// answerAll makes checks, one after the other: a goroutine for each would have to grow its stack each time.
func (s *stream) answerAll() {
	for to := range s.todo {
		waits := to.waits(time.Now())
		r, begun := s.check(to)
		r.Waits = waits
		s.events <- func() { s.came(to, r, begun) }
	}
}

// check makes one check. A provider that is not in the configuration is not asked: its result says so.
func (s *stream) check(to *leased) (r checker.Result, begun bool) {
	if !s.known {
		why := fmt.Errorf("the provider %q is not in the configuration", s.provider.Name)
		return s.Checker.Fail(s.provider, []checker.Target{to.target}, why)[0], true
	}
	return s.session.Check(s.ctx, s.optional, to.target)
}

// came takes in what came of a check.
func (s *stream) came(to *leased, r checker.Result, begun bool) {
	s.flying--
	s.speed.count(1, s.Now())
	if !begun {
		s.giveBack([]*leased{to})
		return
	}
	if s.known {
		s.metrics.requested(s.provider.Name, scheduled, r.Outcome)
	}
	if r.RetryAfter > 0 {
		s.keepAway(r.RetryAfter)
	}
	s.results = append(s.results, answer{to, r, s.Now()})
}

// keepAway has everybody leave the provider alone, as it asked.
func (s *stream) keepAway(pause time.Duration) {
	until := s.Now().Add(pause)
	s.pending++
	s.do(func() func() {
		err := s.patiently(s.ctx, func(ctx context.Context) error {
			return pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error { return s.Registry.Pause(ctx, tx, s.provider.Name, until) })
		})
		return func() {
			s.pending--
			if err != nil {
				s.Log.Warn("it is not known to others that the provider asked for a pause", "provider", s.provider.Name, "error", err)
			}
		}
	})
}

// store stores the results that waited long enough, or are many.
func (s *stream) store() {
	n := len(s.results)
	last := s.flying == 0 && len(s.queue) == 0 && !s.placing
	if s.storing >= mostStoring || n == 0 || n < storeFrom && !last && s.Now().Sub(s.results[0].came) < storeEvery {
		return
	}
	n = min(n, storeMost)
	batch := s.results[:n:n]
	s.results = s.results[n:]
	if s.storing++; s.storing == 1 {
		s.storesSince.Store(time.Now().UnixNano())
	}
	s.do(func() func() {
		judged, err := s.storeBatch(batch)
		return func() {
			if s.storing--; s.storing == 0 {
				s.storesSince.Store(0)
			}
			done := make([]*leased, len(batch))
			for i, a := range batch {
				done[i] = a.of
			}
			s.drop(done)
			s.sum = s.sum.plus(count(judged))
			if err != nil {
				s.Log.Error(
					"results are lost: the database was away for too long",
					"provider",
					s.provider.Name,
					"results",
					len(batch),
					"error",
					err,
				)
				s.failed(err)
			}
		}
	})
}

// storeBatch judges and stores results.
func (s *stream) storeBatch(batch []answer) (judged []Judged, err error) {
	o := Order{Purpose: scheduled, Provider: s.provider.Name}
	results, targets := make([]checker.Result, len(batch)), make([]checker.Target, len(batch))
	began := batch[0].result.At
	for i, a := range batch {
		results[i], targets[i] = a.result, a.of.target
		o.Credentials, o.Leases = append(o.Credentials, a.of.Credential), append(o.Leases, a.of.lease)
		if a.result.At.Before(began) {
			began = a.result.At
		}
	}
	ctx, span := s.span(s.ctx, "batch", began, providerName(o.Provider), attribute.Int("keyrounds.credentials", len(batch)))
	defer func() { end(span, err) }()
	s.session.Control(s.optional, results, targets)
	s.traceChecks(ctx, results)
	judged, changes, err := s.Rounds.store(ctx, s.settings, o, o.Credentials, results)
	if err == nil {
		s.tell(ctx, o, judged, changes, s.Now().Sub(began))
	}
	return judged, err
}
