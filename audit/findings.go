package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/finding"
)

// ErrResolved is returned where somebody acts on a finding that is over.
var ErrResolved = errors.New("is resolved")

// OpenOf returns the findings of some kinds that are not resolved, the oldest first. It locks none of them.
func (s *Store) OpenOf(ctx context.Context, tx pgx.Tx, kinds ...finding.Kind) ([]finding.Finding, error) {
	return find(ctx, tx, `state <> 'resolved' AND kind = ANY($1) ORDER BY id`, kinds)
}

// CloseAll resolves every finding of credentials but that they leaked: the registry says nothing of secrets. at is
// when they are resolved, and why says so in words. It locks the findings; those that are resolved already stay as
// they are. The changes are recorded as actor's, and queued to be told, in tx.
func (s *Store) CloseAll(
	ctx context.Context,
	tx pgx.Tx,
	actor string,
	subjects []finding.Subject,
	at time.Time,
	why string,
) ([]finding.Change, error) {
	if len(subjects) == 0 {
		return nil, nil
	}
	keys := make([]string, len(subjects))
	for i, s := range subjects {
		keys[i] = s.Key()
	}
	open, err := find(ctx, tx, `subject = ANY($1) AND state <> 'resolved' AND kind <> $2 ORDER BY id FOR UPDATE`, keys, finding.Leaked)
	if err != nil {
		return nil, err
	}
	var changes []finding.Change
	for _, old := range open {
		f, err := updateFinding(ctx, tx, `state = 'resolved', resolved_at = $2, updated_at = $2, resolved_why = $3`, old.ID, at, why)
		if err != nil {
			return nil, err
		}
		changes = append(changes, finding.Change{Finding: f, From: old.State})
	}
	return changes, s.publish(ctx, tx, actor, changes)
}

// NextLook is when a credential that is refused is looked at again.
type NextLook struct {
	Subject finding.Subject
	At      time.Time
}

// SetNextLooks has the open findings of the kind revoked say when their credentials are looked at again, in tx. That moves
// with every look and is no news: it is neither recorded nor told, and whoever reads or tells the finding has it. It locks
// the findings, by id.
func (s *Store) SetNextLooks(ctx context.Context, tx pgx.Tx, ls []NextLook) error {
	if len(ls) == 0 {
		return nil
	}
	keys, at := make([]string, len(ls)), make([]string, len(ls))
	for i, l := range ls {
		keys[i], at[i] = l.Subject.Key(), l.At.UTC().Format(time.RFC3339Nano)
	}
	_, err := tx.Exec(ctx, `
		WITH open AS (
			SELECT id, n.at FROM findings JOIN unnest($1::text[], $2::text[]) AS n (key, at) ON subject = n.key
			WHERE kind = $3 AND state <> 'resolved' ORDER BY id FOR UPDATE OF findings)
		UPDATE findings f SET evidence = jsonb_set(evidence, '{next_check_at}', to_jsonb(open.at)) FROM open WHERE f.id = open.id`,
		keys, at, finding.Revoked)
	return err
}

// Acknowledge says that actor looks after a finding, which ends its snooze. One that is acknowledged already stays
// with the first: the change has the same state before and after, and nothing is recorded.
//
// Like all that people do to findings, it locks the finding, is recorded as actor's and queued to be told, in tx. The
// error wraps finding.ErrNotFound where there is no such finding, ErrResolved where it is resolved.
func (s *Store) Acknowledge(ctx context.Context, tx pgx.Tx, actor string, id int64, now time.Time) (finding.Change, error) {
	return s.act(ctx, tx, actor, id, func(old finding.Finding) (finding.Finding, error) {
		if old.State == finding.Acknowledged {
			return old, errUnchanged
		}
		return updateFinding(ctx, tx, `state = 'acknowledged', acknowledged_by = $2, acknowledged_at = $3, updated_at = $3,
			snoozed_until = NULL`, id, actor, now)
	})
}

// Snooze puts a finding aside until a time, which should be after now: Awaken opens it again at its first run from
// then on. Snoozing it again replaces the time. Errors and record are as with Acknowledge.
func (s *Store) Snooze(ctx context.Context, tx pgx.Tx, actor string, id int64, now, until time.Time) (finding.Change, error) {
	return s.act(ctx, tx, actor, id, func(finding.Finding) (finding.Finding, error) {
		return updateFinding(ctx, tx, `state = 'snoozed', snoozed_until = $2, updated_at = $3`, id, until, now)
	})
}

// happened are the kinds that tell of something that happened once, not of a state that lasts. Such a finding does not
// end by itself, and a person who calls it a false alarm ends it.
var happened = []finding.Kind{finding.Leaked, finding.UnexpectedUse, finding.UsedAfterRevocation, finding.CanaryTripped}

