package checker

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/secret"
)

// Key says where an API request has the key of an APIKey credential: in a header, in the query, or as one half of Basic.
type Key struct {
	Header string    `yaml:"header"` // such as X-Api-Key
	Scheme string    `yaml:"scheme"` // what stands before the key in the header, such as Bearer (RFC 9110 §11.4); "": nothing
	Query  string    `yaml:"query"`  // the name of a parameter of the URL
	Basic  BasicHalf `yaml:"basic"`  // of Authorization: Basic (RFC 7617)
}

// BasicHalf says which half of Basic a key is; "" is none.
type BasicHalf string

// The halves. Beside a key that is the user name the password is empty; beside one that is the password the user name is the client id.
const (
	BasicUser     BasicHalf = "username"
	BasicPassword BasicHalf = "password"
)

// String says in a few words how the key is sent, as the configuration names it.
func (k Key) String() string {
	switch {
	case k.Basic != "":
		return "basic " + string(k.Basic)
	case k.Query != "":
		return "query " + k.Query
	case k.Scheme != "":
		return "header " + k.Header + ": " + k.Scheme
	}
	return "header " + k.Header
}

// NeedsClientID reports whether a credential of p must have a client id: an API key has none, unless it is the password beside one, and
// neither has a grant by which a client need not say who it is.
func (p Provider) NeedsClientID() bool {
	switch {
	case p.Kind == APIKey:
		return p.Key.Basic == BasicPassword
	case p.AuthMethod == NoAuth:
		return p.signsGrant() && p.Assertion.Issuer == ""
	}
	return true
}

// IsBearer reports whether the key is sent as an access token is (RFC 6750 §2.1).
func (k Key) IsBearer() bool {
	return http.CanonicalHeaderKey(k.Header) == "Authorization" && strings.EqualFold(k.Scheme, "Bearer")
}

// errNoHeader: net/http would refuse it, and say so of each request.
var errNoHeader = errors.New("the key has characters that no header can hold: it may be another file, or have several lines")

// present puts the key into a request.
func (k Key) present(req *http.Request, clientID, key string) error {
	switch {
	case k.Query != "":
		q := req.URL.Query()
		q.Set(k.Query, key)
		req.URL.RawQuery = q.Encode()
		return nil
	case k.Basic == BasicUser:
		req.SetBasicAuth(key, "")
		return nil
	case k.Basic == BasicPassword:
		req.SetBasicAuth(clientID, key)
		return nil
	}
	if !httpguts.ValidHeaderFieldValue(key) {
		return errNoHeader
	}
	req.Header.Set(k.Header, strings.TrimLeft(k.Scheme+" "+key, " "))
	return nil
}

// sent are the ways in which the key was written.
func (k Key) sent(clientID string, key secret.Value) []secret.Value {
	all := []secret.Value{key}
	add := func(text string) { all = append(all, secret.New([]byte(text))) }
	switch {
	case k.Query != "":
		add(url.QueryEscape(key.Reveal()))
	case k.Basic == BasicUser:
		add(base64.StdEncoding.EncodeToString([]byte(key.Reveal() + ":")))
	case k.Basic == BasicPassword:
		add(base64.StdEncoding.EncodeToString([]byte(clientID + ":" + key.Reveal())))
	}
	return all
}

