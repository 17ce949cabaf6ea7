package report

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
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
	Edition int // 1, or more of one that was amended
	MadeAt  time.Time
	Summary Summary
	Before  Summary
	Sums    map[Format]string // SHA-256 in hexadecimal of the report of all
	Owners  []string          // who has an extract
	Order
}

// Order is who has a report frozen, and how.
type Order struct {
	Actor  string // as the record names people; "" is the daemon
	Why    string // for the record
	Anyway bool   // also where nothing was watched
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

// UnwatchedError says that a month was not frozen, since no feed was watching: the report would say nothing of anybody.
type UnwatchedError struct{ Month Month }

func (e *UnwatchedError) Error() string {
	return fmt.Sprintf(
		"nothing was watched in the time that the report %s is about: it would say \"not known\" of every credential",
		e.Month,
	)
}

// Hint says what to do instead.
func (e *UnwatchedError) Hint() string {
	return "import logs first (keyrounds usage import), or freeze it --anyway; a frozen report does not change"
}

// NotFrozenError says that there is no report of a month, or no such edition.
type NotFrozenError struct {
	Month   Month
	Edition int // 0: none at all
}

func (e *NotFrozenError) Error() string {
	if e.Edition > 0 {
		return fmt.Sprintf("the report %s has no edition %d", e.Month, e.Edition)
	}
	return fmt.Sprintf("the report %s is not frozen", e.Month)
}

// Hint says what to do instead.
func (e *NotFrozenError) Hint() string {
	if e.Edition > 0 {
		return "see keyrounds report list"
	}
	return "keyrounds report freeze --month " + e.Month.String()
}

// Read returns a closed month's report: the given edition as it was frozen, the newest one of edition 0, or, where none
// was frozen, a trial of the month's end, which says that it is one and freezes nothing. *NotOverError before the month's
// end, *OwnerError for an owner without credentials, *NotFrozenError for an edition that there is not.
func (m *Maker) Read(ctx context.Context, month Month, owner string, edition int, f Format, now time.Time) ([]byte, error) {
	end := month.Span(m.Zone).To
	if now.Before(end) {
		return nil, &NotOverError{month, end}
	}
	content, ok, err := m.Stored(ctx, month, owner, edition, f)
	if ok || err != nil {
		return content, err
	}
	owners, made, err := m.owners(ctx, month)
	switch {
	case err != nil:
		return nil, err
	case made && edition > 0:
		return nil, &NotFrozenError{month, edition}
	case made:
		return nil, &OwnerError{owner, month.String(), owners}
	case edition > 0:
		return nil, &NotFrozenError{month, 0}
	}
	r, err := m.Trial(ctx, end, owner, now)
	if err != nil {
		return nil, err
	}
	r.Month = month.String()
	return r.Render(f)
}

// Stored returns a report as it was frozen, the newest edition for 0; ok is false where there is none.
func (m *Maker) Stored(ctx context.Context, month Month, owner string, edition int, f Format) (content []byte, ok bool, err error) {
	err = m.Pool.QueryRow(ctx, `
		SELECT content FROM reports WHERE month = $1 AND owner = $2 AND format = $3
			AND edition = CASE WHEN $4 > 0 THEN $4 ELSE (SELECT max(edition) FROM reports WHERE month = $1) END`,
		month.first, owner, string(f), edition).Scan(&content)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, false, nil
	}
	return content, err == nil, err
}

// frozenSummaries are those of the newest editions of the last months, of all owners.
func (m *Maker) frozenSummaries(ctx context.Context) (map[string]Summary, error) {
	rows, err := m.Pool.Query(ctx, `
		SELECT DISTINCT ON (month) to_char(month, 'YYYY-MM'), summary
		FROM reports WHERE format = 'json' AND summary IS NOT NULL AND owner = '' AND month > now() - interval '14 months'
		ORDER BY month, edition DESC`)
	if err != nil {
		return nil, err
	}
	all := map[string]Summary{}
	var (
		month string
		raw   []byte
	)
	_, err = pgx.ForEachRow(rows, []any{&month, &raw}, func() error {
		var was Summary
		err := json.Unmarshal(raw, &was)
		all[month] = was
		return err
	})
	return all, err
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
	Month   string    `json:"month"`
	Edition int       `json:"edition"`
	Owner   string    `json:"owner"`
	Format  string    `json:"format"`
	MadeAt  time.Time `json:"made_at"`
	Bytes   int       `json:"bytes"`
	SHA256  string    `json:"sha256"`

	SignedOffAt *time.Time `json:"signed_off_at,omitempty"` // absent: nobody signed it off
	SignedOffBy string     `json:"signed_off_by,omitempty"`

	SignedOffUndecided int    `json:"signed_off_undecided,omitempty"` // how many credentials were undecided then
	SignedOffNote      string `json:"signed_off_note,omitempty"`
}

const fileColumns = `to_char(month, 'YYYY-MM'), edition, owner, format, made_at, length(content), encode(sha256, 'hex'),
	signed_at, coalesce(signed_by, ''), coalesce(undecided, 0), coalesce(note, '')`

const files = ` FROM reports LEFT JOIN report_signoffs USING (month, owner, edition) `

// List lists the files of all reports that were made, the newest month first.
func (m *Maker) List(ctx context.Context) ([]File, error) {
	rows, err := m.Pool.Query(ctx, `SELECT `+fileColumns+files+`ORDER BY month DESC, edition DESC, owner, format`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[File])
}

