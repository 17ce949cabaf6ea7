package checker

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Rules of reading an answer, in this order; the first that fits decides:
//
//  1. What a provider's trouble, a proxy, our own address or our own clock could explain is never
//     Rejected: redirects, 407, 429, 5xx, HTML, 404.
//  2. An error member decides before the status does (Slack and GitHub answer 200).
//  3. The preset's matchers read the error, then the generic ones; they never see the answers
//     of rule 1, so they cannot turn trouble into Rejected.
//  4. A 401 without a known error code whose challenge is not a client's, or whose text is a gateway's,
//     is not the token endpoint's, and never Rejected unless its words name the client's fault.
//  5. Then the error code (RFC 6749 §5.2), texts in other places, and the status alone.
//  6. What is left is Malformed.

// Classify reads an answer of p's token endpoint (RFC 6749 §5.1, §5.2), or of an API to its first probe with an API key. The rules are
// above, and in keyanswer.go.
//
// It is pure: the same answer always gets the same reading, and every reading has an outcome, a rule and a message.
// The text in it is as the provider wrote it; Check cleans it. The matchers of p are those that Complete put
// together; the generic ones are tried after them in any case.
func Classify(p Provider, r Response) Reading {
	if p.Kind == APIKey {
		return classifyKey(p, p.firstProbe(), r)
	}
	return classify(p, r, readAnswer(r, p.Response))
}

func classify(p Provider, r Response, a answer) Reading {
	reading := trouble(p, r, a)
	if reading.Outcome == "" {
		reading = settle(p, r, a)
	}
	reading.HTTPStatus = r.Status
	if reading.Outcome != OK && reading.Outcome != ScopeReduced {
		reading.ErrorCode, reading.ErrorDescription = a.code, first(reading.ErrorDescription, a.description)
	}
	if reading.Message == "" {
		reading.Message = explainReading(reading)
	}
	return reading
}

func says(o Outcome, why Reason, rule, format string, args ...any) Reading {
	return Reading{Outcome: o, Reason: why, Rule: rule, Message: fmt.Sprintf(format, args...)}
}

// trouble is rule 1. An empty outcome: none of it.
func trouble(p Provider, r Response, a answer) Reading {
	s := r.Status
	switch {
	case s >= 300 && s < 400:
		return redirect(p, r)
	case s == http.StatusProxyAuthRequired || s == http.StatusNetworkAuthenticationRequired || r.Header.Get("Proxy-Authenticate") != "":
		return says(Intercepted, "", "proxy", "a proxy or captive network answered (HTTP %d)", s)
	case s == http.StatusTooManyRequests || isRateLimit(a.code):
		return says(RateLimited, "", "rate limit", "the provider limits requests (HTTP %d)", s)
	case s >= 500 || s == http.StatusRequestTimeout || s == http.StatusTooEarly || s == http.StatusMisdirectedRequest:
		return says(ProviderError, "", "server error status", "the provider is in trouble (HTTP %d)", s)
	case s == http.StatusNotFound || s == http.StatusMethodNotAllowed || s == http.StatusUnsupportedMediaType ||
		s == http.StatusGone || s == http.StatusNotAcceptable:
		return says(Misconfigured, "", "no token endpoint", "there is no token endpoint at this URL (HTTP %d)", s)
	case a.kind == html:
		return says(Intercepted, "", "web page", "a web page came instead of JSON (HTTP %d): a firewall, proxy or sign-in page", s)
	case s == http.StatusUnavailableForLegalReasons:
		return says(Intercepted, "", "blocked", "the answer was blocked on the way (HTTP %d)", s)
	}
	return Reading{}
}

func redirect(p Provider, r Response) Reading {
	from, _ := url.Parse(p.TokenURL)
	to, err := url.Parse(r.Header.Get("Location"))
	if err != nil || from == nil || to.Host == "" || strings.EqualFold(to.Hostname(), from.Hostname()) {
		return says(
			Misconfigured,
			Redirected,
			"redirect",
			"the token endpoint redirects (HTTP %d); redirects are not followed with a secret: set token_url to where it points",
			r.Status,
		)
	}
	return says(
		Intercepted,
		Redirected,
		"redirect",
		"the token endpoint redirects to another host, %s (HTTP %d); it was not followed",
		to.Hostname(),
		r.Status,
	)
}

func isRateLimit(code string) bool {
	switch code {
	case "too_many_requests",
		"slow_down",
		"e0000047",
		"rate_limit_exceeded",
		"rate_limited",
		"ratelimited",
		"throttled",
		"quota_exceeded",
		"toomanyrequests",
		"rate_limit":
		return true
	}
	return false
}

