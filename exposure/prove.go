package exposure

import (
	"cmp"
	"context"
	"errors"
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
	value secret.Value
	leak.Token
}

const (
	tryHold    = 2 * time.Minute // whoever claimed a secret has so long
	triesATick = 5
	tokenLife  = time.Hour // where the provider does not say
)

// tryLeaked tries the secrets that are due: those that got out, and those that were replaced.
func (x *Exposure) tryLeaked(ctx context.Context) error {
	due, err := x.Leaks.Claim(ctx, x.Now(), tryHold, x.lease(), triesATick)
	if err != nil {
		return postgres.Plain(err)
	}
	var errs []error
	for _, r := range due {
		_, _, err := x.tryOne(ctx, r, secret.Value{})
		if err == nil {
			continue
		}
		again, expected := retryAt(err, x.Now(), x.pace().Every)
		if !expected {
			x.Log.Warn("a secret that got out could not be tried", "secret", r.ID, "error", err)
		}
		errs = append(errs, x.Leaks.Postpone(ctx, r, again))
	}
	return postgres.Plain(errors.Join(errs...))
}

// busyRetry is how soon a secret is tried again whose provider only was busy with others.
const busyRetry = 10 * time.Second

// retryAt returns when a secret is tried again that could not be tried, the zero Time: never. Not now, and never, are
// expected; what else happened is told.
func retryAt(err error, now time.Time, every time.Duration) (at time.Time, expected bool) {
	var notNow *rounds.NotNowError
	switch {
	case errors.Is(err, rounds.ErrNotExchanged):
		return time.Time{}, true
	case errors.As(err, &notNow) && notNow.Until.After(now):
		return notNow.Until, true
	case errors.As(err, &notNow):
		return now.Add(min(every, busyRetry)), true
	}
	return now.Add(every), false
}

// lease keeps a secret with this process until its next try is well over.
func (x *Exposure) lease() leak.Lease {
	p := x.pace()
	return leak.Lease{Holder: x.holder, Keep: max(p.Every, p.Confirm) + 2*tryHold}
}

func (x *Exposure) pace() leak.Pace {
	s := x.settings.Load()
	return leak.Pace{Every: s.TryEvery, Confirm: s.Confirm}
}

// tryOne tries a secret and stores what came of it. given is the secret, where somebody brought it; else
// keyrounds has it.
func (x *Exposure) tryOne(ctx context.Context, r leak.SecretRow, given secret.Value) (leak.Attempt, *finding.Death, error) {
	c, err := x.Registry.ByID(ctx, r.CredentialID)
	if err != nil {
		return leak.Attempt{}, nil, err
	}
	v := given
	if v.IsZero() {
		if v, err = x.leakedValue(ctx, c, r); err != nil {
			return leak.Attempt{}, nil, err
		}
	}
	defer v.Wipe()
	c.Subject = r.ClientID
	at, err := x.attempt(ctx, c, r, v)
	if err != nil {
		return at, nil, err
	}
	death, err := x.storeAttempt(ctx, c, r, at)
	if death != nil {
		x.dropToken(r.ID)
		x.Log.Info("a secret is proven dead", "credential", c.Name, "refused", len(death.Refused), "token", death.Token)
	}
	return at, death, err
}

func (x *Exposure) leakedValue(ctx context.Context, c credential.Credential, r leak.SecretRow) (secret.Value, error) {
	switch {
	case r.Kept:
		return x.Leaks.Open(r)
	case !r.Replaced.IsZero():
		return secret.Value{}, errors.New("keyrounds does not have the replaced secret")
	}
	v, err := x.Rounds.Resolve(ctx, c)
	if err != nil {
		return v, err
	}
	// What another secret does must never be said of this one.
	if is, err := x.Leaks.HasFingerprint(ctx, r, v); err != nil || !is {
		v.Wipe()
		return secret.Value{}, cmp.Or(err, errReplaced)
	}
	return v, nil
}

var errReplaced = errors.New("the secret was replaced meanwhile")

// attempt exchanges the secret, and sees what becomes of the token that it gave before.
func (x *Exposure) attempt(ctx context.Context, c credential.Credential, r leak.SecretRow, v secret.Value) (leak.Attempt, error) {
	own, _, err := x.Audit.StandingOf(ctx, c.ID)
	if err != nil {
		return leak.Attempt{}, err
	}
	if r.Replaced.IsZero() && own.Status == verdict.Suspect {
		return leak.Attempt{At: x.Now()}, nil // its own checks find out; more refusals could lock it out
	}
	token, res, err := x.Rounds.Attempt(ctx, c, v)
	if err != nil {
		return leak.Attempt{}, err
	}
	at := leak.Attempt{
		At:        x.Now(),
		Outcome:   string(res.Outcome),
		Reason:    string(res.Reason),
		Status:    res.HTTPStatus,
		ErrorCode: res.ErrorCode,
	}
	switch {
	case res.Outcome.HasToken():
		at.Works = true
		if !token.IsZero() { // an API key has none
			x.keepToken(r.ID, token, res.ExpiresIn, at.At)
		}
		return at, nil
	case res.Outcome != checker.Rejected:
		return at, nil
	}
	at.Refused = true
	peers := leak.Peers{}
	if peers.Works, peers.All, err = x.Audit.Peers(ctx, c.Provider, c.ID); err != nil {
		return at, err
	}
	successor := time.Time{}
	if !r.Replaced.IsZero() && own.Status == verdict.Healthy && own.LastSuccess.After(r.Replaced) {
		successor = own.LastSuccess
	}
	at.Control, at.Alone = leak.Control(peers, successor)
	if at.Control == "" && !at.Alone {
		at.Refused = false // it refuses everybody: an incident proves nothing
		return at, nil
	}
	at.Token = x.tokenFate(ctx, c, r.ID)
	if at.Finding, err = x.findingOf(ctx, c); err != nil {
		return at, err
	}
	at.Log, err = x.inProvidersLog(ctx, c)
	return at, err
}

