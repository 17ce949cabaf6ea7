package rounds

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/registry"
	"github.com/keyrounds/keyrounds/secret"
)

// Rules of the door through which every token request goes:
//
//  1. Passive: a provider that is never exchanged is not.
//  2. Slots: whoever asks holds slots of the provider's concurrency, over all replicas. The rounds let those who wait go
//     first.
//  3. Pause: a provider that asked to be left alone is, by everybody, until then.
//  4. Budget: no more than the month's share so far. Every request counts.
//  5. Rate: requests are booked one after the other. A batch holds the rate among its own.
//  6. Ledger: what is about to be used is written down before it is, so that feeds tell it from the use of others.
//  7. Metrics: every request is counted, by what it was for.
//
// A Purpose says which of them do not apply to it, and why.

// Protection is one of the rules of the door.
type Protection string

// The protections that a Purpose can be without. Occupation, pause and metrics hold for all.
const (
	Passive Protection = "passive"
	Budget  Protection = "budget"
	Rate    Protection = "rate"
	Ledger  Protection = "ledger"
)

// Purpose is what a token is requested for. The zero value waits for nobody and has every protection.
type Purpose struct {
	Name string
	// Patience is how long it waits until nobody else works at the provider.
	Patience time.Duration
	// Without are the protections that do not hold, each with the reason.
	Without map[Protection]string
}

// Purposes are all that tokens are requested for, by the names that the metrics and docs show.
func Purposes() []Purpose { return []Purpose{scheduled, byHand, firstCheck, leaked, feedAccess} }

var (
	scheduled = Purpose{Name: "check"} // a stream holds the rules itself, in the transaction that leases
	byHand    = Purpose{Name: "check_by_hand", Patience: defaultJobTimeout, Without: map[Protection]string{
		Budget: "a person decides to spend it; it is counted",
		Rate:   "a person waits; it is booked, so that others come later",
	}}
	firstCheck = Purpose{Name: "first_check", Patience: defaultJobTimeout}
	leaked     = Purpose{Name: "leaked_secret", Patience: patience}
	feedAccess = Purpose{Name: "feed", Patience: 3 * patience, Without: map[Protection]string{
		Passive: "feeds are how a passive provider is watched, and this one names the credential that reads it",
		Ledger:  "it is a real use of the credential, and must not be taken out",
	}}
)

// holds reports whether a protection holds for p.
func (p Purpose) holds(x Protection) bool { return p.Without[x] == "" }

// Order is a request for tokens of one provider.
type Order struct {
	Purpose     Purpose
	Provider    string
	Credentials []credential.Credential
	// Secret reads the secret of a credential just before it is used. nil: the one that it has now.
	Secret func(context.Context, credential.Credential) (secret.Value, error)
	// Leases are those of the credentials: what is stored must have one that is still its own. nil: they are checked
	// without.
	Leases []registry.Lease
	// Stop ends the order: after it closes no further request begins. nil: it ends when the daemon stops or the order
	// has had its time.
	Stop <-chan struct{}
	// Single asks for the token of the only credential, for the caller. Otherwise tokens are used for probes
	// and dropped.
	Single bool
}

// NotNowError says that a provider may not be asked now. Nothing was asked. It travels as JSON from a daemon to a
// command.
type NotNowError struct {
	Provider string
	Until    time.Time // when it may be asked again; zero: soon
	Why      string
}

func (e *NotNowError) Error() string {
	if e.Until.IsZero() {
		return fmt.Sprintf("the provider %q %s", e.Provider, e.Why)
	}
	return fmt.Sprintf("the provider %q %s until %s", e.Provider, e.Why, e.Until.UTC().Format("2006-01-02 15:04:05 MST"))
}

// ErrNotExchanged is wrapped by the errors that say that a provider's credentials are never exchanged: it is passive,
// or knows its clients by certificates where a single secret was to be tried.
var ErrNotExchanged = errors.New("its credentials are never exchanged")

