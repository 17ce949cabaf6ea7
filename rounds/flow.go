package rounds

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"go.opentelemetry.io/otel/attribute"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/registry"
	"github.com/keyrounds/keyrounds/secret"
	"github.com/keyrounds/keyrounds/verdict"
)

// The flow, one direction, no way back:
//
//	sweep: providers with something due ─▶ streams
//	stream (stream.go): leases (lot.go) ─▶ secrets ─▶ checks (ask.go) ─▶ store, all at the same time
//	store: verdict ─▶ record, findings, outbox, the next time: one transaction, of the leases that are still its own
//	work: an order of somebody else than the rounds: secrets ─▶ checks ─▶ store

// sweep begins a stream for each provider that has something due and nobody who works on it, in one transaction.
func (r *Rounds) sweep(ctx context.Context, complete func(context.Context, pgx.Tx) error) (err error) {
	now := r.Now()
	tx, err := r.Pool.Begin(ctx)
	if err != nil {
		return err
	}
	defer rollback(ctx, tx)
	if err := r.Registry.Swept(ctx, tx, now); err != nil {
		return err
	}
	providers, err := r.Registry.DueProviders(ctx, tx, now, patience)
	if err != nil {
		return err
	}
	if providers, err = r.leaveToHolders(ctx, tx, providers, now); err != nil {
		return err
	}
	if err := r.begin(ctx, tx, providers...); err != nil {
		return err
	}
	if _, err := r.Audit.Awaken(ctx, tx, now, r.settings.Load().Forgotten); err != nil {
		return err
	}
	if err := complete(ctx, tx); err != nil {
		return err
	}
	return tx.Commit(ctx)
}

// holderTime is how long after the database was away nobody else begins where leases lapsed meanwhile: their holders have
// results in hand, and try every few seconds to store them.
const holderTime = 10 * time.Second

// leaveToHolders leaves out of providers those whose holders are to store first what they have.
func (r *Rounds) leaveToHolders(ctx context.Context, tx pgx.Tx, providers []string, now time.Time) ([]string, error) {
	resumed, err := r.Registry.Resumed(ctx, tx)
	if err != nil || len(providers) == 0 || now.Sub(resumed) >= holderTime {
		return providers, err
	}
	lapsed, err := r.Registry.Lapsed(ctx, tx, now)
	return slices.DeleteFunc(providers, func(p string) bool { return slices.Contains(lapsed, p) }), err
}

// work checks what an order names, now, and stores what came of it.
func (r *Rounds) work(ctx context.Context, o Order) (_ []Judged, err error) {
	settings, began := r.settings.Load(), r.Now()
	ctx, span := r.span(ctx, "batch", began, providerName(o.Provider), attribute.Int("keyrounds.credentials", len(o.Credentials)))
	defer func() { end(span, err) }()
	results, _, leave, err := r.Exchange(ctx, o)
	defer leave()
	if err != nil {
		return nil, err
	}
	r.traceChecks(ctx, results)
	results, unread := r.recorded(results)
	creds := unchecked(o.Credentials, unread)
	judged, changes, err := r.store(ctx, settings, o, creds, results)
	if err != nil {
		return nil, err
	}
	r.tell(ctx, o, judged, changes, r.Now().Sub(began))
	return append(judged, unread...), nil
}

// recorded leaves out what a command could not read: its shell is not the daemon's. Those results are shown,
// with the status unknown.
func (r *Rounds) recorded(results []checker.Result) (kept []checker.Result, unread []Judged) {
	if r.Daemon {
		return results, nil
	}
	for _, res := range results {
		if res.Reason == checker.SecretUnreadable {
			unread = append(
				unread,
				Judged{
					res,
					verdict.State{
						CredentialID: res.CredentialID,
						Credential:   res.Credential,
						Provider:     res.Provider,
						Status:       verdict.Unknown,
					},
				},
			)
			continue
		}
		kept = append(kept, res)
	}
	return kept, unread
}

// Resolve reads the secret that a credential has now, from the host or sealed; the caller wipes it. Errors wrap
// secret.ErrUnreadable. Whoever follows leaks sees what was read, unless this
// is a command whose shell may have another secret than the daemon.
func (r *Rounds) Resolve(ctx context.Context, c credential.Credential) (v secret.Value, err error) {
	defer func() {
		r.metrics.resolved(c.Secret.Scheme(), err)
		renewed := r.settings.Load().Providers[c.Provider].AuthMethod.Renewed() // each is another one, and soon of no use to anybody
		if err == nil && !renewed && r.tellsOfDaemon(ctx, c.Secret, c.KeyPassphrase) {
			r.exposure.Seen(ctx, c, v)
		}
	}()
	if c.Secret != secret.Sealed || c.Sealed == nil {
		return secret.ResolveKey(ctx, c.Secret, c.KeyPassphrase)
	}
	if r.Sealing == nil {
		return secret.Value{}, fmt.Errorf("%w: nothing opens what is sealed here", secret.ErrUnreadable)
	}
	return r.Sealing.Open(c.Sealed, c.Name)
}

