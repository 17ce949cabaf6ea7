package api

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/rounds"
)

// CredentialEdit is what is to be said of a credential from now on. What is left out stays; an empty text takes away.
type CredentialEdit struct {
	KeyID            *string            `json:"key_id,omitempty" maxLength:"500"`
	Description      *string            `json:"description,omitempty" maxLength:"500"`
	Scopes           *[]string          `json:"scopes,omitempty" maxItems:"500" nullable:"false"`
	Owner            *string            `json:"owner,omitempty" maxLength:"500"`
	Labels           *map[string]string `json:"labels,omitempty"`
	Schedule         *string            `json:"schedule,omitempty" maxLength:"200"`
	UnusedAfter      *string            `json:"unused_after,omitempty" maxLength:"20"`
	MaxAge           *string            `json:"max_age,omitempty" maxLength:"20"`
	Created          *string            `json:"created,omitempty" maxLength:"10"`
	Expires          *string            `json:"expires,omitempty" maxLength:"40"`
	Canary           *bool              `json:"canary,omitempty"`
	ExpectedNetworks *[]string          `json:"expected_networks,omitempty" maxItems:"200" nullable:"false"`
}

type editIn struct {
	Named
	OnlyIf
	DryRun
	Body CredentialEdit
}

// editCredential changes what is said of a credential, but for its provider, client id and secret.
func (s *server) editCredential(ctx context.Context, in *editIn) (*changedCredential, error) {
	if _, err := s.credential(ctx, in.Name); err != nil {
		return nil, err
	}
	edit := func(c credential.Credential) (credential.Credential, error) {
		next, problems := Edited(c, in.Body).Credential(s.Config().Defaults)
		if wrong := wrongs("body.", problems); len(wrong) > 0 {
			return c, wrongly(wrong...)
		}
		return next, nil
	}
	if in.DryRun.DryRun {
		return s.tryEdit(ctx, in, edit)
	}
	match := func(c credential.Credential) error { return in.fits(tagOf(c)) }
	next, err := s.Actions.If(match).Edit(ctx, asking(ctx).Name, in.Name, edit)
	if err != nil {
		return nil, err
	}
	warnings, err := s.doubts(ctx, next)
	if err != nil {
		return nil, err
	}
	return s.changed(ctx, in.Name, warnings)
}

// tryEdit says what is wrong with an edit, and rarely meant, and changes nothing.
func (s *server) tryEdit(
	ctx context.Context, in *editIn, edit func(credential.Credential) (credential.Credential, error),
) (*changedCredential, error) {
	c, err := s.Actions.Editable(ctx, in.Name)
	if err == nil {
		err = in.fits(tagOf(c))
	}
	if err != nil {
		return nil, err
	}
	next, err := edit(c)
	if err != nil {
		return nil, err
	}
	warnings, err := s.doubts(ctx, next)
	if err != nil {
		return nil, err
	}
	return s.changed(ctx, in.Name, warnings)
}

// Edited is a credential as the configuration file would have it, with what is to change.
func Edited(c credential.Credential, e CredentialEdit) config.CredentialIn {
	in := config.CredentialIn{
		Name: c.Name, Provider: c.Provider, ClientID: c.Subject, Secret: c.Secret.String(), KeyID: c.KeyID, Description: c.Description,
		Scopes: slices.Clone(c.Scopes), Owner: c.Owner, Labels: maps.Clone(c.Labels), Schedule: c.Schedule,
		UnusedAfter: credential.FormatDuration(c.UnusedAfter), MaxAge: credential.FormatDuration(c.MaxAge), Canary: c.Canary,
	}
	if !c.Created.IsZero() {
		in.Created = c.Created.Format(time.DateOnly)
	}
	if !c.Expires.IsZero() {
		in.Expires = c.Expires.UTC().Format(time.RFC3339)
	}
	for _, n := range c.ExpectedNetworks {
		in.ExpectedNetworks = append(in.ExpectedNetworks, n.String())
	}
	set(&in.KeyID, e.KeyID)
	set(&in.Description, e.Description)
	set(&in.Scopes, e.Scopes)
	set(&in.Owner, e.Owner)
	set(&in.Labels, e.Labels)
	set(&in.Schedule, e.Schedule)
	set(&in.UnusedAfter, e.UnusedAfter)
	set(&in.MaxAge, e.MaxAge)
	set(&in.Created, e.Created)
	set(&in.Expires, e.Expires)
	set(&in.Canary, e.Canary)
	set(&in.ExpectedNetworks, e.ExpectedNetworks)
	return in
}

func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

type rotateIn struct {
	Named
	OnlyIf
	FirstIn
	DryRun
	Body RotateIn
}

// RotateIn is a new secret of a credential.
type RotateIn struct {
	Secret   SecretIn `json:"client_secret,omitempty" doc:"Required, but for a dry run."`
	ClientID string   `json:"client_id,omitempty" maxLength:"512" doc:"The new client id, where the provider gives a new pair."`
	Expires  string   `json:"expires,omitempty" maxLength:"40" doc:"Date or time when the new secret ends by itself."`
}

func (s *server) rotateCredential(ctx context.Context, in *rotateIn) (*changedCredential, error) {
	if _, err := s.credential(ctx, in.Name); err != nil {
		return nil, err
	}
	var end time.Time
	if in.Body.Expires != "" {
		var err error
		if end, err = credential.ParseEnd(in.Body.Expires); err != nil {
			return nil, wrongly(Wrong{"body.expires", "The member expires may be " + credential.EndHint + "."})
		}
	}
	next, err := s.Actions.Rotatable(ctx, in.Name, in.Body.ClientID, end)
	if err != nil {
		return nil, err
	}
	warnings, err := s.doubts(ctx, next)
	if err != nil {
		return nil, err
	}
	if in.DryRun.DryRun {
		return s.changed(ctx, in.Name, warnings)
	}
	v, err := in.Body.Secret.read("body.client_secret")
	if err != nil {
		return nil, err
	}
	defer v.Wipe()
	match := func(c credential.Credential) error { return in.fits(tagOf(c)) }
	if err := s.Actions.If(match).Rotate(ctx, asking(ctx).Name, in.Name, in.Body.ClientID, end, v, in.first()); err != nil {
		return nil, err
	}
	return s.changed(ctx, in.Name, warnings)
}