// settle is rules 2 to 6.
func settle(p Provider, r Response, a answer) Reading {
	success := r.Status >= 200 && r.Status < 300
	switch {
	case a.unread != nil:
		return says(Malformed, "", "jq", "%v", a.unread)
	case success && a.kind == object && !a.failed && a.token() != "":
		return granted(r, a)
	case success && a.failed && a.token() != "":
		return says(Malformed, "", "token and error", "the answer has a token and an error at once")
	case success && !a.failed:
		return says(Malformed, "", "no token and no error", "the answer is no token and no error (HTTP %d)", r.Status)
	}
	matched, coded := byMatchers(p, a), byCode(p, a)
	if matched.Outcome == "" && coded.Outcome == "" { // a code that nobody knows says no more than none
		uncoded := a
		uncoded.code = ""
		matched = byMatchers(p, uncoded)
	}
	if matched.Reason == Disabled && a.code == "" && !p.knows(matched.Rule) && !clientWords.MatchString(ofTheClient(a.description)) {
		matched = Reading{} // hosts have accounts and applications, too
	}
	said := coded.Outcome != "" && !a.challenged && (coded.Reason != Unspecified || isRFC6749(a.code))
	named := matched.Outcome != "" && matched.Outcome != Misconfigured
	if matched.Outcome == Rejected { // a gateway has applications and accounts, too, but no clients with secrets
		named = clientWords.MatchString(a.description)
	}
	if other := someoneElse(r, a); other.Outcome != "" && !said && !named {
		return other
	}
	for _, reading := range []Reading{matched, coded, byOtherTexts(p, a)} {
		if reading.Outcome == "" {
			continue
		}
		text := first(reading.ErrorDescription, a.description)
		if ours := aboutUs(p, reading, text, a.status); ours.Outcome != "" && !p.knows(reading.Rule) {
			return ours
		}
		return reading
	}
	return byStatus(a)
}

// knows reports whether a rule is of p itself or of its preset, which know what this provider means.
func (p Provider) knows(rule string) bool {
	return slices.ContainsFunc(p.Matchers, func(m Matcher) bool { return m.rule == rule && !m.generic() })
}

// isRFC6749: the codes that only a token endpoint has (RFC 6749 §5.2). Firewalls and APIs say "access_denied" as well.
func isRFC6749(code string) bool {
	switch code {
	case "invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope":
		return true
	}
	return false
}

// byMatchers asks p's matchers, then the generic ones. An empty outcome: none fits.
func byMatchers(p Provider, a answer) Reading {
	generic, _ := FindPreset(Generic)
	others := a
	others.description = ofTheClient(a.description)
	for _, m := range slices.Concat(p.Matchers, generic.Matchers) {
		said := a // a provider's own matchers know what it means
		if m.generic() {
			said = others
		}
		if m.fits(said) {
			return Reading{Outcome: m.Outcome, Reason: m.Reason, Rule: m.rule}
		}
	}
	return Reading{}
}

// byOtherTexts reads an answer whose texts are in members that nobody agreed on: a refusal where one of them says that
// the id or the secret is wrong, unknown, expired or disabled, in words that have a reason of their own, and none says
// that it is our request or trouble.
func byOtherTexts(p Provider, a answer) (found Reading) {
	if a.status != http.StatusBadRequest && a.status != http.StatusUnauthorized && a.status != http.StatusForbidden {
		return Reading{}
	}
	for _, text := range a.texts {
		reading := byMatchers(p, answer{status: a.status, kind: object, description: text})
		reading.ErrorDescription = text
		switch {
		case reading.Outcome == "":
		case reading.Outcome != Rejected:
			return reading
		case reading.Reason == Unspecified || !aboutClient.MatchString(text),
			reading.Reason == Disabled && !p.knows(reading.Rule) && !clientWords.MatchString(ofTheClient(text)):
		case found.Outcome == "":
			found = reading
		}
	}
	return found
}

var clientWords = regexp.MustCompile(`(?i)client|secret|consumer`)

// aboutClient: a text in an unknown place is about the client only where it names the id, the secret or the client.
var aboutClient = regexp.MustCompile(`(?i)client|secret|application|\bapp\b|\baccount\b`)

func granted(r Response, a answer) Reading {
	reading := Reading{Outcome: OK, Rule: "token (RFC 6749 §5.1)", ExpiresIn: a.expiresIn()}
	scope, given := a.members["scope"]
	if !given || scope == nil {
		scope = a.members["scopes"]
	}
	said := scopesOf(scope)
	if token, ok := claimsOf(a.token()); ok {
		reading.ExpiresIn = first(reading.ExpiresIn, token.lifetime())
		if said == nil {
			said = token.scopes(r.Requested)
		}
	}
	reading.compare(said, r.Requested)
	return reading
}