// validate returns what is wrong with the key of p.
func (p Provider) validateKey(add complaint) {
	k, ways := p.Key, 0
	for _, given := range []string{k.Header, k.Query, string(k.Basic)} {
		if given != "" {
			ways++
		}
	}
	const example = "for example api_key: {header: X-Api-Key}, {header: Authorization, scheme: Bearer}, {query: key} or {basic: username}"
	switch {
	case ways != 1:
		add("api_key", example, "says in %s how the key is sent: one of header, query and basic is wanted", counted(ways))
	case k.Header != "" && (!httpguts.ValidHeaderFieldName(k.Header) || slices.Contains(ownHeaders, http.CanonicalHeaderKey(k.Header))):
		add("api_key.header", "for example X-Api-Key", "%q is keyrounds' to send, or no header", k.Header)
	case k.Scheme != "" && (k.Header == "" || !httpguts.ValidHeaderFieldName(k.Scheme)):
		add("api_key.scheme", "for example Bearer, beside header: Authorization", "%q is no scheme of a header", k.Scheme)
	case k.Basic != "" && k.Basic != BasicUser && k.Basic != BasicPassword:
		add("api_key.basic", OneOf([]BasicHalf{BasicUser, BasicPassword}), "%q is no half of Basic", k.Basic)
	}
	if !p.Passive && !slices.ContainsFunc(p.Probes, func(pr Probe) bool { return pr.Scope == "" }) {
		add("probes", "probes: [{get: https://api.example.com/me}]",
			"none is without a scope: such a one shows whether a key works at all")
	}
	for field, given := range map[string]bool{
		"issuer": p.Issuer != "", "token_url": p.TokenURL != "", "introspection_url": p.IntrospectionURL != "",
		"revocation_url": p.RevocationURL != "", "assertion": !p.Assertion.isZero(), "auth_method": p.AuthMethod != "",
		"parameters": len(p.Parameters) > 0, "grant_type": p.GrantType != "", "dpop": p.DPoP, "request_scopes": p.RequestScopes,
		"request": len(p.Request.Body) > 0 || p.Request.Encoding != "",
	} {
		if given {
			add(field, "take it out, or take out kind: api_key", "has no meaning for kind %s, which is exchanged for no token", APIKey)
		}
	}
}

func counted(ways int) string {
	if ways == 0 {
		return "no way"
	}
	return fmt.Sprintf("%d ways", ways)
}

// firstProbe is the first that shows whether a key works; the zero Probe, where there is none.
func (p Provider) firstProbe() Probe {
	for _, pr := range p.Probes {
		if pr.Scope == "" {
			return pr
		}
	}
	return Probe{}
}

// byKey is the Method of APIKey: the probes without a scope show whether the key works, the others which scopes it has. One that works
// is enough; a refusal counts only where none does.
func byKey(ctx context.Context, a *Asking) {
	p := a.provider
	var best *Result
	for _, pr := range p.Probes {
		if pr.Scope != "" {
			continue
		}
		if best != nil && ctx.Err() != nil {
			break
		}
		r := *a.Result
		a.askByKey(ctx, pr, &r)
		if a.Result.Trail, a.Result.Trace = r.Trail, r.Trace; best == nil || keyRank(r.Outcome) > keyRank(best.Outcome) {
			best = &r
		}
		if r.Outcome == OK || r.Outcome == ScopeReduced {
			break
		}
	}
	if best == nil {
		a.Reading = says(Misconfigured, "", "probes", "no probe without a scope shows whether the key works")
		return
	}
	best.Trail, best.Trace = a.Result.Trail, a.Result.Trace
	*a.Result = *best
	a.Result.trace("read as %s %s by: %s", a.Outcome, a.Reason, ours(a.Rule))
	if a.Outcome.HasToken() {
		a.probe(a.optional, a.client, p, a.target.Credential, nil, a.shows(), a.Result)
		a.Result.unproven(p, a.target.Credential)
		return
	}
	if a.Outcome == Rejected && (a.Reason == Unspecified || a.Reason == BadSecret || a.Reason == UnknownClient) {
		a.Choices, a.RefusesFor = p.keyChoices(), p.RefusesFor
	}
}

// keyRank orders what several probes say of one key.
func keyRank(o Outcome) int {
	switch {
	case o.HasToken():
		return 3
	case o == Rejected:
		return 2
	case o.Certain():
		return 1
	}
	return 0
}

// shows presents the key.
func (a *Asking) shows() shown {
	return func(req *http.Request) error {
		return a.provider.Key.present(req, a.target.Credential.Subject, a.secret.Reveal())
	}
}