// Judged is a result and the state that the verdict made of it. Of a check that a daemon made for this process, the
// state has names and status only.
type Judged struct {
	Result checker.Result
	State  verdict.State
}

// store judges and records the results of o's credentials in one transaction. Where the database is away it tries
// again for keepResults, so that what was seen is not lost.
func (r *Rounds) store(
	ctx context.Context,
	s *Settings,
	o Order,
	creds []credential.Credential,
	results []checker.Result,
) ([]Judged, []finding.Change, error) {
	var (
		judged  []Judged
		changes []finding.Change
		again   bool // the commit was tried, and no answer came
	)
	ctx, cancel := context.WithTimeout(ctx, keepResults)
	defer cancel()
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 3*time.Second) {
		js, cs, err := r.storeOnce(ctx, s, o, creds, results, again)
		if js != nil {
			judged, changes, again = js, cs, true
		}
		if err == nil || errors.Is(err, errStored) {
			return judged, changes, nil
		}
		if ctx.Err() != nil {
			return nil, nil, err
		}
		r.Log.Warn("results could not be stored yet", "results", len(results), "error", err)
		select {
		case <-ctx.Done():
			return nil, nil, err
		case <-time.After(wait):
		}
	}
}

const storeTimeout = 10 * time.Second

var errStored = errors.New("the results are stored already")

