package rounds

import (
	"errors"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/checker"
)

// What was just registered is tried once: by the daemon, whose first checks those are, and otherwise here, within the
// provider's budget and not where it is passive.
func TestFirst(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		daemon bool
		change func(*checker.Provider)
		want   int
		why    error
	}{
		"here":              {want: 3},
		"a daemon":          {daemon: true, want: 3},
		"within its budget": {change: func(p *checker.Provider) { p.Budget = 1 }, why: &NotNowError{}},
		"passive":           {change: func(p *checker.Provider) { p.Passive = true }, why: ErrNotExchanged},
		"passive, a daemon": {daemon: true, change: func(p *checker.Provider) { p.Passive = true }, why: ErrNotExchanged},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, 3, c.change)
			command := h.command()
			if c.daemon {
				h.start(h.pool)
				h.await("the daemon leads", func() bool { lives, err := command.DaemonLives(t.Context()); return err == nil && lives })
			}
			var judged []Judged
			err := command.First(t.Context(), h.credentials(), 20*time.Second, func(js []Judged) { judged = append(judged, js...) })
			var notNow *NotNowError
			switch {
			case c.why == nil && err == nil, errors.Is(err, c.why), errors.As(c.why, &notNow) && errors.As(err, &notNow):
			default:
				t.Errorf("error %v", err)
			}
			exchanged := 0
			for _, id := range h.clients {
				exchanged += h.idp.Exchanges(id)
			}
			if len(judged) != c.want || exchanged != c.want || h.results() != c.want {
				t.Errorf("%d shown, %d exchanged, %d recorded; want %d", len(judged), exchanged, h.results(), c.want)
			}
			for _, j := range judged {
				if j.Result.Outcome != checker.OK || j.State.Status != "healthy" || j.Result.Message == "" {
					t.Errorf("%+v", j)
				}
			}
		})
	}
}