// byCode reads a known error code. An empty outcome: it is not known.
func byCode(p Provider, a answer) Reading {
	rule := "error code " + a.code
	if a.code == "invalid_grant" && !p.otherGrant() {
		return says(Misconfigured, "", rule,
			"the provider calls the grant invalid, and client_credentials has none: a proof of possession, a certificate, "+
				"a parameter or the provider's domain may be what is wrong")
	}
	o, why := codeTable(a)
	if o == "" {
		return Reading{}
	}
	return Reading{Outcome: o, Reason: why, Rule: rule}
}

// codeTable is the table of error codes. The codes of RFC 6749 §5.2 come first in each row.
func codeTable(a answer) (Outcome, Reason) {
	switch a.code {
	case "invalid_client",
		"incorrect_client_credentials",
		"invalid_client_credentials",
		"invalidclient",
		"invalidclientcredentials",
		"bad_client_credentials",
		"invalid_credentials",
		"client_authentication_failed",
		"authentication_failed":
		return Rejected, Unspecified
	case "deleted_client", "unknown_client", "client_not_found", "invalid_client_id", "bad_client_id", "application_cannot_be_found",
		"invalidclientid", "invalidclientidentifier":
		return Rejected, UnknownClient
	case "bad_client_secret", "invalid_client_secret", "invalidclientsecret":
		return Rejected, BadSecret
	case "expired_client_secret", "client_secret_expired":
		return Rejected, ExpiredSecret
	case "disabled_client", "client_disabled", "account_inactive", "client_inactive":
		return Rejected, Disabled
	case "invalid_grant":
		return Rejected, Unspecified
	case "unauthorized_client", "unsupported_grant_type":
		return GrantDenied, ""
	case "invalid_scope", "insufficient_scope", "missing_scope", "consent_required", "interaction_required", "invalid_app_access":
		return ScopeDenied, ""
	case "access_denied":
		if a.status == http.StatusUnauthorized {
			return Rejected, Unspecified
		}
		return ScopeDenied, "" // a policy: it may refuse what was asked for, or our address
	case "invalid_request",
		"invalid_target",
		"invalid_resource",
		"redirect_uri_mismatch",
		"use_dpop_nonce",
		"invalid_dpop_proof",
		"unsupported_response_type",
		"invalid_issuer",
		"invalid_token":
		return Misconfigured, ""
	case "server_error", "temporarily_unavailable", "internal_error", "internal_server_error", "service_unavailable":
		return ProviderError, ""
	}
	return "", ""
}

// byStatus reads what has no known code.
func byStatus(a answer) Reading {
	switch {
	case a.status == http.StatusUnauthorized && a.kind == otherJSON:
		return says(Malformed, "", "unreadable body", "the answer cannot be read (HTTP 401)")
	case aboutOthers(a):
		return says(
			Misconfigured,
			"",
			"status 401 with other words",
			"the answer has no OAuth error, and its words are not about the client (HTTP 401): "+
				"a gateway or an API answered; look at token_url",
		)
	case a.status == http.StatusUnauthorized && a.kind != text:
		return Reading{Outcome: Rejected, Reason: Unspecified, Rule: "status 401"}
	case a.kind == text || a.kind == emptyBody && a.status == http.StatusForbidden:
		return says(Intercepted, "", "no OAuth answer", "something other than the token endpoint answered (HTTP %d)", a.status)
	case a.status == http.StatusForbidden:
		return says(Misconfigured, "", "status 403", "the provider forbids the request (HTTP 403), which may be about our address")
	default:
		return says(Malformed, "", "no token and no error", "the answer is no token and no known error (HTTP %d)", a.status)
	}
}

// refusals are the messages of Rejected. They are ours, and are not scrubbed: a secret may be a word of them.
var refusals = map[Reason]string{
	UnknownClient: "the provider does not know this client",
	BadSecret:     "the provider says that the secret is wrong",
	ExpiredSecret: "the provider says that the secret has expired",
	Disabled:      "the provider says that the client is disabled",
	Unspecified:   "the provider refuses the client, and does not say why",
}

// issued is the message of OK.
const issued = "token issued"

func explainReading(r Reading) string {
	switch r.Outcome {
	case OK:
		return issued
	case ScopeReduced:
		return "token issued without " + strings.Join(r.Missing, " ")
	case ScopeDenied:
		return "the provider refuses the scopes or the resource asked for"
	case GrantDenied:
		return "the provider does not let this client use client_credentials"
	case Misconfigured:
		return "the provider finds our request wrong"
	case ProviderError:
		return "the provider reports trouble of its own"
	case RateLimited:
		return "the provider limits requests"
	case Intercepted:
		return "something other than the provider answered"
	case Rejected:
		return refusals[r.Reason]
	}
	return string(r.Outcome)
}
