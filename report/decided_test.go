package report_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/decision"
	"github.com/keyrounds/keyrounds/report"
)

// decide writes what somebody decided of a credential.
func (d *desk) decide(name string, choice decision.Choice, until, why string) {
	d.Helper()
	d.exec(`
		INSERT INTO decisions (credential_id, credential, choice, until, why, decided_by, decided_at)
		SELECT id, name, $2, $3, $4, 'user ann', '2026-10-20' FROM credentials WHERE name = $1
		ON CONFLICT (credential_id) DO UPDATE SET choice = $2, until = $3, why = $4`, name, string(choice), until, why)
}

// signOff signs off October.
func (d *desk) signOff(r report.Review, now time.Time) (s report.SignOff, err error) {
	err = pgx.BeginFunc(d.Context(), d.pool, func(tx pgx.Tx) error {
		s, err = d.maker.SignOff(d.Context(), tx, october(d), r, now)
		return err
	})
	return s, err
}

func (d *desk) text(f report.Format, now time.Time) string {
	d.Helper()
	b, err := d.maker.Read(d.Context(), october(d), "", 0, f, now)
	if err != nil {
		d.Fatal(err)
	}
	return string(b)
}

// reviewed is a desk with credentials that ask for decisions, of which some are decided.
func reviewed(t *testing.T) *desk {
	t.Helper()
	d := newDesk(t)
	d.feed("p", "2025-10-01", "2026-12-02")
	for _, name := range []string{"idle", "seasonal", "over", "doomed"} {
		d.credential(name, `owner = 'web'`)
	}
	d.credential("busy", `owner = 'web'`)
	d.used("busy", "2026-10-30")
	d.credential("tripped", `owner = 'ops'`, `canary = true`)
	d.used("tripped", "2026-10-20")
	d.decide("seasonal", decision.Keep, "2026-12-01", `<b>each</b> December`)
	d.decide("over", decision.Keep, "2026-11-01", "it is old")
	d.decide("doomed", decision.Revoke, "2026-11-20", "nobody knows it")
	d.decide("busy", decision.Keep, "2026-12-01", "it is needed")
	d.decide("tripped", decision.Keep, "2026-12-01", "it is a canary")
	return d
}

// A decision stands beside the recommendation until its day; then the credential is undecided again, and the report says what was
// decided. No decision covers that a canary was used.
func TestDecisionsInTheReport(t *testing.T) {
	t.Parallel()
	d := reviewed(t)
	r := d.october()
	for name, want := range map[string]struct {
		undecided bool
		words     string
	}{
		"idle":     {true, ""},
		"seasonal": {false, "kept until 1 Dec 2026 by user ann: <b>each</b> December"},
		"over":     {true, "kept until 1 Nov 2026 by user ann, now over: it is old"},
		"doomed":   {false, "to be revoked before 20 Nov 2026, as user ann decided: nobody knows it"},
		"busy":     {false, "kept until 1 Dec 2026 by user ann: it is needed"},
		"tripped":  {true, "kept until 1 Dec 2026 by user ann: it is a canary"},
	} {
		got := row(t, r, name)
		words := ""
		if got.Decision != nil {
			words = got.Decision.Words()
		}
		if got.Undecided != want.undecided || words != want.words {
			t.Errorf("%s: undecided %v, %q; want %+v", name, got.Undecided, words, want)
		}
	}
	if r.Undecided != 3 || r.Decided != 3 || row(t, r, "seasonal").Recommendation != report.Revoke {
		t.Errorf("%d undecided, %d decided", r.Undecided, r.Decided)
	}
	page := d.text(report.HTML, november)
	todo, decided, found := strings.Cut(page, "<h2>Decided</h2>")
	const head = "<th>Decision</th>"
	if !found || !strings.Contains(decided, head) || strings.Contains(todo, head) ||
		!strings.Contains(page, "3 undecided, 3 decided.") || strings.Contains(page, "<b>each") {
		t.Errorf("the page is %s", page)
	}
	for text, in := range map[string]string{
		"Decided before:</b> kept until 1 Nov 2026 by user ann, now over: it is old.":                                todo,
		"Decided before:</b> kept until 1 Dec 2026 by user ann: it is a canary.":                                     todo,
		"<b>Decided:</b> kept until 1 Dec 2026 by user ann: &lt;b&gt;each&lt;/b&gt; December. <b>Recommended:</b> r": decided,
		"to be revoked before 20 Nov 2026, as user ann decided: nobody knows it.":                                    decided,
	} {
		if !strings.Contains(in, text) {
			t.Errorf("the page lacks %q", text)
		}
	}
	if csv := d.text(report.CSV, november); !strings.Contains(csv, ",true,keep,2026-11-01,it is old,user ann,2026-10-20T00:00:00Z,true\n") {
		t.Errorf("the CSV is %s", csv)
	}
	// A month later what was kept comes back.
	if r := d.read(func() ([]byte, error) {
		return d.maker.Read(t.Context(), october(t), "", 0, report.JSON, november.AddDate(0, 1, 0))
	}); r.Undecided != 5 || r.Decided != 0 || !row(t, r, "seasonal").Decision.Over {
		t.Errorf("a month later %d undecided, %d decided", r.Undecided, r.Decided)
	}
}