// FalseAlarm says that a finding was none, and why ("": not said). What happened once is resolved by that; what still
// holds is acknowledged, and ends when it does not hold any more. The first who says so stays: a later call changes
// nothing. Errors and record are as with Acknowledge.
func (s *Store) FalseAlarm(ctx context.Context, tx pgx.Tx, actor string, id int64, why string, now time.Time) (finding.Change, error) {
	return s.act(ctx, tx, actor, id, func(old finding.Finding) (finding.Finding, error) {
		if old.FalseAlarmBy != "" {
			return old, errUnchanged
		}
		if slices.Contains(happened, old.Kind) {
			return updateFinding(
				ctx,
				tx,
				`state = 'resolved', resolved_at = $2, resolved_why = $3, updated_at = $2, snoozed_until = NULL,
					false_alarm_by = $4, false_alarm_why = $5`,
				id,
				now,
				strings.TrimSuffix("a false alarm, says "+actor+": "+why, ": "),
				actor,
				why,
			)
		}
		return updateFinding(
			ctx,
			tx,
			`state = 'acknowledged', acknowledged_by = $2, acknowledged_at = $3, updated_at = $3, snoozed_until = NULL,
				false_alarm_by = $2, false_alarm_why = $4`,
			id,
			actor,
			now,
			why,
		)
	})
}

// Precision is how many findings of a provider and kind there were, and how many of them were false alarms.
type Precision struct {
	Provider           string
	Kind               finding.Kind
	Found, FalseAlarms int
}

// Precisions counts all findings that are stored, resolved ones too, by provider and kind, in this order. A provider
// is "" for findings of keyrounds itself.
func (s *Store) Precisions(ctx context.Context) ([]Precision, error) {
	rows, err := s.pool.Query(
		ctx,
		`SELECT provider, kind, count(*), count(*) FILTER (WHERE false_alarm_by <> '') FROM findings GROUP BY 1, 2 ORDER BY 1, 2`,
	)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Precision])
}

// errUnchanged says that somebody did the same before: nothing is written, and nobody told.
var errUnchanged = errors.New("it is so already")

func (s *Store) act(
	ctx context.Context,
	tx pgx.Tx,
	actor string,
	id int64,
	do func(finding.Finding) (finding.Finding, error),
) (finding.Change, error) {
	old, err := findOne(ctx, tx, `id = $1 FOR UPDATE`, id)
	if errors.Is(err, finding.ErrNotFound) {
		err = fmt.Errorf("%w: %d", err, id)
	}
	if err != nil {
		return finding.Change{}, err
	}
	if old.State == finding.Resolved {
		return finding.Change{}, fmt.Errorf("finding %d %w since %s", id, ErrResolved, old.ResolvedAt.Format(time.RFC3339))
	}
	f, err := do(old)
	if errors.Is(err, errUnchanged) {
		return finding.Change{Finding: old, From: old.State}, nil
	}
	if err != nil {
		return finding.Change{}, err
	}
	change := finding.Change{Finding: f, From: old.State}
	return change, s.publish(ctx, tx, actor, []finding.Change{change})
}

// Awaken opens the findings again whose snooze ends at or before now, and those that are no mere information, were
// acknowledged longer ago than forgotten (0: none) and are no false alarms. It returns the changes. It skips
// findings that another transaction has locked; the next call has them. The changes are recorded as Daemon's, and queued
// to be told, in tx.
func (s *Store) Awaken(ctx context.Context, tx pgx.Tx, now time.Time, forgotten time.Duration) ([]finding.Change, error) {
	asleep, err := find(ctx, tx, `(state = 'snoozed' AND snoozed_until <= $1
		OR $2::interval > '0' AND state = 'acknowledged' AND severity <> 'info' AND false_alarm_by = ''
			AND acknowledged_at <= $1::timestamptz - $2::interval) FOR UPDATE SKIP LOCKED`, now, forgotten)
	if err != nil {
		return nil, err
	}
	var changes []finding.Change
	for _, old := range asleep {
		f, err := updateFinding(ctx, tx, `state = 'open', snoozed_until = NULL, updated_at = $2`, old.ID, now)
		if err != nil {
			return nil, err
		}
		changes = append(changes, finding.Change{Finding: f, From: old.State})
	}
	return changes, s.publish(ctx, tx, Daemon, changes)
}

const findingColumns = `id, kind, severity, credential_id, credential, provider, state, evidence, opened_at, updated_at,
	resolved_at, resolved_why, acknowledged_by, acknowledged_at, snoozed_until, false_alarm_by, false_alarm_why, withdrawn,
	assigned_to`