// askByKey asks one probe, and reads its answer into r.
func (a *Asking) askByKey(ctx context.Context, pr Probe, r *Result) {
	p := a.provider
	method, at := pr.request()
	r.trace("%s %s with the key in %s", ours(method), withoutQuery(at), p.Key.String())
	a.sent = append(a.sent, p.Key.sent(a.target.Credential.Subject, a.secret)...)
	answer, ok := a.ask(ctx, a.client, nil, nil, r, func(ctx context.Context) (*http.Request, error) { return pr.ask(ctx, p, a.shows()) })
	if !ok {
		return
	}
	defer clear(answer.Body)
	answer.Requested = a.target.Credential.Scopes
	answer = answer.redacted(p.Key.sent(a.target.Credential.Subject, a.secret))
	r.Reading = classifyKey(p, pr, answer)
	r.RetryAfter = pauseAsked(answer, a.now())
	r.Ends = r.Ends.Earlier(p.endOfKey(answer))
}

// keyChoices are what we chose ourselves that a refusal of a key can be about.
func (p Provider) keyChoices() []string {
	list := []string{
		marking("the key (one of another account or environment, or cut off when it was copied)"),
		marking("api_key: it is sent as %s", p.Key.String()),
	}
	for _, pr := range p.Probes {
		if _, at := pr.request(); pr.Scope == "" {
			list = append(list, marking("the probe %s (of another account, region or environment)", withoutQuery(at)))
		}
	}
	return list
}

// endOfKey is when the answer says that the key ends: Provider.Headers or Provider.Response name where it is said.
func (p Provider) endOfKey(r Response) credential.End {
	text := r.Header.Get(p.Headers[memberExpires])
	if text == "" {
		found, is, err := p.Response[memberExpires].first(r.Body)
		if p.Response[memberExpires].IsZero() || err != nil || !is || found == nil {
			return credential.End{}
		}
		if n, ok := number(found); ok {
			return endAt(n, credential.EndProvider)
		}
		text, _ = found.(string)
	}
	for _, layout := range endLayouts {
		if t, err := time.Parse(layout, text); err == nil && t.Year() >= 2000 && t.Year() <= 9999 {
			return credential.End{At: t.UTC(), By: credential.EndProvider}
		}
	}
	return credential.End{}
}

// endLayouts are how APIs write when a key ends: RFC 3339, a date (GitLab), and GitHub's header.
var endLayouts = []string{time.RFC3339, time.DateOnly, "2006-01-02 15:04:05 MST", "2006-01-02 15:04:05 -0700", http.TimeFormat}

func number(v any) (float64, bool) {
	switch v := v.(type) {
	case int:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

// isXML: an API answers by XML, not by a web page.
func isXML(r Response) bool {
	kind := strings.ToLower(r.Header.Get("Content-Type"))
	return strings.Contains(kind, "xml") && !strings.Contains(kind, "html") && bytes.HasPrefix(bytes.TrimSpace(r.Body), []byte("<"))
}

// OpenProbes are the probes of p, which must be complete and have API keys, that answer without a key as they should with one: they show
// nothing of a key. Each is asked once within Timeout; one that cannot be asked is left out.
func (c *Checker) OpenProbes(ctx context.Context, p Provider) (urls []string) {
	client, err := c.kept(p)
	if err != nil || p.Kind != APIKey {
		return nil
	}
	for _, pr := range p.Probes {
		ctx, cancel := context.WithTimeout(ctx, Timeout)
		r := Result{}
		answer, ok := c.ask(ctx, client, nil, nil, &r, func(ctx context.Context) (*http.Request, error) {
			return pr.ask(ctx, p, func(*http.Request) error { return nil })
		})
		cancel()
		if reading := classifyKey(p, pr, answer); ok && reading.Outcome.HasToken() {
			_, at := pr.request()
			urls = append(urls, withoutQuery(at))
		}
	}
	return urls
}
