package checker

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// someoneElse reads a 401 that the token endpoint did not send: a gateway before it, or an API in its place. An empty
// outcome: nothing speaks for that.
//
// A token endpoint asks for the scheme by which a client may authenticate, and Basic is the only one (RFC 6749 §5.2);
// a resource server asks for Bearer (RFC 6750 §3). A Basic challenge says nothing against the endpoint.
func someoneElse(r Response, a answer) Reading {
	if r.Status != http.StatusUnauthorized {
		return Reading{}
	}
	if product := gatewayOf(r, a); product != "" {
		return says(Intercepted, "", "gateway", "%s answered in place of the token endpoint (HTTP 401)", product)
	}
	if onTheWay.MatchString(a.code + " " + a.description) {
		return says(Intercepted, "", "gateway", "a firewall or gateway refused the request on the way (HTTP 401)")
	}
	schemes := challenges(r.Header)
	if len(schemes) == 0 || slices.Contains(schemes, "basic") {
		return Reading{}
	}
	switch scheme := schemes[0]; scheme {
	case "negotiate", "ntlm", "kerberos": // RFC 4559
		return says(Intercepted, "", "proxy", "a gateway asks for its own sign-in (HTTP 401)")
	default:
		return says(Misconfigured, "", "challenge",
			"the answer asks for %s, as no token endpoint does (HTTP 401): a gateway or an API answered; look at token_url, "+
				"or give what the gateway wants in request.headers", scheme)
	}
}

// gatewayTexts are what products that stand before a server say of themselves, with the product's name.
var gatewayTexts = []struct {
	name string
	text *regexp.Regexp
}{
	{"Envoy", regexp.MustCompile(`(?i)^jwt (is|issuer|verification|header|payload|signature|not|audience)|^audiences in jwt|^jwks `)},
	{"Azure API Management", regexp.MustCompile(`(?i)subscription key`)},
}

// gatewayOf names the product that a 401 shows to have answered, "" where none does.
func gatewayOf(r Response, a answer) string {
	if a.code == "" && r.Header.Get("X-Amzn-ErrorType") != "" {
		return "Amazon API Gateway"
	}
	for _, g := range gatewayTexts {
		if g.text.MatchString(a.description) {
			return g.name
		}
	}
	return ""
}

// onTheWay are words about who asks and from where, which a firewall, a gateway or a protection against robots says.
var onTheWay = regexp.MustCompile(`(?i)` + strings.Join([]string{
	`\bbot detected|\b(ro)?bots? (traffic|activity|requests?|protection)|captcha|automated (request|traffic|access)`,
	`vpn (and|or|is|are|traffic|users)`,
	`geo.?(block|fenc|restrict)|firewall|\bwaf\b|cloudflare|akamai|imperva|incapsula|proxy servers?\b|security (policy|rule|service|check)`,
	`\bray.id\b|your support.id`,
	`(suspicious|unusual|abnormal|malicious) (activity|traffic|request|client)`,
	`(request|traffic|connection|ip|client|browser|user.?agent|you)\b.{0,20}\b(blocked|banned|black.?listed|block.?listed|filtered)\b`,
	`(blocked|denied|rejected|refused) by `,
	`(from|for) (this|your) (device|country|location|ip|network)`,
}, "|"))

var schemePattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{0,39}$`)

// challenges lists the schemes of WWW-Authenticate (RFC 9110 §11.6.1), in lower case. One header can have several.
func challenges(h http.Header) (schemes []string) {
	for _, v := range h.Values("WWW-Authenticate") {
		for _, part := range splitQuoted(v) {
			scheme, rest, _ := strings.Cut(strings.TrimSpace(part), " ")
			if schemePattern.MatchString(scheme) && !strings.HasPrefix(strings.TrimSpace(rest), "=") {
				schemes = append(schemes, strings.ToLower(scheme))
			}
		}
	}
	return schemes
}

// splitQuoted splits at commas that are in no quoted string.
func splitQuoted(s string) (parts []string) {
	quoted, escaped, begin := false, false, 0
	for i, c := range []byte(s) {
		switch {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			parts, begin = append(parts, s[begin:i]), i+1
		}
	}
	return append(parts, s[begin:])
}
