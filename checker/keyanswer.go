package checker

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// Rules of reading an API's answer to a key, in this order; the first that fits decides:
//
//  1. What trouble, a proxy or our own address could explain is never Rejected, as with tokens. So is a 403 that says that nothing is
//     left of a limit (GitHub).
//  2. The status that the probe expects, and nothing in the body that says otherwise (Slack answers 200 and ok false), is OK. What the
//     answer says of scopes is compared with those that are declared.
//  3. The provider's own matchers read the error; of the generic ones, which are about token endpoints, only those that find trouble or a
//     limit in words are asked.
//  4. Words about who asks from where are a gateway's; words that no key came are about our request.
//  5. 401 is a refusal, unless it has words and none of them is about a key; so are words that the key is invalid, revoked or expired
//     beside 400 or 403, as some write.
//  6. A 403 without such words is ScopeDenied: the API refuses the request, which may be for a permission.
//  7. What is left is Malformed.

// keyWorks is the message of a key's OK.
const keyWorks = "the key works"

// classifyKey reads the answer of an API to the probe pr of p with an API key. The rules are above. It is pure, as Classify is.
func classifyKey(p Provider, pr Probe, r Response) Reading {
	a := readAnswer(r, nil)
	if a.kind == html && isXML(r) {
		a.kind = text
	}
	var unread error
	if a.kind == object {
		a.reshape(p.Response, r.Body)
		unread, a.unread = a.unread, nil
		a.findCode()
	}
	reading := keyTrouble(p, r, a)
	switch {
	case reading.Outcome != "":
	case unread != nil:
		reading = says(Malformed, "", "jq", "%v", unread)
	case pr.expects(r.Status) && !saysNo(a):
		reading = p.keyOK(pr, r, a)
	default:
		reading = p.keyRefused(r, a)
	}
	reading.HTTPStatus = r.Status
	if !reading.Outcome.HasToken() {
		reading.ErrorCode, reading.ErrorDescription = a.code, a.description
	}
	if reading.Message == "" {
		reading.Message = explainKey(reading)
	}
	return reading
}

// keyTrouble is rule 1.
func keyTrouble(p Provider, r Response, a answer) Reading {
	reading := trouble(p, r, a)
	switch {
	case reading.Rule == "no token endpoint":
		return says(
			Misconfigured,
			"",
			"nothing at the probe's URL",
			"the API has nothing at the probe's URL (HTTP %d): look at probes",
			r.Status,
		)
	case reading.Reason == Redirected:
		return says(Misconfigured, Redirected, "redirect",
			"the probe's URL redirects (HTTP %d); redirects are not followed with a key: set the probe to where it points", r.Status)
	case reading.Outcome != "":
		return reading
	case r.Status == http.StatusForbidden && (r.Header.Get("Retry-After") != "" || usedUp(r.Header) != ""):
		return says(RateLimited, "", "rate limit", "the provider limits requests (HTTP %d)", r.Status)
	}
	return Reading{}
}

// saysNo reports whether a body says that the request failed, whatever the status: by ok or success, by an error that is filled, or by
// errors and no data. What an API calls code, status or name may be of the thing that was asked for.
func saysNo(a answer) bool {
	_, hasData := a.members["data"]
	nothing := len(a.members) == 1 || hasData && !filled(a.members["data"]) // as GraphQL answers
	return isFalse(a.members["ok"]) || isFalse(a.members["success"]) || filled(a.members["error"]) ||
		nothing && filled(a.members["errors"])
}

// isFalse: false, which some write as a text.
func isFalse(v any) bool {
	text, isText := v.(string)
	return v == false || isText && strings.EqualFold(text, "false")
}

// keyOK is rule 2.
func (p Provider) keyOK(pr Probe, r Response, a answer) Reading {
	if !pr.JQ.IsZero() {
		switch holds, err := pr.JQ.holds(r.Body); {
		case err != nil:
			return says(Malformed, "", "jq", "the API's answer could not be read: %v", err)
		case !holds:
			return says(Malformed, "", "jq", "the API answers, but not what the probe's jq expects (HTTP %d)", r.Status)
		}
	}
	reading := Reading{Outcome: OK, Rule: "the probe's status", Message: keyWorks}
	said := scopesOf(a.members["scope"])
	if p.Response["scope"].IsZero() {
		said = nil
	}
	if name := p.Headers["scope"]; name != "" && len(r.Header.Values(name)) > 0 {
		said = scopesOf(strings.Join(r.Header.Values(name), ","))
	}
	reading.compare(said, r.Requested)
	if reading.Outcome == ScopeReduced {
		reading.Rule, reading.Message = "scopes that the API says the key has", explainKey(reading)
	}
	return reading
}

