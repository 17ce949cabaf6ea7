package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/leak"
	"github.com/keyrounds/keyrounds/postgres"
	"github.com/keyrounds/keyrounds/rounds"
	"github.com/keyrounds/keyrounds/secret"
	"github.com/keyrounds/keyrounds/verdict"
)

// tokens are those that were issued for secrets that got out, to see them end. They are in memory only.
type tokens struct {
	mu sync.Mutex
	of map[int64]heldToken // by leak.SecretRow.ID
}

type heldToken struct {
	value           secret.Value
	minted, expires time.Time
}

const (
	tryHold    = 2 * time.Minute // whoever claimed a secret has so long
	triesATick = 5
	tokenLife  = time.Hour // where the provider does not say
)

// tryLeaked tries the secrets that are due: those that got out, and those that were replaced.
func (a *App) tryLeaked(ctx context.Context) error {
	due, err := a.Leaks.Claim(ctx, a.Now(), tryHold, triesATick)
	if err != nil {
		return postgres.Plain(err)
	}
	var errs []error
	for _, r := range due {
		_, _, err := a.tryOne(ctx, r, secret.Value{})
		again := a.Now().Add(a.pace().Every)
		var notNow *rounds.NotNowError
		switch {
		case err == nil:
			continue
		case errors.Is(err, rounds.ErrNotExchanged):
			again = time.Time{}
		case errors.As(err, &notNow):
			if notNow.Until.After(again) {
				again = notNow.Until
			}
		default:
			a.Log.Warn("a secret that got out could not be tried", "secret", r.ID, "error", err)
		}
		errs = append(errs, a.Leaks.Postpone(ctx, r, again))
	}
	return postgres.Plain(errors.Join(errs...))
}

func (a *App) pace() leak.Pace {
	c := a.config.Load()
	p := leak.Pace{Every: c.Leaks.TryEvery, Confirm: 2 * time.Minute}
	if len(c.Policy.Confirm) > 0 {
		p.Confirm = c.Policy.Confirm[0]
	}
	return p
}

// tryOne tries a secret and stores what came of it. given is the secret, where somebody brought it; else
// keyrounds has it.
func (a *App) tryOne(ctx context.Context, r leak.SecretRow, given secret.Value) (leak.Attempt, *finding.Death, error) {
	c, err := a.credentialOf(ctx, r.CredentialID)
	if err != nil {
		return leak.Attempt{}, nil, err
	}
	v := given
	if v.IsZero() {
		if v, err = a.leakedValue(ctx, c, r); err != nil {
			return leak.Attempt{}, nil, err
		}
	}
	defer v.Wipe()
	c.ClientID = r.ClientID
	at, err := a.attempt(ctx, c, r, v)
	if err != nil {
		return at, nil, err
	}
	death, err := a.storeAttempt(ctx, c, r, at)
	if death != nil {
		a.forget(r.ID)
		a.Log.Info("a secret is proven dead", "credential", c.Name, "refused", len(death.Refused), "token", death.Token)
	}
	return at, death, err
}

func (a *App) credentialOf(ctx context.Context, id int64) (credential.Credential, error) {
	all, err := a.Registry.List(ctx, true)
	if err != nil {
		return credential.Credential{}, err
	}
	i := slices.IndexFunc(all, func(c credential.Credential) bool { return c.ID == id })
	if i < 0 {
		return credential.Credential{}, fmt.Errorf("no credential has the id %d", id)
	}
	return all[i], nil
}

func (a *App) leakedValue(ctx context.Context, c credential.Credential, r leak.SecretRow) (secret.Value, error) {
	switch {
	case r.Kept:
		return a.Leaks.Open(r)
	case !r.Replaced.IsZero():
		return secret.Value{}, errors.New("keyrounds does not have the replaced secret")
	}
	v, err := a.Rounds.Resolve(ctx, c)
	if err != nil {
		return v, err
	}
	// What another secret does must never be said of this one.
	if is, err := a.Leaks.HasFingerprint(ctx, r, v); err != nil || !is {
		v.Wipe()
		return secret.Value{}, cmp.Or(err, errReplaced)
	}
	return v, nil
}

