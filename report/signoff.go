package report

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/finding"
)

// SignOff is that a reviewer went through a frozen report.
type SignOff struct {
	Month string `json:"month"`
	// Whose extract; empty: the report of all.
	Owner   string    `json:"owner"`
	Edition int       `json:"edition"`
	At      time.Time `json:"signed_off_at"`
	// Who, as the record names people.
	By string `json:"signed_off_by"`
	// How many credentials were undecided then.
	Undecided int `json:"undecided"`
	// In the words of who signed; empty: none.
	Note string `json:"note"`
}

// Words say a sign-off to a person.
func (s SignOff) Words() string {
	text := fmt.Sprintf("The report %s was signed off by %s on %s", s.Month, s.By, s.At.UTC().Format("2 Jan 2006 15:04 MST"))
	if s.Undecided > 0 {
		text += fmt.Sprintf(" with %d undecided", s.Undecided)
	}
	if s.Note != "" {
		text += ": " + s.Note
	}
	return strings.TrimSuffix(text, ".") + "."
}

// Review is who signs off a report, and how.
type Review struct {
	Owner         string // whose extract; "": the report of all
	By            string // as the record names people
	Note          string
	WithUndecided bool // also while some are undecided
	Edition       int  // which edition was read; 0: the newest
}

// EditionError says that another edition than the one that was read is the newest.
type EditionError struct {
	Month        Month
	Read, Newest int
}

func (e *EditionError) Error() string {
	return fmt.Sprintf("the report %s was made again: edition %d is the newest, and you read edition %d", e.Month, e.Newest, e.Read)
}

// Hint says what to do.
func (e *EditionError) Hint() string { return "read the new edition first" }

// UndecidedError says that a report is not signed off, since something in it is undecided.
type UndecidedError struct {
	Month Month
	Names []string // of credentials
}

func (e *UndecidedError) Error() string {
	const most = 5
	names := strings.Join(e.Names[:min(len(e.Names), most)], ", ")
	if n := len(e.Names) - most; n > 0 {
		names += fmt.Sprintf(" and %d more", n)
	}
	is := "are"
	if len(e.Names) == 1 {
		is = "is"
	}
	return fmt.Sprintf("in the report %s %s %s undecided: %s", e.Month, finding.Plural(len(e.Names), "credential"), is, names)
}

// Hint says what to do instead.
func (e *UndecidedError) Hint() string {
	return "keyrounds report decide NAME keep|revoke|rotate|drop-scopes --why TEXT, or sign off --with-undecided"
}

// SignedError says that a report was signed off before.
type SignedError struct{ Before SignOff }

func (e *SignedError) Error() string { return strings.TrimSuffix(e.Before.Words(), ".") }

// Hint says what can be done.
func (e *SignedError) Hint() string {
	return "a sign-off stays; keyrounds report amend makes another edition, which is signed off anew"
}

// SignOff notes in tx that a reviewer went through the newest edition of a frozen report. *NotFrozenError where there is none,
// *OwnerError where there is none of that owner, *UndecidedError where something in it is undecided by now and r does not say with
// that, *SignedError where that edition was signed off before, *EditionError where r read another one.
func (m *Maker) SignOff(ctx context.Context, tx pgx.Tx, month Month, r Review, now time.Time) (SignOff, error) {
	was, err := m.frozenReport(ctx, month, r.Owner)
	if err != nil {
		return SignOff{}, err
	}
	if r.Edition != 0 && r.Edition != was.Edition {
		return SignOff{}, &EditionError{month, r.Edition, was.Edition}
	}
	undecided, err := m.undecided(ctx, was, now)
	if err != nil {
		return SignOff{}, err
	}
	if before, err := m.signedOff(ctx, tx, month, r.Owner, was.Edition); err != nil || before != nil {
		if err == nil {
			err = &SignedError{*before}
		}
		return SignOff{}, err
	}
	if len(undecided) > 0 && !r.WithUndecided {
		return SignOff{}, &UndecidedError{month, undecided}
	}
	s := SignOff{month.String(), r.Owner, was.Edition, now.UTC().Truncate(time.Microsecond), r.By, len(undecided), r.Note}
	_, err = tx.Exec(ctx, `
		INSERT INTO report_signoffs (month, owner, edition, signed_at, signed_by, undecided, note) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		month.first, s.Owner, s.Edition, s.At, s.By, s.Undecided, s.Note)
	return s, err
}

// frozenReport is the newest edition of a frozen report, of one owner or of all.
func (m *Maker) frozenReport(ctx context.Context, month Month, owner string) (r Report, err error) {
	content, ok, err := m.Stored(ctx, month, owner, 0, JSON)
	if err != nil {
		return r, err
	}
	if !ok {
		owners, made, err := m.owners(ctx, month)
		switch {
		case err != nil:
			return r, err
		case made:
			return r, &OwnerError{owner, month.String(), owners}
		}
		return r, &NotFrozenError{Month: month}
	}
	err = json.Unmarshal(content, &r)
	r.Edition = max(r.Edition, 1)
	return r, err
}

// undecided are the credentials of a frozen report that nothing is decided of by now, and that are still registered.
func (m *Maker) undecided(ctx context.Context, r Report, now time.Time) (names []string, err error) {
	rows := map[string]Row{}
	for _, row := range r.Credentials {
		if row.asks() {
			rows[row.Credential], names = row, append(names, row.Credential)
		}
	}
	creds, err := m.Registry.Named(ctx, names)
	if err != nil {
		return nil, err
	}
	ids := make([]int64, len(creds))
	for i, c := range creds {
		ids[i] = c.ID
	}
	decided, err := m.decisions(ctx, ids, now)
	names = nil
	for _, c := range creds {
		row := rows[c.Name]
		row.Decision = nil
		d, is := decided[c.ID]
		if row.decide(c, d, is); row.Undecided {
			names = append(names, c.Name)
		}
	}
	return names, err
}

// signedOff is the sign-off of an edition; nil: there is none.
func (m *Maker) signedOff(ctx context.Context, tx pgx.Tx, month Month, owner string, edition int) (*SignOff, error) {
	rows, err := tx.Query(ctx, signOffSQL+` AND owner = $2 AND edition = $3`, month.first, owner, edition)
	if err != nil {
		return nil, err
	}
	s, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[SignOff])
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return &s, err
}

const signOffSQL = `
	SELECT to_char(month, 'YYYY-MM'), owner, edition, signed_at, signed_by, undecided, note FROM report_signoffs WHERE month = $1`

// signOffs are those of the newest editions of a month, by owner.
func (m *Maker) signOffs(ctx context.Context, month Month) (map[string]SignOff, error) {
	rows, err := m.Pool.Query(ctx, signOffSQL+` ORDER BY edition`, month.first)
	if err != nil {
		return nil, err
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[SignOff])
	all := map[string]SignOff{}
	for _, s := range list {
		s.At = s.At.UTC().Truncate(time.Second)
		all[s.Owner] = s
	}
	return all, err
}