// keyRefused is rules 3 to 7.
func (p Provider) keyRefused(r Response, a answer) Reading {
	for _, m := range p.Matchers {
		if !m.generic() && m.fits(a) {
			return Reading{Outcome: m.Outcome, Reason: m.Reason, Rule: m.rule}
		}
	}
	if reading := troubleInWords(a); reading.Outcome != "" {
		return reading
	}
	words := strings.Join(append(a.texts, a.code, a.description), "\n")
	refusal := r.Status == http.StatusUnauthorized ||
		(r.Status == http.StatusBadRequest || r.Status == http.StatusForbidden) && apiKeyWords.MatchString(words)
	client := r.Status >= 400 && r.Status < 500
	switch {
	case client && (onTheWay.MatchString(words) || gatewayOf(r, a) != "" || signsInItself(r)):
		return says(Intercepted, "", "gateway", "a firewall or gateway refused the request on the way (HTTP %d)", r.Status)
	case client && noKeyCame.MatchString(words) && !keyWords.MatchString(words):
		return says(Misconfigured, "", "words about the request", "the API says that no key came: look at api_key (HTTP %d)", r.Status)
	case refusal && keyExpired.MatchString(words):
		return Reading{Outcome: Rejected, Reason: ExpiredSecret, Rule: "words: expired"}
	case refusal && keyRevoked.MatchString(words):
		return Reading{Outcome: Rejected, Reason: Disabled, Rule: "words: revoked"}
	case refusal && client && !keyWords.MatchString(words) && ofOthers(a):
		return says(
			Misconfigured,
			"",
			"words of others",
			"the words are not about the key (HTTP %d): a gateway or another API answered",
			r.Status,
		)
	case refusal && client:
		return Reading{Outcome: Rejected, Reason: Unspecified, Rule: "status or words of a refusal"}
	case r.Status == http.StatusForbidden && (a.kind == text || a.kind == emptyBody):
		return says(Intercepted, "", "no answer of an API", "something other than the API answered (HTTP %d)", r.Status)
	case r.Status == http.StatusForbidden:
		return says(ScopeDenied, "", "status 403", "the API forbids the request with this key (HTTP 403): a permission may be missing")
	}
	return says(Malformed, "", "unexpected status", "the API's answer was not expected (HTTP %d)", r.Status)
}

// troubleInWords is what the generic matchers find of trouble or a limit in any text of an answer: some tell it with a 401.
func troubleInWords(a answer) Reading {
	for _, text := range append(a.texts, a.description) {
		reading := byMatchers(Provider{}, answer{status: a.status, kind: a.kind, description: text})
		if reading.Outcome == RateLimited || reading.Outcome == ProviderError {
			return reading
		}
	}
	return Reading{}
}

// The words of a refusal. A key is called token as well; what is said of a session, a page or a certificate is not said of it.
var (
	keyWords    = regexp.MustCompile(badThing(keyThing))
	apiKeyWords = regexp.MustCompile(badThing(apiKey)) // a parameter is a key, too
	keyExpired  = regexp.MustCompile(`(?i)` + keyThing + `[^.\n]{0,30}\bexpired\b|\bexpired[ _](\w+[ _])?` + keyThing)
	keyRevoked  = regexp.MustCompile(`(?i)` + keyThing + `[^.\n]{0,30}\b(revoked|disabled|deactivated|deleted)\b|` +
		`\b(revoked|disabled|deactivated)[ _](\w+[ _])?` + keyThing)
	noKeyCame = regexp.MustCompile(`(?i)\b(no|missing|without|lacks?)\b[^.\n]{0,20}` + keyThing + `|` + keyThing +
		`[^.\n]{0,20}\b(missing|required|not (provided|found in|present|supplied|given|sent))\b|\bnot[ _]authed\b|` +
		`\bauth(entication|orization)\b[^.\n]{0,20}\b(missing|required|absent)\b`)
)

// signsInItself: a gateway asks for its own sign-in (RFC 4559).
func signsInItself(r Response) bool {
	schemes := challenges(r.Header)
	return len(schemes) > 0 && slices.Contains([]string{"negotiate", "ntlm", "kerberos"}, schemes[0])
}

// ofOthers reports whether an answer has words, and none of them is about a key or who has it.
func ofOthers(a answer) bool {
	said := false
	for _, text := range append(a.texts, a.description) {
		switch {
		case text == "" || bare.MatchString(text):
		case aboutKeys.MatchString(ofTheClient(text)):
			return false
		default:
			said = true
		}
	}
	return said
}

// aboutKeys are words that a text about a key has.
var aboutKeys = regexp.MustCompile(
	`(?i)\bkeys?\b|token|credential|secret|password|\bauth(enticat|ori[sz]|\b)|unauthori[sz]|log[ -]?in|sign[ -]?in`,
)

const (
	apiKey   = `\b(api[ _-]?(keys?|tokens?)|access[ _-]?(tokens?|keys?)|auth(entication|orization)?[ _-]?tokens?|bearer[ _-]?tokens?)\b`
	keyThing = `\b(api[ _-]?keys?|access[ _-]?tokens?|auth(entication|orization)?[ _-]?tokens?|tokens?|keys?|credentials?)\b`
)

// badThing is what says that a thing is no good.
func badThing(thing string) string {
	return `(?i)` + thing + `[^.\n]{0,30}\b(invalid|not valid|revoked|expired|disabled|deactivated|unknown|not (found|recogni[sz]ed))\b|` +
		`\b(invalid|bad|wrong|incorrect|unknown|revoked|expired|disabled)[ _](\w+[ _])?` + thing
}

// explainKey is the sentence for a reading of a key that has none yet.
func explainKey(r Reading) string {
	switch r.Outcome {
	case OK:
		return keyWorks
	case ScopeReduced:
		return "the key works, without " + strings.Join(r.Missing, " ")
	case ScopeDenied:
		return "the API forbids the request with this key"
	case Misconfigured:
		return "the API finds our request wrong"
	case Rejected:
		return keyRefusals[r.Reason]
	}
	return explainReading(r)
}

// keyRefusals are the messages of a key's Rejected, as refusals are of a client's.
var keyRefusals = map[Reason]string{
	UnknownClient: "the API does not know this key",
	BadSecret:     "the API says that the key is wrong",
	ExpiredSecret: "the API says that the key has expired",
	Disabled:      "the API says that the key is revoked or disabled",
	Unspecified:   "the API refuses the key, and does not say why",
}
