package decision_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/keyrounds/keyrounds/decision"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

var (
	made  = time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)
	until = time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC)
)

func change(t *testing.T, pool *pgxpool.Pool, f func(pgx.Tx) error) {
	t.Helper()
	if err := pgx.BeginFunc(t.Context(), pool, f); err != nil {
		t.Fatal(err)
	}
}

// A decision holds until its day begins in UTC, whatever the zone of who asks, and then it is over.
func TestADecisionIsOverWhenItsDayBegins(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	s := decision.NewStore(pool)
	change(t, pool, func(tx pgx.Tx) error {
		return s.Set(t.Context(), tx, 1, decision.Decision{
			Credential: "a", Choice: decision.Keep, Until: until, Why: "seasonal", By: "user ann", At: made,
		})
	})
	honolulu, err := time.LoadLocation("Pacific/Honolulu")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		now   time.Time
		over  bool
		words string
	}{
		{until.Add(-time.Second).In(honolulu), false, "kept until 1 Feb 2027 by user ann"},
		{until.In(honolulu), true, "kept until 1 Feb 2027 by user ann, now over"},
	} {
		of, err := s.Of(t.Context(), pool, c.now, []int64{1, 2})
		if d := of[1]; err != nil || len(of) != 1 || d.Over != c.over || d.Words() != c.words || !d.Until.Equal(until) {
			t.Errorf("at %s: %+v (%s), error %v", c.now, d, d.Words(), err)
		}
	}
}

// A new decision replaces the old one; of what was retired nothing is listed and nothing is over; what is forgotten is undecided.
func TestOneDecisionACredential(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	s := decision.NewStore(pool)
	for i, choice := range []decision.Choice{decision.Keep, decision.Revoke, decision.Rotate} {
		change(t, pool, func(tx pgx.Tx) error {
			for id := int64(1); id <= 3; id++ {
				err := s.Set(t.Context(), tx, id, decision.Decision{
					Credential: fmt.Sprint("c", id), Choice: choice, Until: until.AddDate(0, 0, i), Why: "x", By: "user ann", At: made,
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	later := until.AddDate(1, 0, 0)
	list := func(f decision.Filter) string {
		t.Helper()
		total, list, err := s.Page(t.Context(), later, f)
		if err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprint(total, ":")
		for _, d := range list {
			text += fmt.Sprint(" ", d.Credential, " ", d.Choice)
		}
		return text
	}
	holds := false
	for _, c := range []struct {
		f    decision.Filter
		want string
	}{
		{decision.Filter{}, "3: c1 rotate c2 rotate c3 rotate"},
		{decision.Filter{Limit: 1, After: "c1"}, "3: c2 rotate"},
		{decision.Filter{Among: []int64{3}}, "1: c3 rotate"},
		{decision.Filter{Among: []int64{}}, "0:"},
		{decision.Filter{Choice: decision.Keep}, "0:"},
		{decision.Filter{Over: &holds}, "0:"},
	} {
		if got := list(c.f); got != c.want {
			t.Errorf("%+v: %q, want %q", c.f, got, c.want)
		}
	}
	change(t, pool, func(tx pgx.Tx) error { return s.End(t.Context(), tx, []int64{2}, made) })
	change(t, pool, func(tx pgx.Tx) error { return s.Forget(t.Context(), tx, []int64{3}) })
	if got := list(decision.Filter{}); got != "1: c1 rotate" {
		t.Errorf("after one was retired and one forgotten: %s", got)
	}
	of, err := s.Of(t.Context(), pool, later, []int64{1, 2, 3})
	if err != nil || len(of) != 2 || !of[1].Over || of[2].Over {
		t.Errorf("%+v, error %v", of, err)
	}
}
