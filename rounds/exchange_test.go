package rounds

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/secret"
	"github.com/keyrounds/keyrounds/test/lasting"
	"github.com/keyrounds/keyrounds/usage/feed"
)

// asking is a house whose provider counts what it is asked, and says what it is told to.
type asking struct {
	*house
	r      *Rounds
	asked  atomic.Int64
	answer atomic.Pointer[http.HandlerFunc] // nil: tokens
}

func newAsking(t *testing.T, change func(*checker.Provider)) *asking {
	t.Helper()
	a := &asking{house: newHouse(t, 1, change)}
	p := a.settings.Providers["idp"]
	p.TokenURL = a.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.asked.Add(1)
		if h := a.answer.Load(); h != nil {
			(*h)(w, r)
			return
		}
		a.idp.ServeHTTP(w, r)
	}))
	a.settings.Providers["idp"] = p
	a.settings.FeedAuth = map[string]FeedAuth{"log": {Credential: "c0000"}}
	a.r = a.replica(a.pool)
	return a
}

// callers are those who ask for tokens, as they do.
func (a *asking) callers() map[string]func(context.Context) error {
	cred := func() []credential.Credential {
		all, err := a.r.Registry.List(a.t.Context(), false)
		if err != nil {
			a.t.Fatal(err)
		}
		return all
	}
	return map[string]func(context.Context) error{
		"check": func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, 2*time.Second) // it would wait for a slot
			defer cancel()
			if err := a.r.stream(ctx, "idp"); !errors.Is(err, context.DeadlineExceeded) {
				return err
			}
			return nil
		},
		"check_by_hand": func(ctx context.Context) error { return a.r.CheckNow(ctx, cred(), func([]Judged) {}) },
		"first_check":   func(ctx context.Context) error { return a.r.First(ctx, cred(), time.Second, func([]Judged) {}) },
		"leaked_secret": func(ctx context.Context) error {
			token, _, err := a.r.Attempt(ctx, cred()[0], secret.New([]byte(secretText)))
			token.Wipe()
			return err
		},
		"feed": func(ctx context.Context) error {
			token, err := a.r.feedToken(ctx, feed.Feed{Name: "log", Provider: "idp"})
			token.Wipe()
			return err
		},
	}
}

// Each caller comes through the door with every protection but those that its purpose is without, with a reason
// (docs/promises.md#a-token-request-has-every-protection-wherever-it-comes-from).
func TestTheDoor(t *testing.T) {
	lasting.Test(t, "each caller and each protection has a database")
	t.Parallel()
	budget := func(p *checker.Provider) { p.Budget = 1 }
	for _, protection := range []struct {
		name string
		// set makes the protection refuse.
		set     string
		change  func(*checker.Provider)
		refused string // what holds of the error
		of      Protection
	}{
		{"pause", `UPDATE provider_pace SET paused_until = now() + interval '1 hour'`, nil, "asks us to stay away", ""},
		{"a short pause", `UPDATE provider_pace SET paused_until = now() + interval '15 seconds'`, nil, "asks us to stay away", ""},
		{
			name:    "occupation",
			set:     `INSERT INTO provider_slots VALUES ('idp', 999, 1024, 1024, false, now(), now() + interval '1 hour')`,
			refused: "is busy",
		},
		{
			name:    "budget",
			set:     `UPDATE provider_pace SET requests = 1, month = date_trunc('month', now() AT TIME ZONE 'UTC')`,
			change:  budget,
			refused: "budget of 1",
			of:      Budget,
		},
		{"rate", `UPDATE provider_pace SET paced_until = now() + interval '5 minutes'`, nil, "full rate", Rate},
		{"passive", ``, func(p *checker.Provider) { p.Passive = true }, "is passive", Passive},
	} {
		for _, purpose := range Purposes() {
			t.Run(protection.name+" "+purpose.Name, func(t *testing.T) {
				t.Parallel()
				a := newAsking(t, protection.change)
				a.exec(`INSERT INTO provider_pace (provider) VALUES ('idp')`)
				a.exec(protection.set)
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				if protection.name == "occupation" && purpose.Name != scheduled.Name {
					purpose.Patience = 50 * time.Millisecond
					all, _ := a.r.Registry.List(ctx, false)
					_, _, leave, err := a.r.Exchange(
						ctx,
						Order{Purpose: purpose, Provider: "idp", Credentials: all, Single: purpose.Name == "feed"},
					)
					leave()
					a.refuses(purpose, err, protection.refused)
					return
				}
				err := a.callers()[purpose.Name](ctx)
				if !purpose.holds(protection.of) {
					if err != nil || a.asked.Load() != 1 {
						t.Errorf(
							"%s does not hold (%s), and yet: %d requests, error %v",
							protection.name,
							purpose.Without[protection.of],
							a.asked.Load(),
							err,
						)
					}
					return
				}
				if purpose.Name == scheduled.Name && err == nil { // its job is done, and its credentials are handed back
					n, due := a.asked.Load()+int64(a.results()), 1
					if protection.of == Passive || protection.of == Budget { // it moves to when it may be asked
						due = 0
					}
					if n != 0 ||
						a.count(`SELECT count(*) FROM credentials WHERE next_check_at <= now() AND leased_until = '-infinity'`) != due {
						t.Errorf("%d requests or results, or the credential is not as due as it should be", n)
					}
					return
				}
				a.refuses(purpose, err, protection.refused)
			})
		}
	}
}