func scanFinding(row pgx.CollectableRow) (f finding.Finding, err error) {
	var (
		credentialID             *int64
		resolved, acked, snoozed *time.Time
	)
	err = row.Scan(
		&f.ID,
		&f.Kind,
		&f.Severity,
		&credentialID,
		&f.Subject.Credential,
		&f.Subject.Provider,
		&f.State,
		&f.Evidence,
		&f.OpenedAt,
		&f.UpdatedAt,
		&resolved,
		&f.ResolvedWhy,
		&f.AcknowledgedBy,
		&acked,
		&snoozed,
		&f.FalseAlarmBy,
		&f.FalseAlarmWhy,
		&f.Withdrawn,
		&f.AssignedTo,
	)
	if credentialID != nil {
		f.Subject.CredentialID = *credentialID
	}
	f.ResolvedAt, f.AcknowledgedAt, f.SnoozedUntil = fromNull(resolved), fromNull(acked), fromNull(snoozed)
	return f, err
}

// Querier is a pool or a transaction, for methods that read in either.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// find's condition is a constant of this package.
func find(ctx context.Context, q Querier, where string, args ...any) ([]finding.Finding, error) {
	rows, err := q.Query(ctx, `SELECT `+findingColumns+` FROM findings WHERE `+where, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanFinding)
}

func findOne(ctx context.Context, q Querier, where string, args ...any) (finding.Finding, error) {
	fs, err := find(ctx, q, where, args...)
	if err == nil && len(fs) == 0 {
		err = finding.ErrNotFound
	}
	if err != nil {
		return finding.Finding{}, err
	}
	return fs[0], nil
}

