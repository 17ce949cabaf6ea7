package intake

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
)

// transmitter signs security event tokens as one would.
type transmitter struct {
	t      *testing.T
	key    *rsa.PrivateKey
	config Transmitter
}

func newTransmitter(t *testing.T) transmitter {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return newTransmitterWith(t, key)
}

func (tr transmitter) sign(claims map[string]any, alg jose.SignatureAlgorithm, key any, typ string) string {
	tr.t.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key},
		(&jose.SignerOptions{}).WithType(jose.ContentType(typ)).WithHeader("kid", "k1"))
	if err != nil {
		tr.t.Fatal(err)
	}
	body, _ := json.Marshal(claims)
	signed, err := s.Sign(body)
	if err != nil {
		tr.t.Fatal(err)
	}
	text, _ := signed.CompactSerialize()
	return text
}

func (tr transmitter) read(token string, now time.Time) (Signal, error) {
	keys := &oidc.StaticKeySet{PublicKeys: []crypto.PublicKey{&tr.key.PublicKey}}
	return tr.config.Read(tr.t.Context(), keys.VerifySignature, token, now)
}

const (
	caepChange     = "https://schemas.openid.net/secevent/caep/event-type/credential-change"
	riscCompromise = "https://schemas.openid.net/secevent/risc/event-type/credential-compromise"
)

// claims are those of RFC 8417 §2.2 with CAEP's event, but for what is changed; nil takes a member out.
func claims(now time.Time, change map[string]any) map[string]any {
	c := map[string]any{
		"iss": "https://idp.example.com/", "jti": "7c1b", "iat": now.Unix(), "aud": "https://keyrounds.example",
		"sub_id": map[string]any{"format": "opaque", "id": "client-AbC"},
		"events": map[string]any{caepChange: map[string]any{
			"credential_type": "client_secret", "change_type": "revoke", "event_timestamp": now.Add(-time.Minute).Unix(),
		}},
	}
	maps.Copy(c, change)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

func TestSecurityEventTokens(t *testing.T) {
	t.Parallel()
	tr, now := newTransmitter(t), time.Now().Truncate(time.Second)
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rs := func(change map[string]any) string {
		return tr.sign(claims(now, change), jose.RS256, tr.key, "secevent+jwt")
	}
	for name, c := range map[string]struct {
		token, code string
	}{
		"CAEP":              {rs(nil), ""},
		"aud in a list":     {rs(map[string]any{"aud": []string{"x", "https://keyrounds.example"}}), ""},
		"a full media type": {tr.sign(claims(now, nil), jose.RS256, tr.key, "application/secevent+jwt"), ""},
		"another issuer":    {rs(map[string]any{"iss": "https://evil.example/"}), "invalid_issuer"},
		"for another":       {rs(map[string]any{"aud": "https://other.example"}), "invalid_audience"},
		"no aud":            {rs(map[string]any{"aud": nil}), "invalid_audience"},
		"no jti":            {rs(map[string]any{"jti": nil}), "invalid_request"},
		"from the future":   {rs(map[string]any{"iat": now.Add(time.Hour).Unix()}), "invalid_request"},
		"expired":           {rs(map[string]any{"exp": now.Add(-time.Hour).Unix()}), "invalid_request"},
		"no events":         {rs(map[string]any{"events": map[string]any{}}), "invalid_request"},
		"iat a text":        {rs(map[string]any{"iat": "now"}), "invalid_request"},
		"another key":       {tr.sign(claims(now, nil), jose.RS256, other, "secevent+jwt"), "invalid_key"},
		"an ID token":       {tr.sign(claims(now, nil), jose.RS256, tr.key, "JWT"), "invalid_request"},
		"a shared key": {
			tr.sign(claims(now, nil), jose.HS256, []byte("0123456789abcdef0123456789abcdef"), "secevent+jwt"), "invalid_request",
		},
		"alg none":              {"eyJhbGciOiJub25lIiwidHlwIjoic2VjZXZlbnQrand0In0.e30.", "invalid_request"},
		"no token":              {"hello", "invalid_request"},
		"claims with one twice": {tr.raw(`{"iss":"https://idp.example.com/","iss":"https://evil.example/"}`), "invalid_request"},
	} {
		_, err := tr.read(c.token, now)
		var set *SETError
		if c.code == "" && err != nil || c.code != "" && (!errors.As(err, &set) || set.Code != c.code) {
			t.Errorf("%s: %v, wanted %q", name, err, c.code)
		}
	}
}

func (tr transmitter) raw(body string) string {
	tr.t.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: tr.key}, (&jose.SignerOptions{}).WithType("secevent+jwt"))
	if err != nil {
		tr.t.Fatal(err)
	}
	signed, err := s.Sign([]byte(body))
	if err != nil {
		tr.t.Fatal(err)
	}
	text, _ := signed.CompactSerialize()
	return text
}

