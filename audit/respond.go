package audit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/finding"
)

// LockFinding returns a finding, which nobody else changes until tx ends. The error wraps finding.ErrNotFound.
func (s *Store) LockFinding(ctx context.Context, tx pgx.Tx, id int64) (finding.Finding, error) {
	f, err := findOne(ctx, tx, `id = $1 FOR UPDATE`, id)
	if errors.Is(err, finding.ErrNotFound) {
		err = fmt.Errorf("%w: %d", err, id)
	}
	return f, err
}

// Unacknowledge opens a finding again that somebody looked after, also one that was called a false alarm and still holds. One that
// is not acknowledged stays as it is. Errors and record are as with Acknowledge.
func (s *Store) Unacknowledge(ctx context.Context, tx pgx.Tx, actor string, id int64, now time.Time) (finding.Change, error) {
	return s.act(ctx, tx, actor, id, func(old finding.Finding) (finding.Finding, error) {
		if old.State != finding.Acknowledged {
			return old, errUnchanged
		}
		return updateFinding(ctx, tx, `state = 'open', acknowledged_by = '', acknowledged_at = NULL, false_alarm_by = '',
			false_alarm_why = '', updated_at = $2`, id, now)
	})
}

// Unsnooze opens a finding again that was put aside. One that is not stays as it is. Errors and record are as with Acknowledge.
func (s *Store) Unsnooze(ctx context.Context, tx pgx.Tx, actor string, id int64, now time.Time) (finding.Change, error) {
	return s.act(ctx, tx, actor, id, func(old finding.Finding) (finding.Finding, error) {
		if old.State != finding.Snoozed {
			return old, errUnchanged
		}
		return updateFinding(ctx, tx, `state = 'open', snoozed_until = NULL, updated_at = $2`, id, now)
	})
}

// Assign says who is to look after a finding; "": nobody. It is in the record as finding.assigned; nobody is told. The errors are
// those of Acknowledge.
func (s *Store) Assign(ctx context.Context, tx pgx.Tx, actor string, id int64, to string, now time.Time) (finding.Finding, error) {
	f, err := s.LockFinding(ctx, tx, id)
	switch {
	case err != nil || f.AssignedTo == to:
		return f, err
	case f.State == finding.Resolved:
		return f, fmt.Errorf("finding %d %w since %s", id, ErrResolved, f.ResolvedAt.Format(time.RFC3339))
	}
	if f, err = updateFinding(ctx, tx, `assigned_to = $2, updated_at = $3`, id, to, now); err != nil {
		return f, err
	}
	return f, s.appendSaid(ctx, tx, actor, "finding.assigned", f, to, now)
}

// Comment writes what somebody says of a finding, resolved or not, into the record, as finding.commented. text must be clean.
// The error wraps finding.ErrNotFound where there is no such finding.
func (s *Store) Comment(ctx context.Context, tx pgx.Tx, actor string, id int64, text string, now time.Time) (finding.Finding, error) {
	f, err := s.LockFinding(ctx, tx, id)
	if err != nil {
		return f, err
	}
	return f, s.appendSaid(ctx, tx, actor, "finding.commented", f, text, now)
}

func (s *Store) appendSaid(ctx context.Context, tx pgx.Tx, actor, action string, f finding.Finding, text string, now time.Time) error {
	e, err := NewEntry(now, actor, action, f.Subject.Key(), map[string]any{"finding": f.ID, "kind": f.Kind, "text": text})
	if err != nil {
		return err
	}
	return s.Append(ctx, tx, e)
}