type undoIn struct {
	Named
	OnlyIf
	FirstIn
}

// undoRotation gives a credential back the secret that it had before, while that is kept.
func (s *server) undoRotation(ctx context.Context, in *undoIn) (*changedCredential, error) {
	if _, err := s.credential(ctx, in.Name); err != nil {
		return nil, err
	}
	match := func(c credential.Credential) error { return in.fits(tagOf(c)) }
	if err := s.Actions.If(match).UndoRotate(ctx, asking(ctx).Name, in.Name, in.first()); err != nil {
		return nil, err
	}
	return s.changed(ctx, in.Name, nil)
}

type retireIn struct {
	Named
	OnlyIf
	DryRun
}

func (s *server) retireCredential(ctx context.Context, in *retireIn) (*shownCredential, error) {
	if _, err := s.credential(ctx, in.Name); err != nil {
		return nil, err
	}
	if in.DryRun.DryRun {
		c, err := s.Actions.Retirable(ctx, in.Name)
		if err == nil {
			err = in.fits(tagOf(c))
		}
		if err != nil {
			return nil, err
		}
		return s.showCredential(ctx, &in.Named)
	}
	match := func(c credential.Credential) error { return in.fits(tagOf(c)) }
	if err := s.Actions.If(match).Retire(ctx, asking(ctx).Name, in.Name); err != nil {
		return nil, err
	}
	return s.showCredential(ctx, &in.Named)
}

// OnlySecret is a secret alone.
type OnlySecret struct {
	Secret SecretIn `json:"client_secret"`
}

type restoreIn struct {
	Named
	OnlyIf
	FirstIn
	DryRun
	Body RestoreIn
}

// RestoreIn is the secret of a credential that is registered again.
type RestoreIn struct {
	Secret SecretIn `json:"client_secret,omitempty" doc:"Required, but for a dry run."`
}

// restoreCredential registers a retired one again, with a secret: a retired one keeps none.
func (s *server) restoreCredential(ctx context.Context, in *restoreIn) (*shownCredential, error) {
	if _, err := s.credential(ctx, in.Name); err != nil {
		return nil, err
	}
	if _, err := s.Actions.Restorable(ctx, in.Name); err != nil {
		return nil, err
	}
	if in.DryRun.DryRun {
		return s.showCredential(ctx, &in.Named)
	}
	v, err := in.Body.Secret.read("body.client_secret")
	if err != nil {
		return nil, err
	}
	defer v.Wipe()
	match := func(c credential.Credential) error { return in.fits(tagOf(c)) }
	if err := s.Actions.If(match).Restore(ctx, asking(ctx).Name, in.Name, v, in.first()); err != nil {
		return nil, err
	}
	return s.showCredential(ctx, &in.Named)
}

type tryIn struct {
	Named
	Body OnlySecret
}

type shownCheck struct{ Body CheckJSON }

// trySecret asks the provider whether a secret would work; nothing is judged by it, and it is not kept.
func (s *server) trySecret(ctx context.Context, in *tryIn) (*shownCheck, error) {
	if _, err := s.credential(ctx, in.Name); err != nil {
		return nil, err
	}
	v, err := in.Body.Secret.read("body.client_secret")
	if err != nil {
		return nil, err
	}
	defer v.Wipe()
	result, err := s.Actions.Try(ctx, asking(ctx).Name, in.Name, v)
	if err != nil {
		return nil, askable(err)
	}
	return &shownCheck{NewCheckJSON(rounds.Judged{Result: result})}, nil
}

type checkIn struct {
	Named
	Trace bool `query:"trace" doc:"Also say how the answer was read."`
}

// checkCredential checks one now, whatever its schedule says.
func (s *server) checkCredential(ctx context.Context, in *checkIn) (*shownCheck, error) {
	c, err := s.credential(ctx, in.Name)
	if err != nil {
		return nil, err
	}
	if !c.Retired.IsZero() {
		return nil, problem(http.StatusConflict, c.Name+" was retired: it is not checked any more.")
	}
	var out *shownCheck
	err = s.Actions.CheckFor(ctx, asking(ctx).Name, []credential.Credential{c}, func(js []rounds.Judged) {
		for _, j := range js {
			if out = (&shownCheck{NewCheckJSON(j)}); in.Trace {
				out.Body.Trace = orEmpty(j.Result.Trace)
			}
		}
	})
	if err == nil && out == nil {
		err = problem(http.StatusServiceUnavailable, "The check was not made: the daemon stops.")
	}
	return out, askable(err)
}

// askable tells why providers are not asked now.
func askable(err error) error {
	if joined, is := err.(interface{ Unwrap() []error }); is { //nolint:errorlint // which of them it is made of
		var all []string
		for _, one := range joined.Unwrap() {
			var p *Problem
			if !errors.As(askable(one), &p) {
				return err
			}
			all = append(all, p.Detail)
		}
		return problem(http.StatusConflict, strings.Join(all, "\n"))
	}
	var now *rounds.NotNowError
	if errors.As(err, &now) || errors.Is(err, rounds.ErrNotExchanged) {
		text := err.Error()
		return problem(http.StatusConflict, strings.ToUpper(text[:1])+text[1:]+".")
	}
	return err
}
