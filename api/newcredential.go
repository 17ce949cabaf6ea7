package api

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/keyrounds/keyrounds/action"
	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/registry"
	"github.com/keyrounds/keyrounds/secret"
)

// CredentialFields are what people say of a credential, with the names of the configuration file. What is left out has the defaults
// of the configuration.
type CredentialFields struct {
	KeyID            string            `json:"key_id,omitempty" maxLength:"500" doc:"Which of the client's keys it is."`
	Description      string            `json:"description,omitempty" maxLength:"500" doc:"What it is for."`
	Scopes           []string          `json:"scopes,omitempty" maxItems:"500" nullable:"false" doc:"What its users need."`
	Owner            string            `json:"owner,omitempty" maxLength:"500" doc:"Team or person."`
	Labels           map[string]string `json:"labels,omitempty" doc:"For routes and filters."`
	Schedule         string            `json:"schedule,omitempty" maxLength:"200" doc:"Cron."`
	UnusedAfter      string            `json:"unused_after,omitempty" maxLength:"20" doc:"How long without use makes it unused: 90d."`
	MaxAge           string            `json:"max_age,omitempty" maxLength:"20" doc:"How old the secret may become: 365d."`
	Created          string            `json:"created,omitempty" maxLength:"10" doc:"Date when the provider made it: 2025-03-01."`
	Expires          string            `json:"expires,omitempty" maxLength:"40" doc:"Date or time when it ends by itself."`
	Canary           bool              `json:"canary,omitempty" doc:"Nobody may ever use it."`
	ExpectedNetworks []string          `json:"expected_networks,omitempty" maxItems:"200" nullable:"false" doc:"Where its use comes from."`
}

// CredentialIn is a credential that is registered.
type CredentialIn struct {
	Name     string   `json:"name" pattern:"^[a-z0-9][a-z0-9-]{0,62}$" patternDescription:"1 to 63 lower-case letters, digits and hyphens"`
	Provider string   `json:"provider" minLength:"1" maxLength:"63" doc:"The name of a provider of the configuration."`
	ClientID string   `json:"client_id,omitempty" maxLength:"512" doc:"Of an API key what its provider's log calls it, or nothing."`
	Secret   SecretIn `json:"client_secret,omitempty" doc:"Required, but for a dry run."`
	CredentialFields
}

// FirstIn says when a credential is checked for the first time.
type FirstIn struct {
	FirstCheck string `query:"first_check" enum:"at_once,as_scheduled" default:"at_once" doc:"When it is checked for the first time."`
}

func (f FirstIn) first() action.FirstCheck {
	if f.FirstCheck == "as_scheduled" {
		return action.AsScheduled
	}
	return action.AtOnce
}

type addIn struct {
	FirstIn
	DryRun
	Body CredentialIn
}

func (s *server) addCredential(ctx context.Context, in *addIn) (*changedCredential, error) {
	c, v, wrong := s.registrable(in.Body, "body.", in.DryRun)
	defer v.Wipe()
	if len(wrong) > 0 {
		return nil, wrongly(wrong...)
	}
	if old, err := s.Registry.Get(ctx, c.Name); err == nil && old.Retired.IsZero() {
		return nil, existsAlready(c.Name)
	} else if err != nil && !errors.Is(err, registry.ErrNotFound) {
		return nil, err
	}
	warnings, err := s.doubts(ctx, c)
	if err != nil {
		return nil, err
	}
	if in.DryRun.DryRun {
		return &changedCredential{Body: ChangedCredential{NewCredentialJSON(c, audit.Standing{}), warnings}}, nil
	}
	err = s.Actions.Add(ctx, asking(ctx).Name, []credential.Credential{c}, []secret.Value{v}, in.first(), nil)
	if errors.Is(err, registry.ErrExists) {
		return nil, existsAlready(c.Name)
	}
	if err != nil {
		return nil, err
	}
	return s.changed(ctx, c.Name, warnings)
}

func existsAlready(name string) *Problem {
	p := problem(http.StatusConflict, fmt.Sprintf("The credential %q exists already.", name))
	p.Hint = "a new secret: keyrounds credentials rotate " + name
	return p
}