var errReplaced = errors.New("the secret was replaced meanwhile")

// attempt exchanges the secret, and sees what becomes of the token that it gave before.
func (a *App) attempt(ctx context.Context, c credential.Credential, r leak.SecretRow, v secret.Value) (leak.Attempt, error) {
	standings, err := a.Audit.Standings(ctx, true)
	if err != nil {
		return leak.Attempt{}, err
	}
	i := slices.IndexFunc(standings, func(st audit.Standing) bool { return st.CredentialID == c.ID })
	if r.Replaced.IsZero() && i >= 0 && standings[i].Status == verdict.Suspect {
		return leak.Attempt{At: a.Now()}, nil // its own checks find out; more refusals could lock it out
	}
	token, res, err := a.Rounds.Attempt(ctx, c, v)
	if err != nil {
		return leak.Attempt{}, err
	}
	at := leak.Attempt{At: a.Now(), Outcome: string(res.Outcome), Reason: string(res.Reason), Status: res.HTTPStatus, ErrorCode: res.ErrorCode}
	switch {
	case res.Outcome.HasToken() && !token.IsZero():
		at.Works = true
		a.hold(r.ID, token, res.ExpiresIn, at.At)
		return at, nil
	case res.Outcome != checker.Rejected:
		return at, nil
	}
	at.Refused = true
	at.Control, at.Alone = control(c, r, standings)
	if at.Control == "" && !at.Alone {
		at.Refused = false // it refuses everybody: an incident proves nothing
		return at, nil
	}
	at.Token = a.tokenFate(ctx, c, r.ID)
	at.Log, err = a.inProvidersLog(ctx, c)
	return at, err
}

// control says what shows that the provider answers others now; alone: there are none.
func control(c credential.Credential, r leak.SecretRow, standings []audit.Standing) (text string, alone bool) {
	works, peers := 0, 0
	for _, st := range standings {
		if st.Provider != c.Provider || st.Status == verdict.Retired {
			continue
		}
		if st.CredentialID == c.ID {
			if !r.Replaced.IsZero() && st.Status == verdict.Healthy && st.LastSuccess.After(r.Replaced) {
				return "its new secret was accepted " + st.LastSuccess.UTC().Format("15:04:05 MST"), false
			}
			continue
		}
		peers++
		if st.Status == verdict.Healthy {
			works++
		}
	}
	if works > 0 {
		return fmt.Sprintf("%d of the provider's %d other credentials work", works, peers), false
	}
	return "", peers == 0
}

func (a *App) hold(id int64, token secret.Value, life time.Duration, now time.Time) {
	if life <= 0 {
		life = tokenLife
	}
	a.tokens.mu.Lock()
	defer a.tokens.mu.Unlock()
	if a.tokens.of == nil {
		a.tokens.of = map[int64]heldToken{}
	}
	if old, has := a.tokens.of[id]; has {
		old.value.Wipe()
	}
	a.tokens.of[id] = heldToken{token, now, now.Add(life)}
}

func (a *App) forget(id int64) {
	a.tokens.mu.Lock()
	defer a.tokens.mu.Unlock()
	if old, has := a.tokens.of[id]; has {
		old.value.Wipe()
		delete(a.tokens.of, id)
	}
}

