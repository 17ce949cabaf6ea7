package report

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/credential"
)

// Format is a file format of a report.
type Format string

// The formats.
const (
	HTML Format = "html"
	CSV  Format = "csv"
	JSON Format = "json"
)

// Formats lists them.
func Formats() []Format { return []Format{HTML, CSV, JSON} }

// Frozen is a report that was made now and will not change.
type Frozen struct {
	Month   Month
	MadeAt  time.Time
	Summary Summary
	Before  Summary
	Sums    map[Format]string // SHA-256 in hexadecimal of the report of all
	Owners  []string          // who has an extract
}

// OwnerError says that there is no extract of an owner.
type OwnerError struct {
	Owner  string
	Month  string
	Owners []string
}

func (e *OwnerError) Error() string {
	return fmt.Sprintf("no credential of the report %s belongs to %q", e.Month, e.Owner)
}

// Hint lists the owners.
func (e *OwnerError) Hint() string {
	if len(e.Owners) == 0 {
		return "no credential has an owner: name them in the configuration"
	}
	return "one of " + strings.Join(e.Owners, ", ")
}

// Monthly returns a closed month's report as it was made the first time, and makes it if it was not made
// yet: *NotOverError before the month's end, *OwnerError for an owner without credentials.
func (m *Maker) Monthly(ctx context.Context, month Month, owner string, f Format, now time.Time) ([]byte, error) {
	if end := month.Span(m.Zone).To; now.Before(end) {
		return nil, &NotOverError{month, end}
	}
	content, err := m.stored(ctx, month, owner, f)
	if !errors.Is(err, pgx.ErrNoRows) {
		return content, err
	}
	owners, made, err := m.owners(ctx, month)
	if err != nil {
		return nil, err
	}
	if made {
		return nil, &OwnerError{owner, month.String(), owners}
	}
	if _, err := m.Freeze(ctx, month, now); err != nil {
		return nil, err
	}
	content, err = m.stored(ctx, month, owner, f)
	if errors.Is(err, pgx.ErrNoRows) {
		owners, _, _ := m.owners(ctx, month)
		return nil, &OwnerError{owner, month.String(), owners}
	}
	return content, err
}

// Stored returns a report that was made; ok is false where it was not.
func (m *Maker) Stored(ctx context.Context, month Month, owner string, f Format) (content []byte, ok bool, err error) {
	content, err = m.stored(ctx, month, owner, f)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, false, nil
	}
	return content, err == nil, err
}

func (m *Maker) stored(ctx context.Context, month Month, owner string, f Format) (content []byte, err error) {
	err = m.Pool.QueryRow(ctx, `SELECT content FROM reports WHERE month = $1 AND owner = $2 AND format = $3`,
		month.first, owner, string(f)).Scan(&content)
	return content, err
}

