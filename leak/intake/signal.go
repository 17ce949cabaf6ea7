package intake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Transmitter is a sender of security event tokens (RFC 8417) by push (RFC 8935), with CAEP's and RISC's events about
// credentials. It is a value and safe for concurrent use.
type Transmitter struct {
	Name     string
	Provider string // whose clients they are about
	Issuer   string // iss of its tokens
	Audience string // one of aud of its tokens
	JWKSURL  string // its public keys (RFC 7517)
	// AllowPrivateNetworks lets the keys be fetched from an address that is private.
	AllowPrivateNetworks bool
}

// Verify checks a token's signature with a transmitter's keys and returns its payload. An error of fetching the keys has
// "fetching keys" in its text, as those of go-oidc do; every other error is of the signature.
type Verify func(ctx context.Context, jwt string) ([]byte, error)

// SETError says why a token is not accepted, as RFC 8935 §2.4 answers a transmitter.
type SETError struct {
	Code        string // as registered there: invalid_request, invalid_key, invalid_issuer, invalid_audience, authentication_failed
	Description string
}

func (e *SETError) Error() string { return e.Code + ": " + e.Description }

// Signal is what a security event token says that was verified.
type Signal struct {
	ID       string          // jti
	At       time.Time       // iat
	Subjects []string        // every name that the token has for what it is about (RFC 9493)
	Events   []SecurityEvent // by type; only those of schemas.openid.net
}

// SecurityEvent is one event of a token.
type SecurityEvent struct {
	Type   string    // the end of its URI: credential-compromise
	Change string    // of credential-change: create, revoke, update or delete
	At     time.Time // event_timestamp; the token's, where that is missing or in the future
}

const (
	maxFuture = 5 * time.Minute // a transmitter's clock may be ahead of ours
	maxEvents = 20
)

// asymmetric: with a shared key whoever can verify can also sign.
var asymmetric = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// Read verifies a security event token and returns what it says. The token must be signed with a key pair, be from
// Issuer, for Audience, and not be from the future; clocks may differ by 5 minutes. A token that is not accepted is a
// *SETError; any other error is of fetching the keys, and the token may be fine.
func (t Transmitter) Read(ctx context.Context, verify Verify, token string, now time.Time) (Signal, error) {
	fail := func(code, format string, args ...any) (Signal, error) {
		return Signal{}, &SETError{code, fmt.Sprintf(format, args...)}
	}
	token = strings.TrimSpace(token)
	parsed, err := jose.ParseSignedCompact(token, asymmetric)
	if err != nil {
		return fail("invalid_request", "not a JWT that is signed with a key pair")
	}
	typ, _ := parsed.Signatures[0].Header.ExtraHeaders[jose.HeaderType].(string)
	if !strings.EqualFold(strings.TrimPrefix(strings.ToLower(typ), "application/"), "secevent+jwt") {
		return fail("invalid_request", "its typ is not secevent+jwt (RFC 8417 §2.3)")
	}
	payload, err := verify(ctx, token)
	if err != nil {
		if strings.Contains(err.Error(), "fetching keys") {
			return Signal{}, fmt.Errorf("the keys of %s cannot be fetched", t.Name)
		}
		return fail("invalid_key", "the signature does not fit a key of the transmitter")
	}
	if err := strict(payload); err != nil {
		return fail("invalid_request", "its claims: %v", err)
	}
	var c struct {
		Issuer   string   `json:"iss"`
		ID       string   `json:"jti"`
		IssuedAt float64  `json:"iat"`
		Expires  float64  `json:"exp"`
		Audience audience `json:"aud"`
		Subject  any      `json:"sub"`
		SubID    any      `json:"sub_id"`
		Events   map[string]struct {
			ChangeType string  `json:"change_type"`
			At         float64 `json:"event_timestamp"`
			Subject    any     `json:"subject"`
		} `json:"events"`
	}
	if err := json.Unmarshal(payload, &c); err != nil {
		return fail("invalid_request", "its claims: %s", jsonError(err))
	}
	at := when(c.IssuedAt)
	switch {
	case c.Issuer != t.Issuer:
		return fail("invalid_issuer", "it is not from %s", t.Issuer)
	case !slices.Contains(c.Audience, t.Audience):
		return fail("invalid_audience", "it is not for %s", t.Audience)
	case c.ID == "" || len(c.ID) > 500:
		return fail("invalid_request", "jti is missing")
	case at.IsZero() || at.After(now.Add(maxFuture)):
		return fail("invalid_request", "iat is missing, or in the future")
	case c.Expires != 0 && when(c.Expires).Before(now):
		return fail("invalid_request", "it has expired")
	case len(c.Events) == 0 || len(c.Events) > maxEvents:
		return fail("invalid_request", "events is missing, or has more than %d", maxEvents)
	}
	s := Signal{ID: c.ID, At: at}
	s.name(c.Subject, 0)
	s.name(c.SubID, 0)
	for uri, e := range c.Events {
		s.name(e.Subject, 0)
		ev := SecurityEvent{Type: uri[strings.LastIndexByte(uri, '/')+1:], Change: e.ChangeType, At: when(e.At)}
		if ev.At.IsZero() || ev.At.After(now.Add(maxFuture)) {
			ev.At = at
		}
		if strings.HasPrefix(uri, "https://schemas.openid.net/secevent/") {
			s.Events = append(s.Events, ev)
		}
	}
	slices.SortFunc(s.Events, func(a, b SecurityEvent) int { return strings.Compare(a.Type, b.Type) })
	return s, nil
}

// audience is a string or a list of them (RFC 7519 §4.1.3).
type audience []string

func (a *audience) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*a = audience{one}
		return nil
	}
	var many []string
	if err := json.Unmarshal(b, &many); err != nil {
		return errors.New("aud is neither a string nor a list of them")
	}
	*a = many
	return nil
}

// when reads seconds since 1970; milliseconds, as drafts of CAEP had them, are known by their size.
func when(n float64) time.Time {
	switch {
	case n <= 0 || n > 1e14:
		return time.Time{}
	case n > 1e11:
		return time.UnixMilli(int64(n)).UTC()
	}
	return time.Unix(int64(n), 0).UTC()
}

// name collects the names in a subject identifier, of whatever format (RFC 9493).
func (s *Signal) name(v any, depth int) {
	if depth > 4 || len(s.Subjects) > 50 {
		return
	}
	switch v := v.(type) {
	case string:
		if len(v) > 0 && len(v) <= 500 && !slices.Contains(s.Subjects, v) {
			s.Subjects = append(s.Subjects, v)
		}
	case map[string]any:
		for key, e := range v {
			if key != "format" && key != "iss" && key != "subject_type" {
				s.name(e, depth+1)
			}
		}
	case []any:
		for _, e := range v {
			s.name(e, depth+1)
		}
	}
}