// findingOf is the finding that a secret of a credential got out; 0: there is none now.
func (x *Exposure) findingOf(ctx context.Context, c credential.Credential) (int64, error) {
	all, err := x.Audit.Findings(ctx, audit.Filter{Kind: finding.Leaked, Among: []int64{c.ID}, Limit: 1})
	if err != nil || len(all) == 0 {
		return 0, err
	}
	return all[0].ID, nil
}

func (x *Exposure) keepToken(id int64, token secret.Value, life time.Duration, now time.Time) {
	if life <= 0 {
		life = tokenLife
	}
	x.tokens.mu.Lock()
	defer x.tokens.mu.Unlock()
	if x.tokens.of == nil {
		x.tokens.of = map[int64]heldToken{}
	}
	if old, has := x.tokens.of[id]; has {
		old.value.Wipe()
	}
	x.tokens.of[id] = heldToken{token, leak.Token{Minted: now, Expires: now.Add(life)}}
}

func (x *Exposure) dropToken(id int64) {
	x.tokens.mu.Lock()
	defer x.tokens.mu.Unlock()
	if old, has := x.tokens.of[id]; has {
		old.value.Wipe()
		delete(x.tokens.of, id)
	}
}

// tokenFate sees whether the API still takes the last token of a secret.
func (x *Exposure) tokenFate(ctx context.Context, c credential.Credential, id int64) leak.TokenFate {
	x.tokens.mu.Lock()
	t, has := x.tokens.of[id]
	x.tokens.mu.Unlock()
	now := x.Now()
	if !has {
		return leak.Fate(nil, leak.Presented{}, now)
	}
	p := leak.Presented{}
	if !t.Expired(now) {
		state, err := x.Rounds.Present(ctx, c, t.value)
		p = leak.Presented{Asked: err == nil, State: state}
	}
	return leak.Fate(&t.Token, p, now)
}

// inProvidersLog is what a feed of the provider's own log says of the end; nil: nothing.
func (x *Exposure) inProvidersLog(ctx context.Context, c credential.Credential) (d *finding.Death, err error) {
	err = x.inTx(ctx, func(tx pgx.Tx) error {
		of, _, err := x.Usage.Revocations(ctx, tx, c.Provider, []int64{c.ID}, x.Now())
		if r, is := of[c.ID]; is {
			d = &finding.Death{LogAt: r.At, LogBy: r.Actor, LogFeed: r.Feed}
		}
		return err
	})
	return d, err
}

func (x *Exposure) storeAttempt(
	ctx context.Context,
	c credential.Credential,
	r leak.SecretRow,
	at leak.Attempt,
) (death *finding.Death, err error) {
	err = x.inTx(ctx, func(tx pgx.Tx) error {
		var events []finding.Event
		if events, death, err = x.Leaks.RecordAttempt(ctx, tx, r, at, x.pace(), x.Now()); err != nil {
			return err
		}
		if _, err := x.Audit.Publish(ctx, tx, events); err != nil || death == nil {
			return err
		}
		subject := finding.Subject{Credential: c.Name, CredentialID: c.ID, Provider: c.Provider}
		e, err := audit.NewEntry(x.Now(), audit.Daemon, "secret.died", subject.Key(), map[string]any{"secret": r.ID, "proof": death})
		if err != nil {
			return err
		}
		return x.Audit.Append(ctx, tx, e)
	})
	return death, err
}

// ErrStillWorks ends ProveDead where the secret was not proven dead in time.
var ErrStillWorks = errors.New("it is not proven dead")

// ErrNeverWorked ends ProveDead where a secret that was replaced was never seen to work: that it is refused proves nothing.
var ErrNeverWorked = errors.New("it was never seen to work")

// ProveDead tries a secret of a credential until its death is proven, or ctx ends. given is that secret, where
// keyrounds does not have it. Each attempt is told.
func (x *Exposure) ProveDead(ctx context.Context, r leak.SecretRow, given secret.Value, told func(leak.Attempt)) (*finding.Death, error) {
	for {
		if r.GivenUp() {
			return nil, ErrNeverWorked
		}
		copied := secret.Value{}
		if !given.IsZero() {
			copied = secret.New([]byte(given.Reveal()))
		}
		at, death, err := x.tryOne(ctx, r, copied)
		var notNow *rounds.NotNowError
		if errors.As(err, &notNow) {
			at, err = leak.Attempt{At: x.Now(), Outcome: string(checker.RateLimited), NotNow: err.Error()}, nil
		}
		if err != nil || death != nil {
			return death, err
		}
		told(at)
		pause := x.pace().Confirm
		if !at.Refused {
			pause = min(pause, 10*time.Second)
		}
		if notNow != nil && notNow.Until.After(x.Now()) {
			pause = notNow.Until.Sub(x.Now())
		}
		select {
		case <-ctx.Done():
			return nil, ErrStillWorks
		case <-time.After(pause):
		}
		// The daemon tries it as well, and somebody may have replaced it.
		if r, err = x.Leaks.Reread(ctx, r); err != nil {
			return nil, err
		}
		if !r.Dead.IsZero() {
			all, err := x.Leaks.Deaths(ctx, r.CredentialID)
			d := all[r.ID]
			return &d, err
		}
	}
}