// owners lists who has an extract; made is false where the month's report was not made yet.
func (m *Maker) owners(ctx context.Context, month Month) (owners []string, made bool, err error) {
	rows, err := m.Pool.Query(ctx, `SELECT DISTINCT owner FROM reports WHERE month = $1 ORDER BY 1`, month.first)
	if err != nil {
		return nil, false, err
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return slices.DeleteFunc(slices.Clone(all), func(o string) bool { return o == "" }), len(all) > 0, err
}

// Made lists the months whose report was made, the newest first.
func (m *Maker) Made(ctx context.Context) ([]Month, error) {
	rows, err := m.Pool.Query(ctx, `SELECT DISTINCT month FROM reports ORDER BY 1 DESC`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (mo Month, err error) { return mo, row.Scan(&mo.first) })
}

// File is a report that was made, as it is listed.
type File struct {
	Month  string    `json:"month"`
	Owner  string    `json:"owner"`
	Format string    `json:"format"`
	MadeAt time.Time `json:"made_at"`
	Bytes  int       `json:"bytes"`
	SHA256 string    `json:"sha256"`
}

// List lists the files of all reports that were made, the newest month first.
func (m *Maker) List(ctx context.Context) ([]File, error) {
	rows, err := m.Pool.Query(ctx, `
		SELECT to_char(month, 'YYYY-MM'), owner, format, made_at, length(content), encode(sha256, 'hex')
		FROM reports ORDER BY month DESC, owner, format`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[File])
}

// Freeze makes a closed month's report and the extracts of all owners, for ever. false: it was made
// before, and nothing changed.
func (m *Maker) Freeze(ctx context.Context, month Month, now time.Time) (made bool, err error) {
	at := month.Span(m.Zone).To
	if now.Before(at) {
		return false, &NotOverError{month, at}
	}
	s, err := m.gather(ctx, at, now)
	if err != nil {
		return false, err
	}
	tx, err := m.Pool.Begin(ctx)
	if err != nil {
		return false, err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	frozen := Frozen{Month: month, MadeAt: now, Sums: map[Format]string{}, Owners: s.owners()}
	for _, owner := range append([]string{""}, frozen.Owners...) {
		r := m.make(s, owner, at, now)
		r.Month = month.String()
		for _, f := range Formats() {
			content, err := r.Render(f)
			if err != nil {
				return false, err
			}
			sum := sha256.Sum256(content)
			tag, err := tx.Exec(
				ctx,
				`INSERT INTO reports (month, owner, made_at, format, content, sha256) VALUES ($1, $2, $3, $4, $5, $6)
				ON CONFLICT DO NOTHING`,
				month.first,
				owner,
				now,
				string(f),
				content,
				sum[:],
			)
			if err != nil {
				return false, err
			}
			if tag.RowsAffected() == 0 { // another process was first
				return false, nil
			}
			if owner == "" {
				frozen.Sums[f], frozen.Summary, frozen.Before = hex.EncodeToString(sum[:]), r.Summary, r.Before
			}
		}
	}
	if m.Frozen != nil {
		if err := m.Frozen(ctx, tx, frozen); err != nil {
			return false, err
		}
	}
	return true, tx.Commit(ctx)
}

func (s *sources) owners() []string {
	var all []string
	for _, c := range s.credentials {
		if c.Owner != "" {
			all = append(all, c.Owner)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Row is what a trial as of now says of one credential.
func (m *Maker) Row(ctx context.Context, c credential.Credential, now time.Time) (Row, error) {
	s, err := m.gather(ctx, now, now)
	if err != nil {
		return Row{}, err
	}
	a := s.book.Assess(c, now)
	return m.row(c, a, s.where[c.ID], cmp.Or(s.status[c.ID], unknownStatus), now), nil
}

// Trial makes a report as of any time that is not frozen.
func (m *Maker) Trial(ctx context.Context, at time.Time, owner string, now time.Time) (*Report, error) {
	s, err := m.gather(ctx, at, now)
	if err != nil {
		return nil, err
	}
	if owners := s.owners(); owner != "" && !slices.Contains(owners, owner) {
		return nil, &OwnerError{owner, "as of " + at.Format(time.DateOnly), owners}
	}
	r := m.make(s, owner, at, now)
	r.Trial = true
	return r, nil
}

// Due makes the report of the last closed month where its time has come: the first slot of next after the
// month's end; next gives the first slot after a time. Exactly one is made for a month, whoever asks and
// however often. A month that was over before the first credential was registered is not made by itself.
func (m *Maker) Due(ctx context.Context, next func(time.Time) time.Time, now time.Time) (Month, bool, error) {
	month := MonthOf(now, m.Zone).Add(-1)
	if slot := next(month.Span(m.Zone).To.Add(-time.Second)); slot.IsZero() || slot.After(now) {
		return month, false, nil
	}
	if _, made, err := m.owners(ctx, month); made || err != nil {
		return month, false, err
	}
	if watched, err := m.Registry.AnyBefore(ctx, month.Span(m.Zone).To); err != nil || !watched {
		return month, false, err
	}
	made, err := m.Freeze(ctx, month, now)
	return month, made, err
}