func (a *asking) refuses(purpose Purpose, err error, why string) {
	a.t.Helper()
	var notNow *NotNowError
	if n := a.asked.Load(); n != 0 || !errors.As(err, &notNow) && !errors.Is(err, ErrNotExchanged) || !strings.Contains(err.Error(), why) {
		a.t.Errorf("%s: %d requests, error %v", purpose.Name, n, err)
	}
}

// What every caller leaves: the ledger's line unless it is a real use, a request of the budget, a count by purpose.
func TestWhatTheDoorWritesDown(t *testing.T) {
	t.Parallel()
	for _, purpose := range Purposes() {
		t.Run(purpose.Name, func(t *testing.T) {
			t.Parallel()
			a := newAsking(t, nil)
			if err := a.callers()[purpose.Name](t.Context()); err != nil || a.asked.Load() != 1 {
				t.Fatalf("%d requests, error %v", a.asked.Load(), err)
			}
			ledger, spent := 1, 1
			if !purpose.holds(Ledger) {
				ledger = 0
			}
			if n := a.count(`SELECT count(*) FROM check_intents`) + a.results(); n < ledger || ledger == 0 && n != 0 {
				t.Errorf("%d lines in the ledger, want %d", n, ledger)
			}
			if n := a.count(`SELECT coalesce(sum(requests), 0) FROM provider_pace`); n != spent {
				t.Errorf("%d requests counted, want %d", n, spent)
			}
			if n := a.count(`SELECT count(*) FROM provider_slots`); n != 0 {
				t.Error("the provider is still occupied")
			}
			if got := counted(t, a.r, purpose.Name); got != 1 {
				t.Errorf("keyrounds_token_requests_total{purpose=%q} is %v", purpose.Name, got)
			}
		})
	}
}

// counted sums the metric of token requests over a purpose.
func counted(t *testing.T, r *Rounds, purpose string) (sum float64) {
	t.Helper()
	all, err := r.Metrics.(interface {
		Gather() ([]*dto.MetricFamily, error)
	}).Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range all {
		for _, m := range family.GetMetric() {
			for _, l := range m.GetLabel() {
				if family.GetName() == "keyrounds_token_requests_total" && l.GetName() == "purpose" && l.GetValue() == purpose {
					sum += m.GetCounter().GetValue()
				}
			}
		}
	}
	return sum
}

// A 429 with Retry-After that one caller gets holds for all of them, whoever asks next.
func TestAPauseHoldsForEverybody(t *testing.T) {
	t.Parallel()
	for _, first := range Purposes() {
		t.Run(first.Name, func(t *testing.T) {
			t.Parallel()
			a := newAsking(t, nil)
			limited := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", "600")
				w.WriteHeader(http.StatusTooManyRequests)
			})
			a.answer.Store(&limited)
			callers := a.callers()
			_ = callers[first.Name](t.Context()) // some say that nothing came
			if n := a.asked.Load(); n != 1 {
				t.Fatalf("%d requests", n)
			}
			for name, call := range callers {
				err := call(t.Context())
				var notNow *NotNowError
				if errors.As(err, &notNow) && time.Until(notNow.Until) < 9*time.Minute {
					t.Errorf("%s may ask again at %s", name, notNow.Until)
				}
				if n := a.asked.Load(); n != 1 {
					t.Errorf("%s asked all the same (%s)", name, fmt.Sprint(err))
					a.asked.Store(1)
				}
			}
		})
	}
}