// Exchange asks a provider for tokens: the one door for that. The results are those of the requests that began; what
// was not begun, since the daemon stops or the provider asked to be left alone, is left out. token is that of a
// single order, and the caller's to wipe. A provider that is not in the configuration is not asked: every result says
// so.
//
// The provider stays occupied until leave is called, which is never nil; after an error it is free again.
// *NotNowError: it may not be asked now. ErrNotExchanged: never. It is safe for concurrent use, and for use by
// several replicas.
func (r *Rounds) Exchange(ctx context.Context, o Order) (results []checker.Result, token secret.Value, leave func(), err error) {
	p, known := r.settings.Load().Providers[o.Provider]
	if !known { // it left the configuration; its credentials were added by a command
		p = checker.Provider{Name: o.Provider}
	}
	if p.Passive && o.Purpose.holds(Passive) {
		return nil, token, func() {}, fmt.Errorf("the provider %q is passive: %w", p.Name, ErrNotExchanged)
	}
	at, err := r.occupy(ctx, o)
	if err != nil {
		return nil, token, func() {}, err
	}
	leave = at.leave
	if o.Stop == nil {
		stop, end := r.stopSignal()
		defer end()
		o.Stop = stop
	}
	stop, end := either(o.Stop, at.lost)
	defer end()
	o.Stop = stop
	defer func() {
		if err != nil {
			leave()
			leave = func() {}
		}
	}()
	if known {
		if err = r.admit(ctx, p, o); err != nil {
			return nil, token, leave, err
		}
	}
	targets, err := r.intend(ctx, o)
	if err != nil {
		return nil, token, leave, err
	}
	if !known {
		return r.Checker.Fail(p, targets, fmt.Errorf("the provider %q is not in the configuration", p.Name)), token, leave, nil
	}
	results, token = r.ask(ctx, p, o, at.slots, targets)
	for _, res := range results {
		r.metrics.requested(p.Name, o.Purpose, res.Outcome)
	}
	return results, token, leave, r.settle(ctx, p, o, results)
}

// pass waits, unless ctx ends or the daemon stops.
func (r *Rounds) pass(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-r.stopping:
		return context.Canceled
	case <-time.After(d):
		return nil
	}
}

// admit holds pause, budget and rate, counts the requests, and waits for their turn where that is near.
func (r *Rounds) admit(ctx context.Context, p checker.Provider, o Order) error {
	now, n := r.Now(), len(o.Credentials)
	wait := time.Duration(0)
	// Whoever waits here occupies the provider: no longer than patience.
	bears := min(o.Purpose.Patience, patience)
	later := func(at time.Time, why string) error {
		if at.Sub(now) > bears {
			return &NotNowError{p.Name, at, why}
		}
		wait = max(wait, at.Sub(now))
		return nil
	}
	err := pgx.BeginFunc(ctx, r.Pool, func(tx pgx.Tx) error {
		paused, err := r.Registry.Paused(ctx, tx, p.Name)
		if err != nil {
			return err
		}
		if err := later(paused, "asks us to stay away"); err != nil {
			return err
		}
		if p.Budget > 0 && o.Purpose.holds(Budget) {
			spent, err := r.Registry.Spent(ctx, tx, p.Name, now)
			if err != nil {
				return err
			}
			why := fmt.Sprintf("has no token request left of its budget of %d a month", p.Budget)
			if err := later(affordable(p.Budget, spent+n, now), why); err != nil {
				return err
			}
		}
		turn, err := r.Registry.Pace(ctx, tx, p.Name, now, takes(p, n))
		if err != nil {
			return err
		}
		if o.Purpose.holds(Rate) {
			if err := later(turn, "is asked by others at its full rate"); err != nil {
				return err
			}
		}
		return r.Registry.Spend(ctx, tx, p.Name, now, n)
	})
	if err != nil || wait <= 0 {
		return err
	}
	return r.pass(ctx, wait)
}

// takes is how long n requests take at p's rate.
func takes(p checker.Provider, n int) time.Duration {
	if p.Rate <= 0 {
		return 0
	}
	return time.Duration(float64(n) / float64(p.Rate) * float64(time.Second))
}

// intend makes the targets of an order, and writes down that they are about to be used before they are: a feed
// that shows a use sooner than its result is stored finds out that it is ours. What could not be written down
// is not asked.
func (r *Rounds) intend(ctx context.Context, o Order) ([]checker.Target, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	worked, err := r.Audit.LastSuccesses(ctx, r.Pool, batch{creds: o.Credentials}.ids())
	if err != nil {
		return nil, err
	}
	targets, intents := make([]checker.Target, len(o.Credentials)), make([]audit.Intent, len(o.Credentials))
	for i, c := range o.Credentials {
		targets[i] = r.target(c, o.Secret, worked[c.ID])
		intents[i] = audit.Intent{Check: targets[i].ID, CredentialID: c.ID, At: r.Now()}
	}
	if !o.Purpose.holds(Ledger) {
		return targets, nil
	}
	return targets, r.Audit.Intend(ctx, r.Pool, intents)
}

