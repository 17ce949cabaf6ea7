package checker

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/keyrounds/keyrounds/secret"
)

// metadata is what an authorization server says of itself (RFC 8414 §2, RFC 8705 §5).
type metadata struct {
	Issuer     string   `json:"issuer"`
	Token      string   `json:"token_endpoint"`
	Revocation string   `json:"revocation_endpoint"`
	Methods    []string `json:"token_endpoint_auth_methods_supported"`
	MTLS       struct {
		Token      string `json:"token_endpoint"`
		Revocation string `json:"revocation_endpoint"`
	} `json:"mtls_endpoint_aliases"`
}

// discovered keeps metadata by issuer. It is read again after an hour; where that fails, what was
// read before serves for a day.
type discovered struct {
	mu    sync.Mutex
	known map[string]knownMetadata
}

type knownMetadata struct {
	metadata
	at time.Time
}

const (
	metadataFresh = time.Hour
	metadataStale = 24 * time.Hour
)

// complete returns p with the endpoints that its issuer names, where p names none. A reading says why
// that could not be.
func (c *Checker) complete(ctx context.Context, client *http.Client, p Provider) (Provider, *Reading) {
	if p.Issuer == "" || p.TokenURL != "" {
		return p, nil
	}
	c.discovered.mu.Lock()
	known, ok := c.discovered.known[p.Issuer]
	c.discovered.mu.Unlock()
	age := c.now().Sub(known.at)
	if !ok || age > metadataFresh || age < 0 {
		fresh, bad := c.readMetadata(ctx, client, p)
		switch {
		case bad == nil:
			known.metadata = fresh
		case !ok || age > metadataStale:
			return p, bad
		}
	}
	return known.fill(p), nil
}

func (m metadata) fill(p Provider) Provider {
	if p.AuthMethod == TLSClientAuth || p.AuthMethod == SelfSignedTLSClientAuth {
		m.Token, m.Revocation = first(m.MTLS.Token, m.Token), first(m.MTLS.Revocation, m.Revocation)
	}
	p.TokenURL = m.Token
	if badURL(m.Revocation, p.AllowPrivateNetworks) == "" {
		p.RevocationURL = first(p.RevocationURL, m.Revocation)
	}
	return p
}

// takes reports whether the server takes the method, as far as it says (token_endpoint_auth_methods_supported).
func (m metadata) takes(method AuthMethod) bool {
	if method == ClientSecretBasicRaw {
		method = ClientSecretBasic
	}
	return len(m.Methods) == 0 || method == Custom || slices.Contains(m.Methods, string(method))
}

// readMetadata asks the issuer and remembers the answer. OpenID Connect puts the document below the
// issuer's path, RFC 8414 §3.1 before it.
func (c *Checker) readMetadata(ctx context.Context, client *http.Client, p Provider) (metadata, *Reading) {
	var bad *Reading
	for _, at := range metadataURLs(p.Issuer) {
		m, reading := c.readMetadataAt(ctx, client, p, at)
		if reading == nil {
			c.discovered.mu.Lock()
			defer c.discovered.mu.Unlock()
			if c.discovered.known == nil {
				c.discovered.known = map[string]knownMetadata{}
			}
			c.discovered.known[p.Issuer] = knownMetadata{m, c.now()}
			return m, nil
		}
		if bad == nil || bad.HTTPStatus == http.StatusNotFound {
			bad = reading
		}
		if reading.HTTPStatus == 0 {
			break // nobody is there
		}
	}
	return metadata{}, bad
}

func metadataURLs(issuer string) []string {
	u, err := url.Parse(issuer)
	if err != nil {
		return nil
	}
	path := strings.TrimSuffix(u.Path, "/")
	u.Path = path + "/.well-known/openid-configuration"
	all := []string{u.String()}
	u.Path = "/.well-known/oauth-authorization-server" + path
	return append(all, u.String())
}

