package action

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/registry"
	"github.com/keyrounds/keyrounds/secret"
)

// longestSilence bounds how long nobody is told of something, or a finding is put aside: who wants more has to say so again.
const longestSilence = 90 * 24 * time.Hour

// Silence has nobody told of what s names until s.Until, for actor, and returns it with its id. It must name a credential
// that is registered, a provider that has one, or labels, end within 90 days, and say why; else the error is a refusal
// that says what is wrong.
func (a *Actions) Silence(ctx context.Context, actor string, s notify.Silence) (notify.Silence, error) {
	now := a.Now()
	s.Why, s.MadeBy = secret.Scrubber{}.Clean(s.Why, mostReason), actor
	switch {
	case s.What() == "":
		return s, refusal("A silence names a credential, a provider or labels.")
	case !s.Until.After(now):
		return s, refusal("A silence ends in the future.")
	case s.Until.Sub(now) > longestSilence:
		return s, refusal("A silence lasts 90 days at most.")
	case slices.Contains(slices.Collect(maps.Values(s.Labels)), ""):
		return s, refusal("A label of a silence has a value: env=test.")
	case slices.ContainsFunc(slices.Collect(maps.Keys(s.Labels)), func(k string) bool { return !credential.ValidLabel(k) }):
		return s, refusal("A label of a silence has a name of letters, digits and underscores: env=test.")
	case s.Why == "":
		return s, refusal("A silence says why, for those who wonder.")
	}
	if s.Credential != "" {
		c, err := a.Registry.Get(ctx, s.Credential)
		if errors.Is(err, registry.ErrNotFound) || err == nil && !c.Retired.IsZero() {
			return s, refusal(fmt.Sprintf("No credential %q is registered.", s.Credential))
		}
		if err != nil {
			return s, err
		}
		if s.Provider != "" && s.Provider != c.Provider {
			return s, refusal(fmt.Sprintf("The credential %q is of the provider %q: this would silence nothing.", s.Credential, c.Provider))
		}
	}
	err := a.inTx(ctx, func(tx pgx.Tx) (err error) {
		if s.Provider != "" {
			of, err := a.Registry.Schedules(ctx, tx, s.Provider)
			if err == nil && len(of) == 0 {
				err = refusal(fmt.Sprintf("No credential of a provider %q is registered.", s.Provider))
			}
			if err != nil {
				return err
			}
		}
		if s, err = a.Notifier.Silence(ctx, tx, s); err != nil {
			return err
		}
		return a.recordSilence(ctx, tx, actor, "silence.made", s)
	})
	return s, err
}

// EndSilence ends a silence for actor: what it held back and still holds is told within a minute. The error is a refusal
// where none of that id holds.
func (a *Actions) EndSilence(ctx context.Context, actor string, id int64) (s notify.Silence, err error) {
	err = a.inTx(ctx, func(tx pgx.Tx) (err error) {
		if s, err = a.Notifier.EndSilence(ctx, tx, id, actor); err != nil {
			return err
		}
		return a.recordSilence(ctx, tx, actor, "silence.ended", s)
	})
	if errors.Is(err, notify.ErrNoSilence) {
		err = refusal(fmt.Sprintf("No silence %d holds.", id))
	}
	return s, err
}

func (a *Actions) recordSilence(ctx context.Context, tx pgx.Tx, actor, what string, s notify.Silence) error {
	e, err := audit.NewEntry(a.Now(), actor, what, fmt.Sprintf("silence/%d", s.ID), s)
	if err != nil {
		return err
	}
	return a.Audit.Append(ctx, tx, e)
}

// silenceText is Silence where a message was told: a second time with the same id it does nothing.
func (a *Actions) silenceText(ctx context.Context, do notify.Action) (string, error) {
	fresh, err := a.once(ctx, do.ID)
	if err != nil || !fresh {
		return "", err
	}
	s, err := a.Silence(ctx, do.Actor, notify.Silence{Credential: do.Name, Until: a.Now().Add(do.For), Why: do.Reason})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("Silence %d: nobody is told of %s until %s. To end it sooner: /keyrounds unsilence %d",
		s.ID, s.What(), s.Until.UTC().Format(notify.TimeLayout), s.ID), nil
}

func (a *Actions) endSilenceText(ctx context.Context, do notify.Action) (string, error) {
	id, err := strconv.ParseInt(do.Name, 10, 64)
	if err != nil {
		return "", refusal(fmt.Sprintf("%q is not the number of a silence.", do.Name))
	}
	fresh, err := a.once(ctx, do.ID)
	if err != nil || !fresh {
		return "", err
	}
	s, err := a.EndSilence(ctx, do.Actor, id)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("Silence %d of %s is over.", s.ID, s.What()), nil
}

func (a *Actions) silencesText(ctx context.Context) (string, error) {
	list, err := a.Notifier.Silences(ctx, false)
	if err != nil || len(list) == 0 {
		return "Nothing is silenced.", err
	}
	var lines []string
	for _, s := range list[:min(len(list), 20)] {
		until := s.Until.UTC().Format(notify.TimeLayout)
		lines = append(lines, fmt.Sprintf("%d: %s until %s, by %s: %s", s.ID, s.What(), until, s.MadeBy, s.Why))
	}
	if n := len(list) - len(lines); n > 0 {
		lines = append(lines, fmt.Sprintf("and %d more: keyrounds silence list", n))
	}
	return strings.Join(lines, "\n"), nil
}

func (a *Actions) once(ctx context.Context, id string) (fresh bool, err error) {
	err = a.inTx(ctx, func(tx pgx.Tx) (err error) {
		fresh, err = a.Notifier.Once(ctx, tx, id)
		return err
	})
	return fresh, err
}
