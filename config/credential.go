package config

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/secret"
)

// Credential makes a credential of what is written, with the defaults filled in, and returns all that is wrong with
// it, nil where nothing is. It does not ask whether its provider is configured: CheckProvider does.
func (in CredentialIn) Credential(d Defaults) (credential.Credential, []credential.Problem) {
	c := credential.Credential{
		Name: in.Name, Provider: in.Provider, Subject: in.ClientID, KeyID: in.KeyID, Description: in.Description, Scopes: in.Scopes,
		Owner: in.Owner, Labels: in.Labels, Schedule: in.Schedule, UnusedAfter: d.UnusedAfter, Canary: in.Canary,
	}
	if c.Schedule == "" {
		c.Schedule = d.Schedule
	}
	var ps []credential.Problem
	add := func(field, hint, message string) {
		ps = append(ps, credential.Problem{Field: field, Message: message, Hint: hint})
	}
	reference := func(field, text string, to *secret.Reference) {
		if text == "" {
			return
		}
		var err error
		if *to, err = secret.ParseReference(text); err != nil {
			hint := ""
			if h, ok := err.(interface{ Hint() string }); ok {
				hint = h.Hint()
			}
			add(field, hint, err.Error())
		}
	}
	reference("secret", in.Secret, &c.Secret)
	reference("key_passphrase", in.KeyPassphrase, &c.KeyPassphrase)
	for field, text := range map[string]string{"unused_after": in.UnusedAfter, "max_age": in.MaxAge} {
		if text == "" {
			continue
		}
		v, err := credential.ParseDuration(text)
		if err != nil {
			add(field, "", err.Error())
		}
		if field == "max_age" {
			c.MaxAge = v
		} else {
			c.UnusedAfter = v
		}
	}
	if in.Created != "" {
		var err error
		if c.Created, err = time.Parse(time.DateOnly, in.Created); err != nil {
			add("created", "a date such as 2025-03-01", fmt.Sprintf("%q is not a date", in.Created))
		}
	}
	if in.Expires != "" {
		var err error
		if c.Expires, err = credential.ParseEnd(in.Expires); err != nil {
			add("expires", credential.EndHint, err.Error())
		}
	}
	for i, text := range in.ExpectedNetworks {
		n, err := netip.ParsePrefix(text)
		if err != nil || n.Masked() != n {
			add(fmt.Sprintf("expected_networks.%d", i), "a network such as 10.20.0.0/16", fmt.Sprintf("%q is not a network", text))
			continue
		}
		c.ExpectedNetworks = append(c.ExpectedNetworks, n)
	}
	bad := map[string]bool{}
	for _, p := range ps {
		bad[p.Field] = true
	}
	for _, p := range c.Validate() {
		if !bad[p.Field] {
			ps = append(ps, p)
		}
	}
	return c, ps
}