// Files chooses files of reports, and a page of them. The zero value chooses all.
type Files struct {
	Month   string   // 2026-10; "": any
	Owners  []string // only extracts of these; nil: any, and the whole reports
	Format  Format   // "": any
	Edition int      // 0: any
	After   FilePlace
	Limit   int // 0: none
}

// FilePlace is a place in the order of files.
type FilePlace struct {
	Month   string `json:"month"`
	Edition int    `json:"edition"`
	Owner   string `json:"owner"`
	Format  string `json:"format"`
}

// Place is where f stands in lists.
func (f File) Place() FilePlace { return FilePlace{f.Month, f.Edition, f.Owner, f.Format} }

const chosenFiles = files + `
	WHERE ($1 = '' OR to_char(month, 'YYYY-MM') = $1) AND ($2::text[] IS NULL OR owner = ANY($2))
		AND ($3 = '' OR format = $3) AND ($4 = 0 OR edition = $4)`

// Page returns a page of the files that f chooses, the newest month first, and how many there are on all pages.
func (m *Maker) Page(ctx context.Context, f Files) (total int, list []File, err error) {
	err = m.Pool.QueryRow(ctx, `SELECT count(*) `+chosenFiles, f.Month, f.Owners, string(f.Format), f.Edition).Scan(&total)
	if err != nil {
		return 0, nil, err
	}
	rows, err := m.Pool.Query(ctx, `
		SELECT `+fileColumns+chosenFiles+`
			AND ($5 = '' OR to_char(month, 'YYYY-MM') < $5 OR to_char(month, 'YYYY-MM') = $5
				AND (edition < $6 OR edition = $6 AND (owner, format) > ($7, $8)))
		ORDER BY month DESC, edition DESC, owner, format LIMIT nullif($9, 0)`,
		f.Month, f.Owners, string(f.Format), f.Edition, f.After.Month, f.After.Edition, f.After.Owner, f.After.Format, f.Limit)
	if err != nil {
		return 0, nil, err
	}
	list, err = pgx.CollectRows(rows, pgx.RowToStructByPos[File])
	return total, list, err
}

// Freeze makes a closed month's report and the extracts of all owners, for ever. false: it was made before, and nothing
// changed. *NotOverError before the month's end; *UnwatchedError where nothing was watched and the order does not say
// anyway.
func (m *Maker) Freeze(ctx context.Context, month Month, o Order, now time.Time) (made bool, err error) {
	return m.freeze(ctx, month, 1, o, now)
}

// Amend makes another edition of a frozen report, by what is known now, and returns its number. The editions before it
// stay. *NotFrozenError where there is none.
func (m *Maker) Amend(ctx context.Context, month Month, o Order, now time.Time) (edition int, err error) {
	err = m.Pool.QueryRow(ctx, `SELECT coalesce(max(edition), 0) FROM reports WHERE month = $1`, month.first).Scan(&edition)
	if err == nil && edition == 0 {
		err = &NotFrozenError{Month: month}
	}
	if err != nil {
		return 0, err
	}
	made, err := m.freeze(ctx, month, edition+1, o, now)
	if err == nil && !made {
		err = errors.New("somebody else amends this report at the same time: see keyrounds report list")
	}
	return edition + 1, err
}

func (m *Maker) freeze(ctx context.Context, month Month, edition int, o Order, now time.Time) (made bool, err error) {
	at := month.Span(m.Zone).To
	if now.Before(at) {
		return false, &NotOverError{month, at}
	}
	if edition == 1 { // gathering is dear
		if _, made, err := m.owners(ctx, month); made || err != nil {
			return false, err
		}
	}
	s, err := m.gather(ctx, at, now)
	if err != nil {
		return false, err
	}
	if !o.Anyway && !s.watched() {
		return false, &UnwatchedError{month}
	}
	tx, err := m.Pool.Begin(ctx)
	if err != nil {
		return false, err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	frozen := Frozen{Month: month, Edition: edition, MadeAt: now, Sums: map[Format]string{}, Owners: s.owners(), Order: o}
	for _, owner := range append([]string{""}, frozen.Owners...) {
		r := m.make(s, owner, at, now)
		r.Month, r.Edition = month.String(), edition
		for _, f := range Formats() {
			content, err := r.Render(f)
			if err != nil {
				return false, err
			}
			sum := sha256.Sum256(content)
			tag, err := tx.Exec(ctx, `
				INSERT INTO reports (month, owner, made_at, format, content, sha256, edition, summary)
				VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
				ON CONFLICT DO NOTHING`, month.first, owner, now, string(f), content, sum[:], edition, summaryOf(r, f))
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

// summaryOf is stored beside the JSON: the reports of later months compare it.
func summaryOf(r *Report, f Format) *Summary {
	if f != JSON {
		return nil
	}
	return &r.Summary
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
	return m.row(c, a, s, now), nil
}

// Trial makes a report as of any time that is not frozen.
func (m *Maker) Trial(ctx context.Context, at time.Time, owner string, now time.Time) (*Report, error) {
	s, err := m.gather(ctx, at, now)
	if err != nil {
		return nil, err
	}
	if owners := s.owners(); owner != "" && !slices.Contains(owners, owner) {
		return nil, &OwnerError{owner, "as of " + asOf(at.In(m.Zone)), owners}
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
	made, err := m.Freeze(ctx, month, Order{Anyway: true}, now)
	return month, made, err
}