// A frozen report keeps what was decided when it was made.
func TestAFrozenReportKeepsItsDecisions(t *testing.T) {
	t.Parallel()
	d := reviewed(t)
	if _, err := d.maker.Freeze(t.Context(), october(t), report.Order{}, november); err != nil {
		t.Fatal(err)
	}
	before := d.text(report.JSON, november)
	d.decide("idle", decision.Revoke, "2026-12-01", "nobody knows it")
	d.decide("seasonal", decision.Revoke, "2026-12-01", "it ended")
	if d.text(report.JSON, november.AddDate(0, 2, 0)) != before {
		t.Error("it changed")
	}
	if _, err := d.maker.Amend(t.Context(), october(t), report.Order{}, november.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if r := d.october(); r.Edition != 2 || row(t, r, "idle").Undecided || row(t, r, "seasonal").Decision.Choice != decision.Revoke {
		t.Errorf("the second edition: %+v", r)
	}
}

// A frozen report is signed off once an edition, by what is decided by then; the report after it says so.
func TestSignOff(t *testing.T) {
	t.Parallel()
	d := reviewed(t)
	var (
		not       *report.NotFrozenError
		undecided *report.UndecidedError
		signed    *report.SignedError
		unknown   *report.OwnerError
	)
	review := report.Review{By: "user ann"}
	if _, err := d.signOff(review, november); !errors.As(err, &not) {
		t.Errorf("before it is frozen: %v", err)
	}
	if _, err := d.maker.Freeze(t.Context(), october(t), report.Order{}, november); err != nil {
		t.Fatal(err)
	}
	if _, err := d.signOff(review, november); !errors.As(err, &undecided) || fmt.Sprint(undecided.Names) != "[idle over tripped]" {
		t.Errorf("while some are undecided: %v", err)
	}
	d.decide("idle", decision.Revoke, "2026-12-01", "nobody knows it")
	d.exec(`UPDATE credentials SET retired_at = now() WHERE name = 'over'`)
	if _, err := d.signOff(report.Review{By: "user ann", Owner: "mars"}, november); !errors.As(err, &unknown) {
		t.Errorf("an owner that there is not: %v", err)
	}
	if s, err := d.signOff(report.Review{By: "user bob", Owner: "web"}, november); err != nil || s.Undecided != 0 {
		t.Errorf("the extract: %+v, %v", s, err)
	}
	review.WithUndecided, review.Note = true, "the canary is looked into"
	want := "The report 2026-10 was signed off by user ann on 2 Nov 2026 08:00 UTC with 1 undecided: the canary is looked into."
	if s, err := d.signOff(review, november); err != nil || s.Words() != want {
		t.Errorf("%q, %v", s.Words(), err)
	}
	if _, err := d.signOff(review, november); !errors.As(err, &signed) || signed.Before.Words() != want {
		t.Errorf("a second time: %v", err)
	}
	next := d.read(func() ([]byte, error) {
		return d.maker.Read(t.Context(), october(t).Add(1), "", 0, report.JSON, november.AddDate(0, 1, 0))
	})
	if next.SignedOff == nil || next.SignedOff.Words() != want {
		t.Errorf("the report after it: %+v", next.SignedOff)
	}
	for _, change := range []string{`UPDATE report_signoffs SET note = ''`, `DELETE FROM report_signoffs`} {
		if _, err := d.pool.Exec(t.Context(), change); err == nil {
			t.Errorf("the table lets %s", change)
		}
	}
	if _, err := d.maker.Amend(t.Context(), october(t), report.Order{}, november.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if s, err := d.signOff(review, november.Add(2*time.Hour)); err != nil || s.Edition != 2 {
		t.Errorf("another edition: %+v, %v", s, err)
	}
}