// storeOnce returns what it judged also where the commit failed: it may have been done, and only its
// answer been lost. The next try, with again, finds out.
func (r *Rounds) storeOnce(
	ctx context.Context,
	s *Settings,
	o Order,
	creds []credential.Credential,
	results []checker.Result,
	again bool,
) ([]Judged, []finding.Change, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	tx, err := r.Pool.Begin(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer rollback(ctx, tx)
	newest, err := r.Registry.LockLeases(ctx, tx, batch{creds: creds}.ids())
	if err != nil {
		return nil, nil, err
	}
	if again { // under the locks, which a commit still under way holds
		if err := r.stored(ctx, tx, results); err != nil {
			return nil, nil, err
		}
	}
	results = r.fenced(o, results, newest)
	fleet, err := r.Audit.LockFleet(ctx, tx, results, checker.Neighbours(s.Providers, o.Provider))
	if err != nil {
		return nil, nil, err
	}
	fleet.Lockout = s.Providers[o.Provider].Lockout
	for _, list := range [][]verdict.Other{fleet.Others, fleet.Neighbours} {
		for i := range list {
			list[i].Lockout = s.Providers[list[i].Provider].Lockout
		}
	}
	if err := r.corroborate(ctx, tx, &fleet, results); err != nil {
		return nil, nil, err
	}
	states, events := verdict.Judge(fleet, results, s.Policy)
	rested(events, s.Providers[o.Provider].MinInterval)
	results = slices.Clone(results) // a try that failed is followed by another
	for i := range results {
		results[i].Message = verdict.Explain(results[i], states[i])
	}
	if err := r.Audit.Record(ctx, tx, results, states); err != nil {
		return nil, nil, err
	}
	if events, err = r.weigh(ctx, tx, results, events); err != nil {
		return nil, nil, err
	}
	if err := r.Audit.SetNextLooks(ctx, tx, r.nextLooks(s, o, creds, states)); err != nil {
		return nil, nil, err
	}
	changes, err := r.Audit.Publish(ctx, tx, events)
	if err != nil {
		return nil, nil, err
	}
	if judgedBy(fleet, states) {
		if err := r.JudgeSoon(ctx, tx); err != nil {
			return nil, nil, err
		}
	}
	if err := r.reschedule(ctx, tx, s, o, creds, results, states); err != nil {
		return nil, nil, err
	}
	if err := r.hasten(ctx, tx, s, verdict.Wishes(fleet, results, states, s.Policy)); err != nil {
		return nil, nil, err
	}
	judged := make([]Judged, len(results))
	for i := range results {
		judged[i] = Judged{results[i], states[i]}
	}
	return judged, changes, tx.Commit(ctx)
}

// nextLooks returns when what is refused is looked at again, for its finding.
func (r *Rounds) nextLooks(s *Settings, o Order, creds []credential.Credential, states []verdict.State) []audit.NextLook {
	var looks []audit.NextLook
	for _, st := range states {
		if st.Status != verdict.Suspect && st.Status != verdict.Revoked {
			continue
		}
		i := slices.IndexFunc(creds, func(c credential.Credential) bool { return c.ID == st.CredentialID })
		if i < 0 {
			continue
		}
		at, _ := Decide(creds[i], s.Providers[o.Provider], st, Load{}, r.schedules, r.Now())
		looks = append(looks, audit.NextLook{
			Subject: finding.Subject{Credential: st.Credential, CredentialID: st.CredentialID, Provider: st.Provider}, At: at,
		})
	}
	return looks
}

// rested has what events say of the next look be no sooner than its provider's min_interval allows, as Decide does.
func rested(events []finding.Event, least time.Duration) {
	for i := range events {
		e := &events[i]
		if soonest := e.At.Add(least); !e.Evidence.NextCheck.IsZero() && e.Evidence.NextCheck.Before(soonest) && !e.Evidence.Suspected {
			e.Evidence.NextCheck = soonest
		}
	}
}

// stored is errStored where the transaction before did commit. Some of its results may have been fenced off.
func (r *Rounds) stored(ctx context.Context, tx pgx.Tx, results []checker.Result) error {
	for _, res := range results {
		if is, err := r.Audit.Stored(ctx, tx, res); err != nil {
			return err
		} else if is {
			return errStored
		}
	}
	return nil
}

// fenced leaves out results whose lease is not the newest of its credential any more: this process slept, and the
// credential was handed to another. Results without a lease stay. newest is read under the locks of the credentials.
func (r *Rounds) fenced(o Order, results []checker.Result, newest map[int64]int64) []checker.Result {
	if len(o.Leases) == 0 {
		return results
	}
	late := map[int64]bool{}
	for _, l := range o.Leases {
		late[l.Credential] = newest[l.Credential] != l.Number
	}
	kept := slices.DeleteFunc(slices.Clone(results), func(res checker.Result) bool { return late[res.CredentialID] })
	if n := len(results) - len(kept); n > 0 {
		r.Log.Warn("results came too late and are dropped: another process had their leases by then", "provider", o.Provider, "results", n)
	}
	return kept
}

// corroborate adds what feeds of the provider's own log say, where something was refused.
func (r *Rounds) corroborate(ctx context.Context, tx pgx.Tx, f *verdict.Fleet, results []checker.Result) error {
	var ids []int64
	since := time.Time{}
	for _, res := range results {
		if res.Outcome != checker.Rejected {
			continue
		}
		ids = append(ids, res.CredentialID)
		if last := f.States[res.CredentialID].LastSuccess; since.IsZero() || last.Before(since) {
			since = last
		}
	}
	if len(ids) == 0 {
		return nil
	}
	of, unsaid, err := r.Usage.Revocations(ctx, tx, f.Provider, ids, since.Add(-time.Minute))
	if err != nil {
		return err
	}
	f.Told = map[int64]verdict.Revocation{}
	for id, v := range of {
		f.Told[id] = verdict.Revocation{At: v.At, By: v.Actor, Feed: v.Feed}
	}
	for _, v := range unsaid {
		f.Unsaid = append(f.Unsaid, verdict.Revocation{At: v.At, By: v.Actor, Feed: v.Feed})
	}
	return nil
}

// reschedule moves on what was checked, to when the verdict or the schedule wants it, and hands back leases of what was
// not. A check without a lease moves a credential only where it was due, or for a reason that the check settled, or
// where the verdict wants it.
func (r *Rounds) reschedule(
	ctx context.Context,
	tx pgx.Tx,
	s *Settings,
	o Order,
	creds []credential.Credential,
	results []checker.Result,
	states []verdict.State,
) error {
	var (
		due  []registry.Settled
		back []registry.Lease
		now  = r.Now()
	)
	leases, at := map[int64]registry.Lease{}, map[int64]int{}
	for _, l := range o.Leases {
		leases[l.Credential] = l
	}
	for i, res := range results {
		at[res.CredentialID] = i
	}
	for _, c := range creds {
		lease := leases[c.ID]
		i, checked := at[c.ID]
		if !checked {
			if lease.Number > 0 {
				back = append(back, lease)
			}
			continue
		}
		p := s.Providers[c.Provider]
		next, why := Decide(c, p, states[i], Load{}, r.schedules, now)
		move := lease.Number > 0 || !c.NextCheck.After(results[i].At)
		if !move {
			scheduled, usual := Decide(c, p, verdict.State{}, Load{}, r.schedules, now)
			move = c.NextWhy != "" && c.NextWhy != usual || !next.Equal(scheduled)
		}
		if move {
			due = append(due, settled(c, lease, next, why))
		}
	}
	if err := r.Registry.Settle(ctx, tx, due); err != nil {
		return err
	}
	return r.Registry.HandBack(ctx, tx, back)
}

var errStale = errors.New("this run was given up and its job handed to another")

// fence completes a job in tx, and fails where the job is not this run's any more: River would complete one that was
// rescued and runs elsewhere.
func fence[T river.JobArgs](job *river.Job[T]) func(context.Context, pgx.Tx) error {
	return func(ctx context.Context, tx pgx.Tx) error {
		var (
			state   rivertype.JobState
			attempt int
		)
		err := tx.QueryRow(ctx, `SELECT state, attempt FROM river_job WHERE id = $1 FOR UPDATE`, job.ID).Scan(&state, &attempt)
		if errors.Is(err, pgx.ErrNoRows) || err == nil && (state != rivertype.JobStateRunning || attempt != job.Attempt) {
			return errStale
		}
		if err != nil {
			return err
		}
		done, err := river.JobCompleteTx[*riverDriver](ctx, tx, job)
		if err == nil && (done.State != rivertype.JobStateCompleted || done.Attempt != job.Attempt) {
			return errStale
		}
		return err
	}
}

func rollback(ctx context.Context, tx pgx.Tx) { _ = tx.Rollback(context.WithoutCancel(ctx)) }