func insertFinding(ctx context.Context, tx pgx.Tx, e finding.Event) (finding.Finding, error) {
	var credentialID *int64
	if e.Subject.CredentialID != 0 {
		credentialID = &e.Subject.CredentialID
	}
	rows, err := tx.Query(ctx, `
		INSERT INTO findings (kind, severity, subject, credential_id, credential, provider, state, evidence, opened_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, 'open', $7, $8, $8) RETURNING `+findingColumns,
		e.Kind, e.Severity(), e.Subject.Key(), credentialID, e.Subject.Credential, e.Subject.Provider, e.Evidence, e.At)
	if err != nil {
		return finding.Finding{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scanFinding)
}

func updateFinding(ctx context.Context, tx pgx.Tx, set string, id int64, args ...any) (finding.Finding, error) {
	rows, err := tx.Query(ctx, `UPDATE findings SET `+set+` WHERE id = $1 RETURNING `+findingColumns, append([]any{id}, args...)...)
	if err != nil {
		return finding.Finding{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scanFinding)
}

// Filter chooses findings; the zero value chooses all that are not resolved, up to 1,000.
type Filter struct {
	Kind       finding.Kind
	Credential string
	Provider   string
	Severity   finding.Severity
	State      finding.State
	AssignedTo string
	IDs        []int64   // only these; nil: all
	Among      []int64   // only those of these credentials; nil: all, also those that are of none
	Resolved   bool      // also those; and with the state resolved only those
	Limit      int       // 0: 1,000
	After      int64     // only those after the finding with this id, in the order of Findings; 0: from the first
	Newest     bool      // sorted by id, the newest first
	Since      time.Time // only those that were opened then or later; zero: all

	Search      string   // a part of the credential's or provider's name, in any case
	Nobody      bool     // only those that are open and assigned to nobody
	With        []string // only those that are assigned to one of these, or that one of these looks after; nil: all
	FalseAlarms bool     // only those that somebody says are none, resolved or not
	Awake       bool     // without those that are put aside
}

func (f Filter) args(more ...any) []any {
	return append([]any{
		f.Resolved || f.State == finding.Resolved || f.FalseAlarms, f.Kind, f.Credential, f.Severity, f.Provider, f.State, f.AssignedTo,
		f.IDs,
		f.Among, nullTime(f.Since), strings.ToLower(f.Search), f.Nobody, f.With, f.FalseAlarms, f.Awake,
	}, more...)
}

// Findings returns the findings that f chooses: those that are not resolved before those that are, then the most
// severe first, then the newest. What it does not find is no error.
func (s *Store) Findings(ctx context.Context, f Filter) ([]finding.Finding, error) {
	if f.Limit <= 0 {
		f.Limit = 1000
	}
	if f.Newest {
		return find(ctx, s.pool, newestFindings, f.args(f.Limit, f.After)...)
	}
	return find(ctx, s.pool, severestFindings, f.args(f.Limit, f.After)...)
}

// Found counts the findings that f chooses, on all pages.
func (s *Store) Found(ctx context.Context, f Filter) (n int, err error) {
	err = s.pool.QueryRow(ctx, `SELECT count(*) FROM findings WHERE `+chosenFindings, f.args()...).Scan(&n)
	return n, err
}

// FindingsOf returns the ids of all findings of some credentials, the newest first; never nil.
func (s *Store) FindingsOf(ctx context.Context, credentialIDs []int64) ([]int64, error) {
	rows, err := s.pool.Query(ctx, `SELECT id FROM findings WHERE credential_id = ANY($1) ORDER BY id DESC`, credentialIDs)
	if err != nil {
		return nil, err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if ids == nil {
		ids = []int64{}
	}
	return ids, err
}

const chosenFindings = `
	($1 OR state <> 'resolved') AND ($2 = '' OR kind = $2) AND ($3 = '' OR credential = $3) AND ($4 = '' OR severity = $4)
		AND ($5 = '' OR provider = $5) AND ($6 = '' OR state = $6) AND ($7 = '' OR assigned_to = $7)
		AND ($8::bigint[] IS NULL OR id = ANY($8)) AND ($9::bigint[] IS NULL OR credential_id = ANY($9))
		AND ($10::timestamptz IS NULL OR opened_at >= $10)
		AND ($11 = '' OR strpos(lower(credential), $11) > 0 OR strpos(lower(provider), $11) > 0)
		AND (NOT $12 OR state = 'open' AND assigned_to = '')
		AND ($13::text[] IS NULL OR assigned_to = ANY($13) OR state = 'acknowledged' AND acknowledged_by = ANY($13))
		AND (NOT $14 OR false_alarm_by <> '') AND (NOT $15 OR state <> 'snoozed')`

const severestFindings = chosenFindings + `
		AND ($17 = 0 OR (` + mostSevere + `) > (SELECT $1 AND state = 'resolved', ` + severest + ` FROM findings WHERE id = $17))
	ORDER BY ` + mostSevere + ` LIMIT $16`

const newestFindings = chosenFindings + ` AND ($17 = 0 OR id < $17) ORDER BY id DESC LIMIT $16`

// mostSevere is a finding's place in lists, and severest its place among those that are open, or among those that are not.
// Where only open ones are listed, one that was resolved since still says where its page ended.
const (
	mostSevere = `state = 'resolved', ` + severest
	severest   = `array_position(ARRAY['critical', 'warning', 'info'], severity), -extract(epoch FROM opened_at), -id`
)

// Finding returns the finding with this id, resolved or not. The error wraps finding.ErrNotFound where there is none.
func (s *Store) Finding(ctx context.Context, id int64) (finding.Finding, error) {
	f, err := findOne(ctx, s.pool, `id = $1`, id)
	if errors.Is(err, finding.ErrNotFound) {
		err = fmt.Errorf("%w: %d", err, id)
	}
	return f, err
}

// Before returns the id of the finding of the same kind and subject, older than f, that was resolved last, if that
// was at or after since; 0: there is none.
func (s *Store) Before(ctx context.Context, f finding.Finding, since time.Time) (id int64, err error) {
	err = s.pool.QueryRow(ctx, `
		SELECT coalesce((
			SELECT id FROM findings WHERE kind = $1 AND subject = $2 AND id < $3 AND resolved_at >= $4
			ORDER BY resolved_at DESC LIMIT 1), 0)`,
		f.Kind, f.Subject.Key(), f.ID, since).Scan(&id)
	return id, err
}

// Count is how many findings there are of a kind, severity and state. There is none for what is not there.
type Count struct {
	Kind     finding.Kind
	Severity finding.Severity
	State    finding.State
	N        int
}

// Counts counts the findings that are not resolved, by kind, severity and state, in no order.
func (s *Store) Counts(ctx context.Context) ([]Count, error) {
	rows, err := s.pool.Query(ctx, `SELECT kind, severity, state, count(*) FROM findings WHERE state <> 'resolved' GROUP BY 1, 2, 3`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Count])
}

// Waiting is how many of the findings that are counted wait for somebody: they are open, and no mere information.
func Waiting(counts []Count) (n int) {
	for _, c := range counts {
		if c.State == finding.Open && c.Severity != finding.Info {
			n += c.N
		}
	}
	return n
}

// OpenFinding is what metrics say of a finding.
type OpenFinding struct {
	ID                   string
	Kind                 finding.Kind
	Severity             finding.Severity
	State                finding.State
	Credential, Provider string
	CredentialID         int64 // 0: it is about none
	OpenedAt             time.Time
}

// Open returns the findings that are not resolved, the most severe first, then the newest, at most limit; 0 is none.
func (s *Store) Open(ctx context.Context, limit int) ([]OpenFinding, error) {
	rows, err := s.pool.Query(ctx, `
		SELECT id::text, kind, severity, state, credential, provider, coalesce(credential_id, 0), opened_at
		FROM findings WHERE state <> 'resolved'
		ORDER BY array_position(ARRAY['critical', 'warning', 'info'], severity), opened_at DESC, id DESC LIMIT $1`, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[OpenFinding])
}