// ask resolves each secret just before it is used and drops it after.
func (r *Rounds) ask(
	ctx context.Context,
	p checker.Provider,
	o Order,
	slots int,
	targets []checker.Target,
) ([]checker.Result, secret.Value) {
	r.metrics.inFlight.Add(float64(len(targets)))
	defer r.metrics.inFlight.Sub(float64(len(targets)))
	if o.Single {
		token, res := r.Checker.Token(ctx, p, targets[0])
		return []checker.Result{res}, token
	}
	return r.Checker.Open(p).CheckAll(ctx, o.Stop, slots, targets), secret.Value{}
}

// settle keeps away from a provider that asked for it, and gives back what was counted and not asked.
func (r *Rounds) settle(ctx context.Context, p checker.Provider, o Order, results []checker.Result) error {
	var pause time.Duration
	for _, res := range results {
		pause = max(pause, res.RetryAfter)
	}
	unasked, until := len(o.Credentials)-len(results), r.Now().Add(pause)
	if pause == 0 && unasked == 0 {
		return nil
	}
	return r.patiently(ctx, func(ctx context.Context) error {
		return pgx.BeginFunc(ctx, r.Pool, func(tx pgx.Tx) error {
			if err := r.Registry.Spend(ctx, tx, p.Name, r.Now(), -unasked); err != nil || pause == 0 {
				return err
			}
			return r.Registry.Pause(ctx, tx, p.Name, until)
		})
	})
}

// patiently does what needs the database until it succeeds or ctx ends.
func (r *Rounds) patiently(ctx context.Context, do func(context.Context) error) error {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 3*time.Second) {
		err := do(ctx)
		if err == nil || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// Attempt exchanges a secret that may have got out, for the credential that it belongs or belonged to, and hands over
// the token, if one is issued: the caller wipes it, and v. It is no check: nothing is judged by it. A refusal is in
// the result and no error.
//
// The errors are those of Exchange; a provider that is not in the configuration is one here, one that knows its
// clients by certificates is ErrNotExchanged, and beside a daemon that did not ask for it *BesideError.
func (r *Rounds) Attempt(ctx context.Context, c credential.Credential, v secret.Value) (secret.Value, checker.Result, error) {
	if err := r.exchangeable(c); err != nil {
		return secret.Value{}, checker.Result{}, err
	}
	if !r.Daemon { // whose configuration may be another one: it would send the secret elsewhere
		lives, err := r.DaemonLives(ctx)
		if err == nil && lives {
			err = &BesideError{}
		}
		if err != nil {
			return secret.Value{}, checker.Result{}, err
		}
	}
	return r.single(ctx, leaked, c, func(context.Context, credential.Credential) (secret.Value, error) {
		return secret.New([]byte(v.Reveal())), nil // which is wiped
	})
}

// BesideError says that a daemon works on the database, and that it alone tries secrets.
type BesideError struct{}

func (*BesideError) Error() string {
	return "a daemon works on this database, and it alone tries secrets"
}

// Public says it to whoever asked.
func (e *BesideError) Public() string {
	return "A daemon works on this database, and it alone tries secrets."
}

// Hint says what to do.
func (*BesideError) Hint() string {
	return "work at the daemon: by its configuration file on its machine, or by --server"
}

// single asks for the token of one credential.
func (r *Rounds) single(
	ctx context.Context,
	why Purpose,
	c credential.Credential,
	read func(context.Context, credential.Credential) (secret.Value, error),
) (secret.Value, checker.Result, error) {
	results, token, leave, err := r.Exchange(
		ctx,
		Order{Purpose: why, Provider: c.Provider, Credentials: []credential.Credential{c}, Secret: read, Single: true},
	)
	defer leave()
	if err != nil {
		token.Wipe()
		return secret.Value{}, checker.Result{}, err
	}
	return token, results[0], nil
}

// exchangeable says why a secret of c cannot be tried by itself.
func (r *Rounds) exchangeable(c credential.Credential) error {
	p, ok := r.settings.Load().Providers[c.Provider]
	switch {
	case !ok:
		return fmt.Errorf("the provider %q is not in the configuration", c.Provider)
	case slices.Contains([]checker.AuthMethod{checker.TLSClientAuth, checker.SelfSignedTLSClientAuth}, p.AuthMethod):
		return fmt.Errorf("the provider %q knows its clients by certificates: %w here", c.Provider, ErrNotExchanged)
	}
	return nil
}