// The client is found in whatever form the subject has, and each event has its type, its change and its time.
func TestSignals(t *testing.T) {
	t.Parallel()
	tr, now := newTransmitter(t), time.Now().Truncate(time.Second).UTC()
	for name, sub := range map[string]map[string]any{
		"opaque":          {"sub_id": map[string]any{"format": "opaque", "id": "client-AbC"}},
		"issuer, subject": {"sub_id": map[string]any{"format": "iss_sub", "iss": "https://idp.example.com/", "sub": "client-AbC"}},
		"complex": {"sub_id": map[string]any{
			"format": "complex", "application": map[string]any{"format": "opaque", "id": "client-AbC"},
		}},
		"sub": {"sub_id": nil, "sub": "client-AbC"},
		"inside the event": {
			"sub_id": nil,
			"events": map[string]any{caepChange: map[string]any{
				"subject": map[string]any{"subject_type": "opaque", "id": "client-AbC"}, "change_type": "revoke",
			}},
		},
	} {
		s, err := tr.read(tr.sign(claims(now, sub), jose.RS256, tr.key, "secevent+jwt"), now)
		if err != nil || !slices.Contains(s.Subjects, "client-AbC") {
			t.Errorf("%s: %v, %q", name, err, s.Subjects)
		}
	}
	event := func(uri string, members map[string]any) []SecurityEvent {
		c := claims(now, map[string]any{"events": map[string]any{uri: members}})
		s, err := tr.read(tr.sign(c, jose.RS256, tr.key, "secevent+jwt"), now)
		if err != nil {
			t.Fatal(err)
		}
		return s.Events
	}
	at := now.Add(-time.Hour)
	for name, c := range map[string]struct {
		got  []SecurityEvent
		want []SecurityEvent
	}{
		"seconds": {
			event(riscCompromise, map[string]any{"event_timestamp": at.Unix()}),
			[]SecurityEvent{{Type: "credential-compromise", At: at}},
		},
		"milliseconds": {
			event(caepChange, map[string]any{"change_type": "update", "event_timestamp": at.UnixMilli()}),
			[]SecurityEvent{{Type: "credential-change", Change: "update", At: at}},
		},
		"no time: the token's": {
			event(caepChange, map[string]any{"change_type": "revoke"}),
			[]SecurityEvent{{Type: "credential-change", Change: "revoke", At: now}},
		},
		"in the future: the token's": {
			event(caepChange, map[string]any{"change_type": "revoke", "event_timestamp": now.Add(time.Hour).Unix()}),
			[]SecurityEvent{{Type: "credential-change", Change: "revoke", At: now}},
		},
		"of somebody else": {event("https://evil.example/credential-compromise", nil), nil},
	} {
		if !slices.Equal(c.got, c.want) {
			t.Errorf("%s: %+v, wanted %+v", name, c.got, c.want)
		}
	}
}

func FuzzSignals(f *testing.F) {
	f.Add([]byte(`{"iss":"https://idp.example.com/","jti":"7c","iat":1793606401,"aud":"https://keyrounds.example",` +
		`"sub_id":{"format":"opaque","id":"client-AbC"},` +
		`"events":{"https://schemas.openid.net/secevent/caep/event-type/credential-change":` +
		`{"credential_type":"client_secret","change_type":"revoke","event_timestamp":1793606400}}}`))
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		tr := newTransmitterWith(t, key)
		s, err := tr.read(tr.raw(string(body)), time.Unix(1793606401, 0))
		if err == nil && (s.ID == "" || len(s.Events) > maxEvents) {
			t.Fatalf("read as %+v", s)
		}
	})
}

func newTransmitterWith(t *testing.T, key *rsa.PrivateKey) transmitter {
	return transmitter{t, key, Transmitter{Name: "idp", Issuer: "https://idp.example.com/", Audience: "https://keyrounds.example"}}
}
