package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/finding"
)

// Publish opens, changes and ends findings as evs say, in their order, writes each change into the record as
// Daemon's, and queues it to be told, all in tx: nobody is told of what did not happen, and nothing is forgotten. It
// returns the changes, for the log.
//
// Opening what is open already changes it only if the evidence says something new; uses and leaks are kept even if
// they do not, and nobody is told. Ending what is not open does nothing. It locks the findings that are open, by id as
// everybody who locks several does, but nothing against another transaction that opens the same finding at the same
// time: one of the two fails on the unique index. An error leaves tx to be rolled back.
func (s *Store) Publish(ctx context.Context, tx pgx.Tx, evs []finding.Event) ([]finding.Change, error) {
	if err := lockFindings(ctx, tx, evs); err != nil {
		return nil, err
	}
	var changes []finding.Change
	for _, e := range evs {
		change, err := s.apply(ctx, tx, e)
		if err != nil {
			return nil, fmt.Errorf("finding %s of %s: %w", e.Kind, e.Subject.Key(), err)
		}
		if change != nil {
			changes = append(changes, *change)
		}
	}
	return changes, s.publish(ctx, tx, Daemon, changes)
}

// lockFindings locks the open findings that several events are about: an incident withdraws those of credentials that
// somebody else retires.
func lockFindings(ctx context.Context, tx pgx.Tx, evs []finding.Event) error {
	if len(evs) < 2 {
		return nil
	}
	kinds, keys := make([]string, len(evs)), make([]string, len(evs))
	for i, e := range evs {
		kinds[i], keys[i] = string(e.Kind), e.Subject.Key()
	}
	_, err := tx.Exec(ctx, `
		SELECT FROM findings JOIN (SELECT DISTINCT * FROM unnest($1::text[], $2::text[]) AS e (kind, subject)) AS e USING (kind, subject)
		WHERE state <> 'resolved' ORDER BY id FOR UPDATE OF findings`, kinds, keys)
	return err
}

// publish records changes that actor made, and queues them to be told.
func (s *Store) publish(ctx context.Context, tx pgx.Tx, actor string, cs []finding.Change) error {
	if len(cs) == 0 {
		return nil
	}
	if err := s.recordChanges(ctx, tx, actor, cs); err != nil {
		return err
	}
	return s.queue(ctx, tx, cs)
}

func (s *Store) recordChanges(ctx context.Context, tx pgx.Tx, actor string, cs []finding.Change) error {
	var es []Entry
	for _, c := range cs {
		f := c.Finding
		action := "finding." + string(f.State)
		switch {
		case c.From == "":
			action = "finding.opened"
		case c.From == f.State:
			action = "finding.changed"
		case f.State == finding.Open:
			action = "finding.reopened"
		case f.Withdrawn:
			action = "finding.withdrawn"
		}
		e, err := NewEntry(f.UpdatedAt, actor, action, f.Subject.Key(), map[string]any{
			"finding":       f.ID,
			"kind":          f.Kind,
			"severity":      f.Severity,
			"why":           f.ResolvedWhy,
			"false_alarm":   f.FalseAlarmWhy,
			"snoozed_until": nullTime(f.SnoozedUntil),
			"evidence":      f.Evidence,
		})
		if err != nil {
			return err
		}
		es = append(es, e)
	}
	return s.Append(ctx, tx, es...)
}

func (s *Store) apply(ctx context.Context, tx pgx.Tx, e finding.Event) (*finding.Change, error) {
	old, err := findOne(ctx, tx, `kind = $1 AND subject = $2 AND state <> 'resolved' FOR UPDATE`, e.Kind, e.Subject.Key())
	exists := err == nil
	if err != nil && !errors.Is(err, finding.ErrNotFound) {
		return nil, err
	}
	severity, raised := old.Severity, false
	if exists && e.Op == finding.OpOpen && e.Severity().Above(old.Severity) {
		severity, raised = e.Severity(), true
	}
	switch {
	case e.Op == finding.OpOpen && !exists:
		f, err := insertFinding(ctx, tx, e)
		return &finding.Change{Finding: f}, err
	case e.Op == finding.OpOpen && (raised || SaysMore(old.Evidence, e.Evidence)):
		f, err := updateFinding(ctx, tx, `evidence = $2, updated_at = $3, severity = $4`,
			old.ID, e.Evidence.After(old.Evidence), e.At, severity)
		return &finding.Change{Finding: f, From: old.State}, err
	case e.Op == finding.OpOpen && (len(e.Evidence.Uses) > 0 || e.Evidence.Leak != nil): // the same again: kept, and nobody is told
		_, err := updateFinding(ctx, tx, `evidence = $2`, old.ID, e.Evidence.After(old.Evidence))
		return nil, err
	case e.Op == finding.OpWithdraw && exists:
		f, err := updateFinding(ctx, tx,
			`state = 'resolved', withdrawn = true, resolved_at = $2, updated_at = $2, resolved_why = $3`, old.ID, e.At, e.Why)
		return &finding.Change{Finding: f, From: old.State}, err
	case e.Op == finding.OpResolve && exists:
		f, err := updateFinding(ctx, tx, `state = 'resolved', resolved_at = $2, updated_at = $2, resolved_why = $3`, old.ID, e.At, e.Why)
		return &finding.Change{Finding: f, From: old.State}, err
	}
	return nil, nil
}

// SaysMore reports whether now says something that a person would act on and old does not; times and counts move with
// every check.
func SaysMore(old, now finding.Evidence) bool {
	for _, u := range now.Uses {
		i := slices.IndexFunc(old.Uses, func(o finding.Use) bool { return o.Network == u.Network })
		if i < 0 || u.Uses > 0 && old.Uses[i].Uses == 0 {
			return len(old.Uses) < maxNetworks
		}
	}
	return leakSaysMore(old.Leak, now.Leak) || !slices.Equal(old.UnusedScopes, now.UnusedScopes) ||
		!slices.Equal(old.Affected, now.Affected) || !slices.Equal(old.Providers, now.Providers) ||
		!slices.Equal(old.MissingScopes, now.MissingScopes) ||
		old.Suspected != now.Suspected || old.GotOut != now.GotOut || old.Certain != now.Certain || old.Ahead != now.Ahead ||
		!old.ExpiresAt.Equal(now.ExpiresAt) ||
		now.ExpiresBy != "" && now.Outcome == "" && old.Message != now.Message // of an end
}

func leakSaysMore(old, now *finding.Leak) bool {
	if old == nil || now == nil {
		return old != now
	}
	works := func(l *finding.Leak) string {
		if l.Works == nil {
			return ""
		}
		return fmt.Sprint(*l.Works)
	}
	return old.Total != now.Total || old.Confidence != now.Confidence || works(old) != works(now) || len(old.Deaths) != len(now.Deaths) ||
		!old.Replaced.Equal(now.Replaced) || old.Unknown != now.Unknown || !slices.Equal(old.Proven, now.Proven)
}

// After so many networks another one is no news.
const maxNetworks = 16
