package rounds

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/registry"
)

// Rules of the finding that a provider's checks fall behind:
//
//  1. It opens when the credential that waits longest is overdue by more than its own interval: whole checks are left
//     out. Where the schedules do not ask for more than is possible that may pass, and it must be overdue by two minutes as
//     well.
//  2. Only time counts in which it could have been checked: while sweeps went on, and after a pause that the provider
//     asked for. While it asks for one, is out of budget or passive, nothing opens.
//  3. It ends when what waits longest is overdue by no more than half of that, or nothing of the provider is checked
//     any more.

// leastBehind is how late a check is allowed to be whatever its interval: a sweep, a slow answer, a restart.
const leastBehind = 2 * time.Minute

// leastOverloaded is how late it is allowed to be where more is asked than is possible: a few sweeps.
const leastOverloaded = 20 * time.Second

// backlog is what waits at a provider.
type backlog struct {
	Provider checker.Provider
	Longest  registry.Longest // the credential that waits longest
	Interval time.Duration    // of its schedule, and no less than min_interval
	Since    time.Time        // since when it could have been checked, had it been due
	Held     bool             // the provider may not be asked now: a pause, or its budget
	Asked    float64          // checks a second that the schedules of all its credentials ask for
	Latency  time.Duration    // that checks take; 0: not known
	Open     bool             // the finding
}

// judge says what becomes of the finding at now: OpOpen, OpResolve, or "" for nothing. It is pure.
func (b backlog) judge(now time.Time) (op finding.Op, why string) {
	bears := max(b.Interval, leastBehind)
	if b.overloaded() {
		bears = max(b.Interval, leastOverloaded)
	}
	late := now.Sub(later(b.Longest.Due, b.Since))
	switch {
	case b.Open && (b.Provider.Passive || b.Longest.Waiting == 0):
		return finding.OpResolve, "nothing of it waits for a check any more"
	case b.Provider.Passive, b.Held, b.Longest.Waiting == 0:
		return "", ""
	case late > bears:
		return finding.OpOpen, ""
	case b.Open && late <= bears/2:
		return finding.OpResolve, "its checks keep up again"
	}
	return "", ""
}

// overloaded: the schedules ask for clearly more than is possible, so that it does not pass by itself.
func (b backlog) overloaded() bool {
	c := checker.Capacity{Provider: b.Provider, Latency: b.Latency}
	return b.Latency > 0 && b.Asked > 1.1*c.PerSecond()
}

// message says what is asked, what is possible, and what would do. It is pure.
func (b backlog) message() string {
	c := checker.Capacity{Provider: b.Provider, Latency: b.Latency}
	text := fmt.Sprintf("Its schedules ask for %s checks a second, and %s are possible (%s).",
		checker.Rounded(b.Asked), checker.Rounded(c.PerSecond()), c.Limits())
	if remedy := c.Remedy(b.Asked); remedy != "" {
		return text + " What would do: " + remedy + "."
	}
	return text + " That should do: they catch up, or something else holds them up, such as the database or too few workers."
}

func (b backlog) event(op finding.Op, why string, now time.Time) finding.Event {
	e := finding.Event{Op: op, Kind: finding.FallingBehind, Subject: finding.Subject{Provider: b.Provider.Name}, At: now, Why: why}
	if op == finding.OpOpen {
		e.Evidence = finding.Evidence{Since: later(b.Longest.Due, b.Since), Answer: finding.Answer{Message: b.message()}}
	}
	return e
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// judgeBehind opens and ends the findings of providers whose checks fall behind, in one transaction.
func (r *Rounds) judgeBehind(ctx context.Context) error {
	if err := r.endWide(ctx); err != nil {
		return err
	}
	open, err := r.Audit.Findings(ctx, audit.Filter{Kind: finding.FallingBehind})
	if err != nil {
		return err
	}
	var changes []finding.Change
	now := r.Now()
	err = pgx.BeginFunc(ctx, r.Pool, func(tx pgx.Tx) error {
		longest, err := r.Registry.LongestDue(ctx, tx, now)
		if err != nil {
			return err
		}
		since, err := r.Registry.SweptSince(ctx, tx, now)
		if err != nil || since.IsZero() {
			return err
		}
		for _, f := range open { // also of those of which nothing is due
			if _, ok := longest[f.Subject.Provider]; !ok {
				longest[f.Subject.Provider] = registry.Longest{}
			}
		}
		var events []finding.Event
		for _, name := range slices.Sorted(maps.Keys(longest)) {
			b := backlog{Provider: r.provider(name), Longest: longest[name], Since: since}
			b.Open = slices.ContainsFunc(open, func(f finding.Finding) bool { return f.Subject.Provider == name })
			if err := r.weighBacklog(ctx, tx, &b, now); err != nil {
				return err
			}
			op, why := b.judge(now)
			if op == "" || op == finding.OpOpen && b.Open {
				continue // the message of one that is open stays: it is no news that the numbers differ
			}
			events = append(events, b.event(op, why, now))
		}
		changes, err = r.Audit.Publish(ctx, tx, events)
		return err
	})
	if err == nil {
		r.tellChanges(ctx, changes)
	}
	return err
}

// weighBacklog fills in what is not known of b yet. What is not late needs no more than its interval.
func (r *Rounds) weighBacklog(ctx context.Context, tx pgx.Tx, b *backlog, now time.Time) error {
	b.Interval = intervalAt(b.Longest.Schedule, b.Provider)
	if now.Sub(later(b.Longest.Due, b.Since)) <= b.Interval {
		return nil
	}
	paused, err := r.Registry.Paused(ctx, tx, b.Provider.Name)
	if err != nil {
		return err
	}
	b.Since, b.Held = later(b.Since, paused), paused.After(now)
	if b.Provider.Budget > 0 {
		spent, err := r.Registry.Spent(ctx, tx, b.Provider.Name, now)
		if err != nil {
			return err
		}
		b.Held = b.Held || affordable(b.Provider.Budget, spent+1, now).After(now)
	}
	schedules, err1 := r.Registry.Schedules(ctx, tx, b.Provider.Name)
	for schedule, n := range schedules {
		b.Asked += float64(n) / intervalAt(schedule, b.Provider).Seconds()
	}
	latency, err2 := r.Audit.Latency(ctx, tx, b.Provider.Name)
	b.Latency = latency
	return errors.Join(err1, err2)
}

// intervalAt is the time between two checks of a schedule at p. One that cannot be read is checked daily.
func intervalAt(schedule string, p checker.Provider) time.Duration {
	s, err := credential.ParseSchedule(schedule, time.UTC)
	if err != nil {
		return max(24*time.Hour, p.MinInterval)
	}
	return max(s.Interval(), p.MinInterval)
}
