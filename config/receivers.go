package config

import (
	"fmt"
	"net/mail"
	"net/url"
	"slices"
	"strings"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/secret"
)

// receiverKeys are the keys that each type of receiver has beside name and type.
var receiverKeys = map[string][]string{
	Shoutrrr:     {"url"},
	Alertmanager: {"url", "token", "username", "password"},
	Webhook:      {"url", "secret"},
	Teams:        {"url"},
	PagerDuty:    {"url", "routing_key", "region"},
	Opsgenie:     {"url", "api_key", "region"},
	Mail:         {"url", "from", "to", "username", "password", "plain"},
}

var receiverTypes = []string{Shoutrrr, Alertmanager, Webhook, Teams, PagerDuty, Opsgenie, Mail}

func (b *builder) receiver(c *Config, path string, in ReceiverIn) {
	r := Receiver{Name: in.Name, Type: in.Type}
	if !credential.ValidName(in.Name) || in.Name == slackReceiver || in.Name == webhookReceiver {
		b.fail(
			path+".name",
			"lower-case letters, digits and hyphens; slack and webhook are keyrounds' own",
			"%q is not a valid name",
			in.Name,
		)
	}
	if slices.ContainsFunc(c.Receivers, func(o Receiver) bool { return o.Name == in.Name }) {
		b.fail(path+".name", "each receiver has a name of its own", "the name %q is given twice", in.Name)
	}
	if r.Type == "" {
		r.Type = Shoutrrr
	}
	if receiverKeys[r.Type] == nil {
		b.fail(path+".type", DidYouMean(in.Type, receiverTypes), "unknown type %q", in.Type)
	} else {
		b.receiverKeys(path, r.Type, in)
	}
	switch r.Type {
	case Shoutrrr, Teams:
		r.URL = b.secretURL(path+".url", in.URL)
	case Alertmanager:
		r.Base, r.Username = strings.TrimSuffix(in.URL, "/"), in.Username
		b.httpURL(path+".url", in.URL)
		r.Token, r.Password = b.reference(path+".token", in.Token), b.reference(path+".password", in.Password)
		if in.Token != "" && in.Username != "" || (in.Username == "") != (in.Password == "") {
			b.fail(path, "a token, or a username and a password", "its sign-in is not clear")
		}
	case Webhook:
		r.Base = in.URL
		b.httpURL(path+".url", in.URL)
		r.Secret = b.needed(path+".secret", in.Secret,
			"env:HOOK_SECRET, which holds whsec_ and what openssl rand -base64 32 prints", "is missing: events are signed")
	case PagerDuty:
		r.Base = b.region(path, in)
		r.Key = b.needed(path+".routing_key", in.RoutingKey, "env:PAGERDUTY_KEY, the integration key of a service", "is missing")
	case Opsgenie:
		r.Base = b.region(path, in)
		r.Key = b.needed(path+".api_key", in.APIKey, "env:OPSGENIE_KEY, the key of an API integration", "is missing")
	case Mail:
		b.mail(path, in, &r)
	}
	c.Receivers = append(c.Receivers, r)
}

// receiverKeys refuses keys that a type has not.
func (b *builder) receiverKeys(path, kind string, in ReceiverIn) {
	for _, k := range []struct {
		name  string
		given bool
	}{
		{"token", in.Token != ""},
		{"username", in.Username != ""},
		{"password", in.Password != ""},
		{"secret", in.Secret != ""},
		{"routing_key", in.RoutingKey != ""},
		{"api_key", in.APIKey != ""},
		{"region", in.Region != ""},
		{"from", in.From != ""},
		{"to", in.To != nil},
		{"plain", in.Plain},
	} {
		if k.given && !slices.Contains(receiverKeys[kind], k.name) {
			hint := "it has " + strings.Join(receiverKeys[kind], ", ")
			if kind == Shoutrrr {
				hint = "what a service needs is in its URL; or name another type"
			}
			b.fail(path+"."+k.name, hint, "is not for the type %s", kind)
		}
	}
}

// needed reads a reference that may not be missing.
func (b *builder) needed(path, text, hint, missing string) secret.Reference {
	if text == "" {
		b.fail(path, hint, "%s", missing)
	}
	return b.reference(path, text)
}

// secretURL reads a reference to a URL that holds a secret.
func (b *builder) secretURL(path, text string) secret.Reference {
	ref, err := secret.ParseReference(text)
	if err != nil || ref.Scheme() == secret.SchemeSealed {
		b.fail(path, "put the URL in a variable or a file, and name that: env:PAGER_URL", "is not a reference: such a URL holds a secret")
		return secret.Reference{}
	}
	return ref
}

const regionEU = "eu"

// region is the address of a pager: url, or "" and the region, as Receiver.Base has it.
func (b *builder) region(path string, in ReceiverIn) string {
	if in.Region != "" {
		b.known(path+".region", "region", in.Region, []string{regionEU, "us"})
	}
	if in.URL == "" {
		return in.Region
	}
	if in.Region != "" {
		b.fail(path+".region", "url names the region as well", "is given beside url")
	}
	b.httpURL(path+".url", in.URL)
	return strings.TrimSuffix(in.URL, "/")
}

func (b *builder) mail(path string, in ReceiverIn, r *Receiver) {
	r.Base, r.From, r.To, r.Plain, r.Username = in.URL, in.From, in.To, in.Plain, in.Username
	u, err := url.Parse(in.URL)
	if err != nil || u.Hostname() == "" || u.Scheme != "smtp" && u.Scheme != "smtps" || u.User != nil || u.RawQuery != "" ||
		strings.Trim(u.Path, "/") != "" {
		b.fail(path+".url", "smtp://mail.example.com:587 (STARTTLS) or smtps://mail.example.com:465", "is not such a URL")
	} else if in.Plain && u.Scheme == "smtps" {
		b.fail(path+".plain", "smtp://host", "smtps:// is with TLS")
	}
	b.mailAddress(path+".from", in.From)
	if len(in.To) == 0 {
		b.fail(path+".to", "[team@example.com]", "is missing: who gets the mails")
	}
	for i, to := range in.To {
		b.mailAddress(fmt.Sprintf("%s.to.%d", path, i), to)
	}
	r.Password = b.reference(path+".password", in.Password)
	switch {
	case (in.Username == "") != (in.Password == ""):
		b.fail(path, "a username and a password, or none of them", "its sign-in is not clear")
	case in.Plain && in.Password != "" && (u == nil || !Loopback(u.Hostname())):
		b.fail(path+".plain", "take it out: the server has STARTTLS, or smtps://", "a password does not go without TLS")
	}
}

func (b *builder) mailAddress(path, text string) {
	a, err := mail.ParseAddress(text)
	if err != nil || strings.ContainsFunc(a.Address, func(c rune) bool { return c <= ' ' || c > '~' }) {
		b.fail(path, "such as team@example.com", "is not the address of a mailbox")
	}
}