// registrable makes a credential and its secret of what was sent, and says all that is wrong with it.
func (s *server) registrable(in CredentialIn, where string, dry DryRun) (credential.Credential, secret.Value, []Wrong) {
	conf := s.Config()
	cred, problems := in.fields(config.CredentialIn{
		Name: in.Name, Provider: in.Provider, ClientID: in.ClientID, Secret: secret.SchemeSealed + ":",
	}).Credential(conf.Defaults)
	wrong := wrongs(where, append(problems, config.CheckProvider(cred, conf.Providers)...))
	if dry.DryRun && in.Secret.value.IsZero() {
		return cred, secret.Value{}, wrong
	}
	v, err := in.Secret.read(where + "client_secret")
	var p *Problem
	if errors.As(err, &p) {
		wrong = append(wrong, p.Errors...)
	}
	return cred, v, wrong
}

func (f CredentialFields) fields(in config.CredentialIn) config.CredentialIn {
	in.KeyID, in.Description, in.Scopes, in.Owner, in.Labels = f.KeyID, f.Description, f.Scopes, f.Owner, f.Labels
	in.Schedule, in.UnusedAfter, in.MaxAge, in.Created, in.Expires = f.Schedule, f.UnusedAfter, f.MaxAge, f.Created, f.Expires
	in.Canary, in.ExpectedNetworks = f.Canary, f.ExpectedNetworks
	return in
}

// wrongs tells what package credential found wrong.
func wrongs(where string, problems []credential.Problem) (all []Wrong) {
	for _, p := range problems {
		text := p.Message
		switch {
		case p.Field == "provider" && strings.HasPrefix(p.Hint, "did you mean"):
			text += "; " + p.Hint + " providers are named in the configuration file only"
		case p.Field == "provider":
			text += "; providers are named in the configuration file only"
		case p.Hint != "":
			text += "; it may be: " + p.Hint
		}
		all = append(all, Wrong{where + clean(p.Field), clean(p.Field) + ": " + text + "."})
	}
	return all
}

type importIn struct {
	FirstIn
	DryRun
	Body ImportIn
}

// ImportIn is many credentials.
type ImportIn struct {
	Credentials []CredentialIn `json:"credentials" minItems:"1" maxItems:"100000" nullable:"false" doc:"All are registered, or none."`
}

// ImportOut says what was registered.
type ImportOut struct {
	Registered int       `json:"registered" doc:"How many."`
	Warnings   []Warning `json:"warnings,omitempty"`
}

type importOut struct{ Body ImportOut }

// importCredentials registers many, all or none.
func (s *server) importCredentials(ctx context.Context, in *importIn) (*importOut, error) {
	var (
		creds   []credential.Credential
		secrets []secret.Value
		wrong   []Wrong
		rows    = map[string]int{} // by the name of the credential
	)
	defer func() {
		for _, v := range secrets {
			v.Wipe()
		}
	}()
	for i, row := range in.Body.Credentials {
		where := fmt.Sprintf("body.credentials[%d].", i)
		c, v, bad := s.registrable(row, where, in.DryRun)
		creds, secrets, wrong = append(creds, c), append(secrets, v), append(wrong, bad...)
		if _, twice := rows[c.Name]; twice {
			wrong = append(wrong, Wrong{where + "name", fmt.Sprintf("The name %s is given twice.", clean(c.Name))})
		}
		rows[c.Name] = i
		if len(wrong) > mostImportWrong {
			break
		}
	}
	old, err := s.Registry.Named(ctx, slices.Collect(maps.Keys(rows)))
	if err != nil {
		return nil, err
	}
	for _, c := range old {
		where := fmt.Sprintf("body.credentials[%d].name", rows[c.Name])
		wrong = append(wrong, Wrong{where, "It exists already; a new secret: keyrounds credentials rotate " + c.Name + "."})
	}
	if len(wrong) > 0 {
		return nil, wrongly(wrong...)
	}
	warnings, err := s.doubts(ctx, creds...)
	if err != nil || in.DryRun.DryRun {
		return &importOut{ImportOut{0, warnings}}, err
	}
	err = s.Actions.Add(ctx, asking(ctx).Name, creds, secrets, in.first(), nil)
	if errors.Is(err, registry.ErrExists) {
		return nil, problem(http.StatusConflict, "One of the credentials exists already, so none was registered.")
	}
	return &importOut{ImportOut{len(creds), warnings}}, err
}

const mostImportWrong = 10_000
