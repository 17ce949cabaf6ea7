package pages

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/secret"
)

// credentialForm is what people type of a credential: the fields of the configuration file.
type credentialForm struct {
	Name, Provider, ClientID, KeyID, Description, Scopes, Owner, Labels string
	Schedule, UnusedAfter, MaxAge, Created, Expires, Networks           string
	Canary                                                              bool

	Wrong map[string]string // by field
}

// Err is what is wrong at a field, for the part "err".
func (f credentialForm) Err(field string) fieldError { return fieldError{field, f.Wrong[field]} }

// More is whether something is wrong in what is folded away.
func (f credentialForm) More() bool {
	for _, field := range formFields[7:] {
		if f.Wrong[field] != "" {
			return true
		}
	}
	return f.Wrong["key_id"] != ""
}

// fieldError is what is wrong at a field; Text "": nothing.
type fieldError struct{ Field, Text string }

func readForm(r *http.Request) credentialForm {
	get := func(name string) string { return strings.TrimSpace(r.PostFormValue(name)) }
	return credentialForm{
		Name: get("name"), Provider: get("provider"), ClientID: get("client_id"), KeyID: get("key_id"), Description: get("description"),
		Scopes: get("scopes"), Owner: get("owner"), Labels: get("labels"), Schedule: get("schedule"), UnusedAfter: get("unused_after"),
		MaxAge: get("max_age"), Created: get("created"), Expires: get("expires"), Networks: get("expected_networks"),
		Canary: get("canary") != "", Wrong: map[string]string{},
	}
}

// formOf is a credential as its form shows it.
func formOf(c credential.Credential) credentialForm {
	f := credentialForm{
		Name: c.Name, Provider: c.Provider, ClientID: c.Subject, KeyID: c.KeyID, Description: c.Description,
		Scopes: strings.Join(c.Scopes, " "), Owner: c.Owner, Labels: strings.ReplaceAll(labelsOf(c), ", ", "\n"), Schedule: c.Schedule,
		UnusedAfter: credential.FormatDuration(c.UnusedAfter), Canary: c.Canary,
	}
	if c.MaxAge > 0 {
		f.MaxAge = credential.FormatDuration(c.MaxAge)
	}
	if !c.Created.IsZero() {
		f.Created = c.Created.Format(time.DateOnly)
	}
	if !c.Expires.IsZero() {
		f.Expires = c.Expires.UTC().Format(time.RFC3339)
	}
	var networks []string
	for _, n := range c.ExpectedNetworks {
		networks = append(networks, n.String())
	}
	f.Networks = strings.Join(networks, " ")
	return f
}

// read makes a credential of the form. What is wrong stands in Wrong then.
func (f *credentialForm) read(d config.Defaults, of credential.Credential) credential.Credential {
	in := config.CredentialIn{
		Name: f.Name, Provider: f.Provider, ClientID: f.ClientID, Secret: secret.SchemeSealed + ":", KeyID: f.KeyID,
		Description: f.Description, Scopes: strings.Fields(strings.ReplaceAll(f.Scopes, ",", " ")), Owner: f.Owner, Schedule: f.Schedule,
		UnusedAfter: f.UnusedAfter, MaxAge: f.MaxAge, Created: f.Created, Expires: f.Expires, Canary: f.Canary,
		ExpectedNetworks: strings.Fields(strings.ReplaceAll(f.Networks, ",", " ")),
	}
	if of.Name != "" { // only what may be changed is
		in.Name, in.Provider, in.ClientID, in.Secret = of.Name, of.Provider, of.Subject, of.Secret.String()
	}
	for line := range strings.FieldsFuncSeq(f.Labels, func(r rune) bool { return r == '\n' || r == '\r' || r == ',' }) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok {
			f.Wrong["labels"] = "Write one a line: env=prod."
			continue
		}
		if in.Labels == nil {
			in.Labels = map[string]string{}
		}
		in.Labels[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	c, problems := in.Credential(d)
	for _, problem := range problems {
		f.add(problem)
	}
	return c
}

// add notes what package credential found wrong, at its field.
func (f *credentialForm) add(p credential.Problem) {
	field, _, _ := strings.Cut(p.Field, "[")
	field, _, _ = strings.Cut(field, ".")
	if !slices.Contains(formFields, field) {
		field = "form"
	}
	text := sentence(p.Message)
	if p.Hint != "" {
		text += " " + sentence("it may be: "+p.Hint)
	}
	f.Wrong[field] = text
}

// alsoOf says at the top of the form what is wrong with fields that it does not have.
func (f *credentialForm) alsoOf(fields ...string) {
	for _, field := range fields {
		if text := f.Wrong[field]; text != "" {
			f.Wrong["form"] = field + ": " + text
			delete(f.Wrong, field)
		}
	}
}

var formFields = []string{
	"name", "provider", "client_id", "key_id", "description", "scopes", "owner", "labels", "schedule", "unused_after", "max_age", "created",
	"expires", "expected_networks",
}

// takeSecret takes a secret out of a form, so that nothing else reads it. Wrong is what is wrong with it; "": nothing.
func takeSecret(r *http.Request, field string) (v secret.Value, wrong string) {
	text := []byte(r.PostForm.Get(field))
	r.PostForm.Del(field)
	r.Form.Del(field)
	if len(text) == 0 {
		return v, "The secret is missing."
	}
	if ref, err := secret.ParseReference(string(text)); err == nil && (ref.ReachesHost() || ref == secret.Sealed) {
		return v, "This is a reference (" + ref.Scheme() +
			":…). References are named in the configuration file only: type the secret itself."
	}
	v, err := secret.Parse(text)
	switch {
	case errors.Is(err, secret.ErrLocked):
		return v, "The key is encrypted with a passphrase. Open it first."
	case err != nil:
		return v, "It is no secret: a client secret is one line without blanks at its ends, a key is PEM or a JWK."
	}
	return v, ""
}