func (c *Checker) readMetadataAt(ctx context.Context, client *http.Client, p Provider, at string) (metadata, *Reading) {
	// None of the document's own text is shown: it was not cleaned of a secret that it may hold.
	failed := func(status int, o Outcome, format string, args ...any) (metadata, *Reading) {
		r := says(o, "", "metadata (RFC 8414)", "the issuer's metadata: "+format, args...)
		r.HTTPStatus = status
		return metadata{}, &r
	}
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return failed(0, Misconfigured, "the issuer is not a URL")
	}
	c.setHeaders(req)
	resp, err := client.Do(req)
	if err != nil {
		r := noAnswerOrMalformed(err)
		r.Message = "the issuer's metadata: " + r.Message
		return metadata{}, &r
	}
	defer resp.Body.Close()
	body, err := readBody(resp)
	r := Response{Status: resp.StatusCode, Header: resp.Header, Body: body}
	a := readAnswer(r, nil)
	if t := trouble(p, r, a); t.Outcome != "" {
		return failed(resp.StatusCode, t.Outcome, "HTTP %d", resp.StatusCode)
	}
	var m metadata
	if resp.StatusCode != http.StatusOK || err != nil || json.Unmarshal(body, &m) != nil {
		return failed(resp.StatusCode, Malformed, "no such document came (HTTP %d)", resp.StatusCode)
	}
	if strings.TrimSuffix(m.Issuer, "/") != strings.TrimSuffix(p.Issuer, "/") { // RFC 8414 §3.3
		return failed(resp.StatusCode, Misconfigured, "it is for another issuer")
	}
	if badURL(m.Token, p.AllowPrivateNetworks) != "" {
		return failed(resp.StatusCode, Misconfigured, "its token_endpoint is no URL that a secret may be sent to")
	}
	return m, nil
}

// control asks, before credentials are blamed, whether the provider itself is in order: its metadata
// document is free and needs no client. Where that fails too, the refusals say nothing.
func (b batch) control(rs []*Result, ts []Target, read func() (metadata, *Reading, bool)) {
	var refused []*Result
	worked := map[*Result]bool{}
	for i, r := range rs {
		if r != nil && (r.Outcome == Rejected || r.Rule == ruleNotAsked) {
			refused = append(refused, r)
			worked[r] = ts[i].Worked
		}
	}
	if len(refused) == 0 || b.provider.Issuer == "" {
		return
	}
	m, bad, ok := read()
	if !ok {
		return
	}
	defer func() {
		for _, r := range refused {
			r.cleanTrace(noSecret) // of what is noted here
		}
	}()
	for _, r := range refused {
		switch {
		case r.Rule == ruleNotAsked:
			at := m.MTLS.Token
			if bad == nil && at != "" && at != b.provider.TokenURL && badURL(at, b.provider.AllowPrivateNetworks) == "" {
				r.Message += secret.Scrubber{}.Clean(": the provider's metadata names "+at, maxDescription)
			}
			continue
		case bad != nil && bad.Outcome == Misconfigured:
			r.Outcome, r.Reason = Misconfigured, ""
		case bad != nil:
			r.Outcome, r.Reason = ProviderError, ""
		case b.byIssuer && m.fill(Provider{AuthMethod: b.provider.AuthMethod}).TokenURL != b.provider.TokenURL:
			r.Outcome, r.Reason, r.Rule, r.Choices, r.RefusesFor = Misconfigured, Redirected, "metadata (RFC 8414)", nil, nil
			r.Message = "the provider's token endpoint has moved; the next check goes there"
			continue
		case r.Reason == Unspecified && !m.takes(b.provider.AuthMethod) && !worked[r]:
			r.Outcome, r.Reason, r.Rule, r.Choices, r.RefusesFor = Misconfigured, "", "metadata (RFC 8414)", nil, nil
			r.Message = secret.Scrubber{}.Clean(fmt.Sprintf(
				"the client is refused, and the provider's metadata does not list %s: it lists %s",
				b.provider.AuthMethod, strings.Join(m.Methods, ", "),
			), maxDescription)
			continue
		default:
			r.trace("control: the issuer's metadata is in order")
			continue
		}
		r.Rule, r.Choices, r.RefusesFor = "metadata (RFC 8414)", nil, nil
		r.Message = fmt.Sprintf("refused, but so is the question for its metadata: %s", bad.Message)
		r.trace("control: %s", bad.Message)
	}
}
