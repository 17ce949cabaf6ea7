package leak

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"github.com/keyrounds/keyrounds/leak/intake"
)

const (
	caepChange     = "https://schemas.openid.net/secevent/caep/event-type/credential-change"
	riscCompromise = "https://schemas.openid.net/secevent/risc/event-type/credential-compromise"
)

// transmitter sends security event tokens as one would.
type transmitter struct {
	t      *testing.T
	key    *rsa.PrivateKey
	config intake.Transmitter
}

func newTransmitter(t *testing.T) transmitter {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return transmitter{t, key, intake.Transmitter{Name: "idp", Issuer: "https://idp.example.com/", Audience: "https://keyrounds.example"}}
}

// signal is what is read of a token with events.
func (tr transmitter) signal(now time.Time, events map[string]any) intake.Signal {
	tr.t.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: tr.key}, (&jose.SignerOptions{}).WithType("secevent+jwt"))
	if err != nil {
		tr.t.Fatal(err)
	}
	body, _ := json.Marshal(map[string]any{
		"iss": "https://idp.example.com/", "jti": "7c1b", "iat": now.Unix(), "aud": "https://keyrounds.example",
		"sub_id": map[string]any{"format": "opaque", "id": "client-AbC"}, "events": events,
	})
	signed, err := s.Sign(body)
	if err != nil {
		tr.t.Fatal(err)
	}
	token, _ := signed.CompactSerialize()
	keys := &oidc.StaticKeySet{PublicKeys: []crypto.PublicKey{&tr.key.PublicKey}}
	got, err := tr.config.Read(tr.t.Context(), keys.VerifySignature, token, now)
	if err != nil {
		tr.t.Fatal(err)
	}
	return got
}

// Each event of a signal means what it says.
func TestEvidenceOfSignals(t *testing.T) {
	t.Parallel()
	tr, now := newTransmitter(t), time.Now().Truncate(time.Second).UTC()
	event := func(uri string, members map[string]any) intake.Signal {
		return tr.signal(now, map[string]any{uri: members})
	}
	at := now.Add(-time.Hour)
	for name, c := range map[string]struct {
		signal  intake.Signal
		changed time.Time
		kind    EvidenceKind
		soon    bool
	}{
		"compromise": {
			event(riscCompromise, map[string]any{"credential_type": "client_secret", "event_timestamp": at.Unix()}),
			time.Time{},
			BySignal, true,
		},
		"changed by others": {
			event(caepChange, map[string]any{"change_type": "update", "event_timestamp": at.UnixMilli()}),
			now.Add(-100 * time.Hour), ByReplaced, true,
		},
		"changed by ourselves": {
			event(caepChange, map[string]any{"change_type": "update", "event_timestamp": at.Unix()}),
			at.Add(time.Minute), "", true,
		},
		"revoked":  {event(caepChange, map[string]any{"change_type": "revoke"}), time.Time{}, "", true},
		"disabled": {event("https://schemas.openid.net/secevent/oauth/event-type/client-disabled", nil), time.Time{}, "", true},
		"verification": {
			event("https://schemas.openid.net/secevent/ssf/event-type/verification", map[string]any{"state": "x"}),
			time.Time{},
			"", false,
		},
		"of somebody else": {event("https://evil.example/credential-compromise", nil), time.Time{}, "", false},
	} {
		all, soon := EvidenceOfSignal(c.signal, tr.config, 1, c.changed)
		if soon != c.soon || c.kind == "" && len(all) > 0 ||
			c.kind != "" && (len(all) != 1 || all[0].Kind != c.kind || !all[0].At.Equal(at)) {
			t.Errorf("%s: %+v, soon %t", name, all, soon)
		}
	}
}
