package checker

import (
	"strings"
	"unicode"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/secret"
)

// choices are what we chose ourselves that a refusal can be about, for a person who asks why a credential never worked:
// each names the value that is sent now. They hold no secret.
func (p Provider) choices(cred credential.Credential, value secret.Value) (list []string) {
	add := func(format string, args ...any) { list = append(list, marking(format, args...)) }
	add("client_id and secret (one of another client, or cut off when it was copied)")
	if p.Issuer == "" {
		add("token_url %s (of another tenant, region or environment)", withoutQuery(p.TokenURL))
	} else {
		add("issuer %s (of another tenant, region or environment)", p.Issuer)
	}
	add("auth_method %s", p.AuthMethod)
	switch {
	case changedByEncoding(p, cred, value):
		add("form-encoding, which client_secret_basic_raw leaves out")
	case changedByDecoding(p, cred, value):
		add("form-encoding, which client_secret_basic does")
	}
	if p.AuthMethod.takesSecret() && strings.ContainsFunc(value.Reveal(), func(r rune) bool { return r > unicode.MaxASCII }) {
		add("characters of the secret that are not ASCII, which RFC 6749 (appendix A.2) does not know; they are sent as UTF-8")
	}
	if p.algorithms() != nil {
		add("assertion.audience %s", first(p.Assertion.Audience, withoutQuery(p.TokenURL)))
		add("assertion.key_id %s", first(p.Assertion.KeyID, "(none)"))
		add("this machine's clock")
	}
	if !p.AuthMethod.showsCertificate() {
		add("a proof of possession, if the client must show one (DPoP or a certificate)")
	}
	return list
}

// withoutQuery leaves out what may be a gateway's key.
func withoutQuery(address string) string {
	before, _, _ := strings.Cut(address, "?")
	return before
}
