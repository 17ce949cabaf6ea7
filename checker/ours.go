package checker

import (
	"net/http"
	"regexp"
	"strings"
)

// A refusal is one only where its words are about the client itself. What follows takes out of the words what is about
// other things of that name, and reads what is about our request, whatever error code it comes with.

// otherThings are called after a client, and are none: what is said of a client certificate or of an application pool is
// not said of the client. The thing itself stays.
var otherThings = regexp.MustCompile(`(?i)\b(client|application|web app|app|account)s?('s)?[ _-]?(id )?(` + strings.Join([]string{
	`cert(ificate)?s?`, `tls`, `ssl`, `x\.?509`, `fingerprint`, `hello`, `version`, `software`, `address(es)?`, `ips?`,
	`host`, `port`, `network`,
	`headers?`, `cookies?`, `parameters?`, `fields?`, `types?`, `agent`, `browser`, `protocol`, `pools?`, `hints?`, `device`, `location`,
	`region`, `country`, `connections?`, `requests?`, `timeout`, `hosting`, `\(browser\)`,
}, "|") + `)(?:\b|$|\s)`)

// ofTheClient is a text without other things' clients.
func ofTheClient(text string) string { return otherThings.ReplaceAllString(text, "$4") }

// ourRequest are words about how we asked: the method, an assertion's claims and times, what is missing or of the wrong
// form. They are about the request also beside invalid_client.
var ourRequest = regexp.MustCompile(`(?i)` + strings.Join([]string{
	`\b(client_secret_(post|basic|jwt)|private_key_jwt|(self_signed_)?tls_client_auth)\b`,
	`\bauth(entication|orization)? (method|scheme|mechanism|type)\b|\bunsupported (auth\w* )?method\b`,
	`\b(m-?tls|mutual tls)\b|\bbasic auth\w*\b[^.]{0,20}\b(not|disabled|unsupported)`,
	`\baud\b|\baudience\b|\bnonce\b|\blifetime\b|\breplay`,
	`\b(jwt|token|jti|assertion|client_assertion)\b[^.]{0,20}\b(already|was|been) (been )?used\b`,
	`\b(request|signature|assertion|proof|timestamp)\b[^.]{0,25}\b(has |is |was )?expired\b|\bexpired (request|signature|assertion)`,
	`\bnot (yet )?current\b|\b(time )?window\b|\bis now (earlier|later) than\b`,
	`\b(sub|iss|subject|issuer)\b[^.]{0,12}\b(claim|mismatch|does not|not match)|\b(unknown|untrusted) issuer\b`,
	`\((missing|empty|null)\b|\b(parameter|field|header|value|member)s?\b[^.]{0,15}\b(missing|empty|null|not found|absent)\b`,
	`\b(cannot|can't|must not) be (null|empty|blank)\b|not found in the (headers?|body|request|query)`,
	`\bmust use https\b|\bcontent-type must\b|\b(secret|client|client_id)\b[^.]{0,3}\((missing|empty|null)\b`,
}, "|"))

// certificateMissing are words about a certificate, which a client that authenticates otherwise does not show.
var certificateMissing = regexp.MustCompile(
	`(?i)\b(cert(ificate)?|ssl_client_verify)\b[^.]{0,40}\b(not (found|present|provided|sent|shown|given)|missing|` +
		`absent|required|none|unknown)\b|\b(no|missing|unknown|absent|without)( a| the)?( client| peer)? cert(ificate)?\b`,
)

// aboutUs reads what was taken for a refusal by a text that has words about our request or about who asks from where; an empty
// outcome: it has none. A list of causes that is always the same tells none, and what names a secret or an end is sure.
func aboutUs(p Provider, refused Reading, text string, status int) Reading {
	listed := refused.Reason == Unspecified && strings.HasPrefix(refused.Rule, "preset ")
	if refused.Outcome != Rejected || listed || refused.Reason == ExpiredSecret {
		return Reading{}
	}
	words := ourRequest.MatchString(text)
	if !p.AuthMethod.showsCertificate() {
		words = words || certificateMissing.MatchString(text)
	}
	switch {
	case words && refused.Reason != Disabled:
		return says(Misconfigured, "", "words about the request", "the provider finds our request wrong")
	case onTheWay.MatchString(text) && refused.Reason != BadSecret:
		return says(Intercepted, "", "gateway", "a firewall or gateway refused the request on the way (HTTP %d)", status)
	}
	return Reading{}
}

// bare is a text that says no more than a status does.
var bare = regexp.MustCompile(
	`(?i)^(http )?(error|fail(ed|ure)?|40[013]|unauthori[sz]ed|unauthenticated|not (authori[sz]ed|authenticated)|` +
		`access[ _]denied|forbidden|denied|invalid[ _]client|authentication failed|auth(entication)?[ _](error|failure)|` +
		`e?rr(or)?[ _-]?\d+|https?://\S*|[\d:.TZ /+-]+)\W*$`,
)

// clients are words that a text about the client has.
var clients = regexp.MustCompile(`(?i)client|consumer|secret|credential|application|\bapp\b|\bpassword\b|\baccount\b`)

// aboutOthers reports whether an answer that no code explains has words, and none of them is about a client: a token
// endpoint did not say that.
func aboutOthers(a answer) bool {
	said := false
	for _, text := range append(a.texts, a.description) {
		text = ofTheClient(text)
		switch {
		case text == "" || bare.MatchString(text):
		case clients.MatchString(text):
			return false
		case strings.ContainsAny(text, " _"): // a sentence or a code, and no number or name
			said = true
		}
	}
	return said && a.status == http.StatusUnauthorized
}