// tokenFate sees whether the API still takes the last token of a secret.
func (a *App) tokenFate(ctx context.Context, c credential.Credential, id int64) leak.TokenFate {
	a.tokens.mu.Lock()
	t, has := a.tokens.of[id]
	a.tokens.mu.Unlock()
	now := a.Now()
	switch {
	case !has:
		return leak.TokenFate{Text: "no token of it was at hand"}
	case now.After(t.expires):
		return leak.TokenFate{Text: "a token that was issued before is past its time", Minted: t.minted}
	}
	state, err := a.Rounds.Present(ctx, c, t.value)
	switch {
	case err != nil, state == checker.TokenUnknown && len(a.config.Load().Providers[c.Provider].Probes) == 0:
		return leak.TokenFate{Text: "a token that was issued before could not be tried: the provider has no probe", Minted: t.minted}
	case state == checker.TokenStopped:
		return leak.TokenFate{Text: "a token that was issued before is refused by the API", Minted: t.minted, Stopped: now}
	case state == checker.TokenWorks:
		return leak.TokenFate{Text: "a token that was issued before still works", Minted: t.minted, Alive: true}
	}
	return leak.TokenFate{Text: "the API does not say whether a token that was issued before works", Minted: t.minted, Alive: true} // until it is past its time
}

// inProvidersLog is what a feed of the provider's own log says of the end; nil: nothing.
func (a *App) inProvidersLog(ctx context.Context, c credential.Credential) (d *finding.Death, err error) {
	err = a.inTx(ctx, func(tx pgx.Tx) error {
		of, _, err := a.Usage.Revocations(ctx, tx, c.Provider, []int64{c.ID}, a.Now())
		if r, is := of[c.ID]; is {
			d = &finding.Death{LogAt: r.At, LogBy: r.Actor, LogFeed: r.Feed}
		}
		return err
	})
	return d, err
}

func (a *App) storeAttempt(ctx context.Context, c credential.Credential, r leak.SecretRow, at leak.Attempt) (death *finding.Death, err error) {
	err = a.inTx(ctx, func(tx pgx.Tx) error {
		var events []finding.Event
		if events, death, err = a.Leaks.RecordAttempt(ctx, tx, r, at, a.pace(), a.Now()); err != nil {
			return err
		}
		if _, err := a.Audit.Publish(ctx, tx, events); err != nil || death == nil {
			return err
		}
		subject := finding.Subject{Credential: c.Name, CredentialID: c.ID, Provider: c.Provider}
		e, err := audit.NewEntry(a.Now(), audit.Daemon, "secret.died", subject.Key(), map[string]any{"secret": r.ID, "proof": death})
		if err != nil {
			return err
		}
		return a.Audit.Append(ctx, tx, e)
	})
	return death, err
}

// ErrStillWorks ends ProveDead where the secret was not proven dead in time.
var ErrStillWorks = errors.New("it is not proven dead")

// ProveDead tries a secret of a credential until its death is proven, or ctx ends. given is that secret, where
// keyrounds does not have it. Each attempt is told.
func (a *App) ProveDead(ctx context.Context, r leak.SecretRow, given secret.Value, told func(leak.Attempt)) (*finding.Death, error) {
	for {
		copied := secret.Value{}
		if !given.IsZero() {
			copied = secret.New([]byte(given.Reveal()))
		}
		at, death, err := a.tryOne(ctx, r, copied)
		var notNow *rounds.NotNowError
		if errors.As(err, &notNow) {
			at, err = leak.Attempt{At: a.Now(), Outcome: string(checker.RateLimited), NotNow: err.Error()}, nil
		}
		if err != nil || death != nil {
			return death, err
		}
		told(at)
		pause := a.pace().Confirm
		if !at.Refused {
			pause = min(pause, 10*time.Second)
		}
		if notNow != nil && notNow.Until.After(a.Now()) {
			pause = notNow.Until.Sub(a.Now())
		}
		select {
		case <-ctx.Done():
			return nil, ErrStillWorks
		case <-time.After(pause):
		}
		// The daemon tries it as well, and somebody may have replaced it.
		if r, err = a.Leaks.Reread(ctx, r); err != nil {
			return nil, err
		}
		if !r.Dead.IsZero() {
			all, err := a.Leaks.Deaths(ctx, r.CredentialID)
			d := all[r.ID]
			return &d, err
		}
	}
}
