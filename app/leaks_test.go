package app_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/crypto/scrypt"

	"github.com/keyrounds/keyrounds/action"
	"github.com/keyrounds/keyrounds/app"
	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/exposure"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/leak"
	"github.com/keyrounds/keyrounds/leak/scan"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/secret"
	"github.com/keyrounds/keyrounds/sim"
	"github.com/keyrounds/keyrounds/test/lasting"
	"github.com/keyrounds/keyrounds/usage"
	"github.com/keyrounds/keyrounds/usage/feed"
)

const webhookKey = "c4n4ry-webhook-key"

// vault is a daemon whose secrets get out: a provider that is there, GitHub's API, and a transmitter's keys.
type vault struct {
	*testing.T
	app     *app.App
	idp     *sim.Provider
	dir     string
	key     *rsa.PrivateKey
	partner *ecdsa.PrivateKey
	secrets map[string]string // by credential
	away    atomic.Bool       // GitHub
}

func newVault(t *testing.T, top string) *vault {
	t.Helper()
	lasting.Test(t, "it runs a whole daemon for long")
	v := &vault{T: t, dir: t.TempDir(), secrets: map[string]string{}}
	var clients []sim.Client
	var creds strings.Builder
	for _, name := range []string{"alpha", "beta", "gamma"} {
		v.secrets[name] = "c4n4ry-" + name + "-" + strings.ToLower(rand.Text())
		clients = append(clients, sim.Client{ID: "client-" + name, Name: name, Secret: v.secrets[name], Scopes: []string{"company_read"}})
		v.write(name, v.secrets[name])
		fmt.Fprintf(
			&creds,
			"  - {name: %s, provider: idp, client_id: client-%s, secret: \"file:%s/%s\", scopes: [company_read]}\n",
			name,
			name,
			v.dir,
			name,
		)
	}
	v.idp = sim.NewProvider(clients...)
	idp := httptest.NewServer(v.idp)
	t.Cleanup(idp.Close)
	var err error
	if v.key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	if v.partner, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	others := httptest.NewServer(http.HandlerFunc(v.others))
	t.Cleanup(others.Close)
	v.write("webhook", webhookKey)
	v.write("github-token", "c4n4ry-github-token")
	c, err := config.Parse("keyrounds.yaml", fmt.Appendf(nil, `
data_dir: %[1]s
database: %[2]s
listen: 127.0.0.1:0
verdict: {confirm: [1s, 2s], refusals_per_hour: 0}
defaults: {schedule: "@every 1s"}
providers:
  idp:
    token_url: "%[3]s/identity/oauth/token"
    allow_private_networks: true
    min_interval: 1s
    rate: 100/s
    probes: [{scope: company_read, get: "%[3]s/configuration/company/my"}]
credentials:
%[4]s
leaks:
  try_every: 1s
  webhooks:
    - name: github
      type: github
      secret: "file:%[1]s/webhook"
      token: "file:%[1]s/github-token"
      api: "%[5]s"
      allow_private_networks: true
    - {name: guardian, type: gitguardian, secret: "file:%[1]s/webhook"}
    - {name: partner, type: github-partner, keys: "%[5]s/keys", allow_private_networks: true}
  transmitters:
    - name: signals
      provider: idp
      issuer: "https://idp.example.com/"
      audience: "https://keyrounds.example"
      jwks_url: "%[5]s/jwks"
      allow_private_networks: true
%[6]s
`, v.dir, pgtest.Section(t), idp.URL, creds.String(), others.URL, strings.ReplaceAll(top, "$DIR", v.dir)))
	if err != nil {
		t.Fatal(err)
	}
	v.app, err = app.Open(
		t.Context(),
		app.Options{
			Config:  c,
			Version: "test",
			Log:     slog.New(slog.DiscardHandler),
			Daemon:  true,
			Tick:    100 * time.Millisecond,
			Judge:   200 * time.Millisecond,
		},
	)
	if err == nil {
		err = v.app.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.app.Stop)
	v.await("all are healthy", func() bool {
		all, err := v.app.Audit.Standings(t.Context(), false)
		return err == nil && len(all) == 3 && !slices.ContainsFunc(all, func(st audit.Standing) bool { return st.Status != "healthy" })
	})
	return v
}

func (v *vault) write(name, text string) {
	v.Helper()
	if err := os.WriteFile(filepath.Join(v.dir, name), []byte(text), 0o600); err != nil {
		v.Fatal(err)
	}
}

// others are GitHub's alert 42, whose secret is beta's, with its place; and the transmitter's keys.
func (v *vault) others(w http.ResponseWriter, r *http.Request) {
	alert := "/repos/acme/backend/secret-scanning/alerts/42"
	switch {
	case v.away.Load():
		w.WriteHeader(http.StatusBadGateway)
	case r.URL.Path == "/jwks":
		key := jose.JSONWebKey{Key: &v.key.PublicKey, KeyID: "k1", Algorithm: "RS256", Use: "sig"}
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key}})
	case r.URL.Path == "/keys":
		der, _ := x509.MarshalPKIXPublicKey(&v.partner.PublicKey)
		text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
		key := map[string]any{"key_identifier": "k1", "key": string(text), "is_current": true}
		_ = json.NewEncoder(w).Encode(map[string]any{"public_keys": []map[string]any{key}})
	case r.Header.Get("Authorization") != "Bearer c4n4ry-github-token":
		w.WriteHeader(http.StatusUnauthorized)
	case r.URL.Path == alert:
		_ = json.NewEncoder(w).Encode(map[string]any{"number": 42, "secret": v.secrets["beta"]})
	case r.URL.Path == alert+"/locations":
		fmt.Fprint(w, `[{"type":"commit","details":{"path":"deploy/beta.env","start_line":7,`+
			`"commit_sha":"af5626b4a114abcb82d63db7c8082c3c4756e51b"}}]`)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (v *vault) await(what string, cond func() bool) {
	v.Helper()
	for deadline := time.Now().Add(3 * time.Minute); !cond(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			v.Fatalf("after three minutes still not: %s", what)
		}
	}
}

func (v *vault) post(reporter string, body []byte, header ...string) (int, string) {
	v.Helper()
	req, err := http.NewRequestWithContext(
		v.Context(),
		http.MethodPost,
		"http://"+v.app.Addr()+"/api/v1/leaks/"+reporter,
		bytes.NewReader(body),
	)
	if err != nil {
		v.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		v.Fatal(err)
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	_, _ = b.ReadFrom(resp.Body)
	if strings.Contains(b.String(), "c4n4ry") {
		v.Errorf("the answer shows a secret: %s", b.String())
	}
	return resp.StatusCode, b.String()
}

func hmacOf(key string, body []byte) string {
	m := hmac.New(sha256.New, []byte(key))
	m.Write(body)
	return "sha256=" + hex.EncodeToString(m.Sum(nil))
}

// leak is the finding about a credential's leak, resolved or not.
func (v *vault) leak(name string) (f finding.Finding, is bool) {
	v.Helper()
	all, err := v.app.Audit.Findings(v.Context(), audit.Filter{Kind: finding.Leaked, Credential: name, Resolved: true})
	if err != nil {
		v.Fatal(err)
	}
	if len(all) > 1 {
		v.Fatalf("%d findings about the leak of %s", len(all), name)
	}
	if len(all) == 0 {
		return f, false
	}
	return all[0], all[0].Evidence.Leak != nil
}

func (v *vault) recorded(action string) (n int) {
	v.Helper()
	if err := v.app.Pool.QueryRow(v.Context(), `SELECT count(*) FROM record WHERE action = $1`, action).Scan(&n); err != nil {
		v.Fatal(err)
	}
	return n
}

func gitHubAlert(number int) []byte {
	return fmt.Appendf(nil, `{"action":"publicly_leaked","alert":{"number":%d,"secret_type":"custom_smartrecruiters",`+
		`"validity":"active","publicly_leaked":true,"html_url":"https://github.com/acme/backend/security/secret-scanning/42",`+
		`"created_at":"2026-10-02T08:00:01Z"},"repository":{"full_name":"acme/backend"}}`, number)
}

// An alert that cannot be fetched is tried again, since GitHub does not deliver twice by itself; what comes to
// nothing in three days is given up, and that is told.
func TestAnAlertWaits(t *testing.T) {
	t.Parallel()
	v := newVault(t, "")
	post := func(number int) (int, string) {
		body := gitHubAlert(number)
		return v.post("github", body, "X-GitHub-Event", "secret_scanning_alert", "X-Hub-Signature-256", hmacOf(webhookKey, body))
	}
	waiting := func() []leak.WaitingDelivery {
		all, err := v.app.Leaks.WaitingDeliveries(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	v.away.Store(true)
	for range 2 { // somebody has it delivered again
		if status, answer := post(42); status != http.StatusAccepted || !strings.Contains(answer, `"waiting":true`) {
			t.Fatalf("%d %s", status, answer)
		}
	}
	v.await("it is tried again", func() bool { all := waiting(); return len(all) == 1 && all[0].Tries > 0 })
	if d := waiting()[0]; d.Reporter != "github" ||
		!strings.Contains(d.Why, "the alert 42 of acme/backend could not be fetched: HTTP 502") ||
		!d.Next.After(d.Since) {
		t.Errorf("%+v", d)
	}
	var open bool
	err := v.app.Pool.QueryRow(t.Context(), `
		SELECT bool_or(position('acme' IN encode(sealed, 'escape')) > 0) FROM leak_waiting`).Scan(&open)
	if err != nil || open {
		t.Errorf("what waits is not sealed: %v", err)
	}
	v.away.Store(false)
	v.await("it is told", func() bool { _, is := v.leak("beta"); return is })
	v.await("it waits no more", func() bool { return len(waiting()) == 0 })
	if status, answer := post(42); status != http.StatusOK || !strings.Contains(answer, `"duplicate":true`) {
		t.Errorf("the same delivery again is %d %s", status, answer)
	}

	if status, _ := post(43); status != http.StatusAccepted { // which is not there
		t.Errorf("%d", status)
	}
	if _, err := v.app.Pool.Exec(t.Context(), `UPDATE leak_waiting SET since = since - interval '73 hours'`); err != nil {
		t.Fatal(err)
	}
	v.await("it is given up", func() bool { return len(waiting()) == 0 })
	if v.recorded("leaks.given_up") != 1 {
		t.Errorf("%d records of what was given up", v.recorded("leaks.given_up"))
	}
}

// GitHub's alert is fetched, held against the registry, tried at once, and told with its place; what is not signed,
// comes again or is somebody else's opens nothing (S21).
func TestGitHubReportsALeak(t *testing.T) {
	t.Parallel()
	v := newVault(t, "")
	body := gitHubAlert(42)
	for name, header := range map[string][]string{
		"unsigned":    {"X-GitHub-Event", "secret_scanning_alert"},
		"another key": {"X-GitHub-Event", "secret_scanning_alert", "X-Hub-Signature-256", hmacOf("x", body)},
	} {
		if status, answer := v.post("github", body, header...); status != http.StatusUnauthorized {
			t.Errorf("%s: %d %s", name, status, answer)
		}
	}
	if _, is := v.leak("beta"); is || v.recorded("leaks.refused") != 2 {
		t.Errorf("a refused report did something; %d are recorded", v.recorded("leaks.refused"))
	}
	signed := []string{"X-GitHub-Event", "secret_scanning_alert", "X-Hub-Signature-256", hmacOf(webhookKey, body)}
	if status, answer := v.post("github", body, signed...); status != http.StatusOK || !strings.Contains(answer, `"registered":1`) {
		t.Fatalf("%d %s", status, answer)
	}
	v.await("it is found to work", func() bool {
		f, is := v.leak("beta")
		return is && f.Evidence.Leak.Works != nil && len(f.Evidence.Leak.Proven) > 0
	})
	f, _ := v.leak("beta")
	l := f.Evidence.Leak
	g := l.Sightings[0]
	if !*l.Works || !slices.Equal(l.Proven, []string{"company_read"}) || !strings.Contains(l.Confidence, "everybody can read it") {
		t.Errorf("%+v", l)
	}
	if g.Source != "acme/backend" || g.Path != "deploy/beta.env" || g.Line != 7 || !g.Public ||
		g.At.Format(time.DateOnly) != "2026-10-02" {
		t.Errorf("%+v", l)
	}
	reported, refusals := v.recorded("leaks.reported"), v.recorded("leaks.refused")
	if status, answer := v.post("github", body, signed...); status != http.StatusOK || !strings.Contains(answer, `"duplicate":true`) {
		t.Errorf("the same delivery again is %d %s", status, answer)
	}
	if n, m := v.recorded("leaks.reported"), v.recorded("leaks.refused"); n != reported || m != refusals {
		t.Errorf("a delivery by hand is reported %d times and refused %d times", n-reported, m-refusals)
	}
	ping := []byte(`{"zen":"x"}`)
	signature := hmacOf(webhookKey, ping)
	if status, _ := v.post("github", ping, "X-GitHub-Event", "ping", "X-Hub-Signature-256", signature); status != http.StatusOK {
		t.Errorf("a ping is %d", status)
	}
	if status, _ := v.post("nobody", ping); status != http.StatusNotFound {
		t.Errorf("an unknown reporter is %d", status)
	}
	for range 20 {
		v.post("github", body)
	}
	if status, _ := v.post("github", body); status != http.StatusTooManyRequests {
		t.Errorf("after twenty wrong signatures another is %d", status)
	}
	ping = []byte(`{"zen":"y"}`)
	signature = hmacOf(webhookKey, ping)
	if status, _ := v.post("github", ping, "X-GitHub-Event", "ping", "X-Hub-Signature-256", signature); status != http.StatusOK {
		t.Errorf("after twenty wrong signatures a right one is %d", status)
	}
	refused := 0
	err := v.app.Pool.QueryRow(t.Context(), `SELECT count(*) FROM record WHERE action = 'leaks.refused'`).Scan(&refused)
	if err != nil || refused < 5 || refused > 12 {
		t.Errorf("%d refusals are in the record, %v", refused, err)
	}
}

// GitGuardian names a secret by its hash, GitHub's partner program sends it; both are held against the registry.
func TestOtherWebhooks(t *testing.T) {
	t.Parallel()
	v := newVault(t, "")
	salt := sha256.Sum256([]byte("GitGuardian"))
	hash, err := scrypt.Key([]byte(v.secrets["alpha"]), salt[:], 2048, 8, 1, 32)
	if err != nil {
		t.Fatal(err)
	}
	body := fmt.Appendf(nil, `{"source":"GitGuardian","action":"incident_triggered","incident":{"id":1,"date":"2026-10-02T08:00:01Z",`+
		`"detector":{"display_name":"Generic High Entropy Secret"},"hmsl_hash":"%x",`+
		`"gitguardian_url":"https://dashboard.gitguardian.com/i/1"},"occurrence":{"url":"https://x"}}`, hash)
	stamp := fmt.Sprint(time.Now().Unix())
	header := []string{"Timestamp", stamp, "Gitguardian-Signature", hmacOf(stamp+webhookKey, body)}
	if status, answer := v.post("guardian", body, header...); status != http.StatusOK || !strings.Contains(answer, `"registered":1`) {
		t.Errorf("%d %s", status, answer)
	}
	if status, answer := v.post("guardian", body, header...); status != http.StatusOK || !strings.Contains(answer, `"duplicate":true`) {
		t.Errorf("the same again is %d %s", status, answer)
	}
	body, _ = json.Marshal([]map[string]string{
		{
			"token":  v.secrets["gamma"],
			"type":   "acme",
			"url":    "https://github.com/acme/x/blob/1/y",
			"source": "content",
		},
		{"token": "somebody-else's-0123456789", "type": "acme", "url": ""},
	})
	sum := sha256.Sum256(body)
	signature, _ := ecdsa.SignASN1(rand.Reader, v.partner, sum[:])
	header = []string{"Github-Public-Key-Identifier", "k1", "Github-Public-Key-Signature", base64.StdEncoding.EncodeToString(signature)}
	if status, answer := v.post(
		"partner",
		body,
		header...); status != http.StatusOK ||
		!strings.Contains(answer, `"registered":1,"foreign":1`) {
		t.Errorf("%d %s", status, answer)
	}
	for _, name := range []string{"alpha", "gamma"} {
		v.await(name+" is found to work", func() bool {
			f, is := v.leak(name)
			return is && f.Evidence.Leak.Works != nil && *f.Evidence.Leak.Works
		})
	}
	if f, _ := v.leak("gamma"); !f.Evidence.Leak.Sightings[0].Public {
		t.Errorf("%+v", f.Evidence.Leak)
	}
}

// What a passive provider's secret does is not known: it is read once, told, and never tried.
func TestPassiveIsNotTried(t *testing.T) {
	t.Parallel()
	o := newOffice(t, time.Now(), "")
	s, _ := scan.NewScanner([]scan.Term{{Credential: "a", Kind: scan.Secret, Value: "s3cretvalue"}}, scan.Options{})
	if err := s.Reader(t.Context(), "-", strings.NewReader("s3cretvalue")); err != nil {
		t.Fatal(err)
	}
	// No check reads it, so the daemon does, and what was found before is about it.
	if _, err := o.app.Exposure.TakeHits(t.Context(), "test", s.Found(), "scan"); err != nil {
		t.Fatal(err)
	}
	o.await("it is put aside", func() bool {
		var tries int
		var next *time.Time
		err := o.app.Pool.QueryRow(t.Context(), `
			SELECT tries, next_try_at FROM leak_secrets s JOIN credentials c ON c.id = s.credential_id
			WHERE c.name = 'a'`).Scan(&tries, &next)
		return err == nil && tries > 0 && next == nil
	})
	all, err := o.app.Audit.Findings(t.Context(), audit.Filter{Kind: finding.Leaked})
	if err != nil || len(all) != 1 || all[0].Evidence.Leak.Works != nil {
		t.Errorf("%+v, %v", all, err)
	}
}

func (v *vault) token(claims map[string]any) []byte {
	v.Helper()
	s, err := jose.NewSigner(
		jose.SigningKey{Algorithm: jose.RS256, Key: v.key},
		(&jose.SignerOptions{}).WithType("secevent+jwt").WithHeader("kid", "k1"),
	)
	if err != nil {
		v.Fatal(err)
	}
	body, _ := json.Marshal(claims)
	signed, err := s.Sign(body)
	if err != nil {
		v.Fatal(err)
	}
	text, _ := signed.CompactSerialize()
	return []byte(text)
}

// A transmitter's word is believed if its key signed it, and one finding has all the evidence.
func TestSharedSignals(t *testing.T) {
	t.Parallel()
	v := newVault(t, "")
	claims := map[string]any{
		"iss":    "https://idp.example.com/",
		"aud":    "https://keyrounds.example",
		"jti":    "1",
		"iat":    time.Now().Unix(),
		"sub_id": map[string]string{"format": "opaque", "id": "client-alpha"},
		"events": map[string]any{
			"https://schemas.openid.net/secevent/risc/event-type/credential-compromise": map[string]any{"credential_type": "client_secret"},
		},
	}
	post := func(body []byte) (int, string) {
		return v.post("signals", body, "Content-Type", "application/secevent+jwt")
	}
	forged := v.token(claims)
	claims["jti"] = "another"
	other := v.token(claims)
	claims["jti"] = "1"
	forged = slices.Concat(forged[:bytes.LastIndexByte(forged, '.')], other[bytes.LastIndexByte(other, '.'):])
	if status, answer := post(forged); status != http.StatusBadRequest || !strings.Contains(answer, `"err":"invalid_key"`) {
		t.Errorf("a forged token: %d %s", status, answer)
	}
	for range 2 { // a transmitter sends again what it got no answer to
		if status, answer := post(v.token(claims)); status != http.StatusAccepted || answer != "" {
			t.Errorf("%d %q", status, answer)
		}
	}
	v.await("it is told", func() bool { f, is := v.leak("alpha"); return is && f.Evidence.Leak.Works != nil })
	f, _ := v.leak("alpha")
	if l := f.Evidence.Leak; l.Total != 1 || !strings.HasPrefix(l.Confidence, "very likely") {
		t.Errorf("%+v", l)
	}
	// A second kind of evidence joins it.
	v.plant("SECRET=" + v.secrets["alpha"])
	v.await("it joined", func() bool { f, _ := v.leak("alpha"); return f.Evidence.Leak.Total == 2 })
	f, _ = v.leak("alpha")
	if !strings.HasPrefix(f.Evidence.Leak.Confidence, "certain") {
		t.Errorf("%+v", f.Evidence.Leak)
	}
}

func put(t *testing.T, dir, name, text string) {
	t.Helper()
	name = filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// holdsToken reports whether a try of a leaked secret got a token: on a busy machine the first may get none.
func (v *vault) holdsToken() bool {
	v.Helper()
	families, err := v.app.Metrics.Gather()
	if err != nil {
		v.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if f.GetName() == "keyrounds_token_requests_total" && labels["purpose"] == "leaked_secret" && labels["outcome"] == "ok" {
				return m.GetCounter().GetValue() > 0
			}
		}
	}
	return false
}

func (v *vault) tries() (n int) {
	v.Helper()
	if err := v.app.Pool.QueryRow(v.Context(), `SELECT sum(tries) FROM leak_secrets`).Scan(&n); err != nil {
		v.Fatal(err)
	}
	return n
}

// plant puts a text into a file of the vault and searches it, as the command does.
func (v *vault) plant(text string) {
	v.Helper()
	put(v.T, v.dir, "src/app.env", text)
	terms, _, err := v.app.Exposure.Terms(v.Context())
	if err != nil {
		v.Fatal(err)
	}
	s, _ := scan.NewScanner(terms, scan.Options{})
	if err := s.Tree(v.Context(), filepath.Join(v.dir, "src")); err != nil {
		v.Fatal(err)
	}
	if _, err := v.app.Exposure.TakeHits(v.Context(), "test", s.Found(), "scan"); err != nil {
		v.Fatal(err)
	}
}

// secretOf is what is known of the only secret of a credential that got out and works.
func (v *vault) secretOf(name string) leak.SecretRow {
	v.Helper()
	v.await("it works", func() bool {
		f, is := v.leak(name)
		return is && f.Evidence.Leak.Works != nil && *f.Evidence.Leak.Works
	})
	f, _ := v.leak(name)
	rows, err := v.app.Leaks.Secrets(v.Context(), f.Subject.CredentialID)
	if err != nil || len(rows) != 1 {
		v.Fatalf("%+v, %v", rows, err)
	}
	return rows[0]
}

// The daemon scans what is configured: the file that a secret is read from is its home, a repository beside it is
// not. Revoked at the provider, the secret is proven dead, with a token that was issued just before; until then,
// whatever the verdict, the finding stays.
func TestAScannedLeakIsProvenDead(t *testing.T) {
	t.Parallel()
	made, repo := t.TempDir(), filepath.Join(t.TempDir(), "repo")
	v := newVault(t, `  sources:
    - {name: disk, path: $DIR, schedule: "@every 1s"}
    - {name: repo, path: `+repo+`, schedule: "@every 1s"}
    - {name: gone, path: /nowhere/at/all}`)
	v.idp.TokenLag = 3 * time.Second
	put(t, made, "deploy/gamma.env", "x\nSECRET="+v.secrets["gamma"]+"\n")
	for _, args := range [][]string{{"init", "-q"}, {"add", "-A"}, {"commit", "-q", "-m", "x"}} {
		cmd := exec.Command("git", append([]string{"-C", made, "-c", "user.name=a", "-c", "user.email=a@example.com"}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	if err := os.Rename(made, repo); err != nil { // a scan sees it whole
		t.Fatal(err)
	}
	v.await("it is found and works", func() bool {
		f, is := v.leak("gamma")
		return is && f.Evidence.Leak.Works != nil && *f.Evidence.Leak.Works
	})
	if _, is := v.leak("alpha"); is {
		t.Error("the file that a secret is read from counts as a leak")
	}
	f, _ := v.leak("gamma")
	if g := f.Evidence.Leak.Sightings[0]; g.InHead == nil || !*g.InHead || g.Path != "deploy/gamma.env" || g.Line != 2 || g.Commit == "" {
		t.Errorf("%+v", g)
	}
	v.await("the daemon holds a token of it", v.holdsToken)
	v.idp.Revoke("client-gamma")
	v.await("it is proven dead", func() bool { f, _ := v.leak("gamma"); return f.State == finding.Resolved })
	f, _ = v.leak("gamma")
	d := f.Evidence.Leak.Deaths[0]
	if len(d.Refused) < 2 || d.Stopped.IsZero() || d.Minted.IsZero() || d.Took == "" ||
		!strings.Contains(d.Control, "2 of the provider's 2 other credentials work") ||
		!strings.Contains(d.Token, "refused by the API") {
		t.Errorf("%+v", d)
	}
	if d.Finding != f.ID || d.Fingerprint == "" || d.From.IsZero() {
		t.Errorf("the proof says not which secret and finding it is of: %+v", d)
	}
	revoked := func() finding.Finding {
		all, err := v.app.Audit.Findings(t.Context(), audit.Filter{Kind: finding.Revoked, Credential: "gamma"})
		if err != nil || len(all) == 0 {
			return finding.Finding{Evidence: finding.Evidence{Refusal: finding.Refusal{Suspected: true}}}
		}
		return all[0]
	}
	v.await("its refusal is confirmed", func() bool { return !revoked().Evidence.Suspected })
	r := revoked()
	steps := r.Kind.Of().Steps(r, "gamma")
	if r.Severity != finding.Warning || !r.Evidence.GotOut || strings.Contains(strings.Join(steps, " "), "on purpose") {
		t.Errorf("what was ended for its leak is a second alarm: %+v, %q", r, steps)
	}
	v.ownRequestsAreNoAttempts()
	if v.recorded("secret.died") != 1 {
		t.Errorf("%d proofs in the record", v.recorded("secret.died"))
	}
	sources, err := v.app.Exposure.Sources(t.Context())
	if err != nil || len(sources) != 3 || sources[0].Found != 0 || sources[1].Found == 0 ||
		!strings.Contains(sources[2].Error, "no such file") {
		t.Errorf("%+v, %v", sources, err)
	}
	// The history has it for ever, and that is no news.
	before, _ := v.app.Exposure.Sources(t.Context())
	v.await("it is scanned again", func() bool {
		now, err := v.app.Exposure.Sources(t.Context())
		return err == nil && now[1].Scanned.After(before[1].Scanned)
	})
	if f, _ := v.leak("gamma"); f.State != finding.Resolved {
		t.Error("a dead secret is told again")
	}
}

// A provider that refuses everybody proves nothing.
func TestAnIncidentIsNoDeath(t *testing.T) {
	t.Parallel()
	v := newVault(t, "")
	v.plant(v.secrets["alpha"])
	v.await("it works", func() bool {
		f, is := v.leak("alpha")
		return is && f.Evidence.Leak.Works != nil && *f.Evidence.Leak.Works
	})
	v.idp.Break(sim.Refuse)
	before := v.tries()
	v.await("it was tried", func() bool {
		all, err := v.app.Audit.Findings(t.Context(), audit.Filter{Kind: finding.ProviderIncident})
		return err == nil && len(all) > 0 && v.tries() >= before+3
	})
	if f, _ := v.leak("alpha"); f.State == finding.Resolved {
		t.Errorf("an incident passes for a proof: %+v", f.Evidence.Leak.Deaths)
	}
}

// A leaked secret is left alone while its provider asks for that, like everything else there: it is tried when that is
// over, and not every try_every.
func TestALeakedSecretWaitsForItsProvider(t *testing.T) {
	t.Parallel()
	v := newVault(t, "")
	v.plant(v.secrets["alpha"])
	row := v.secretOf("alpha")
	_, err := v.app.Pool.Exec(t.Context(), `
		UPDATE provider_pace SET paused_until = now() + interval '1 hour', paced_until = now() + interval '1 hour'`)
	if err != nil {
		t.Fatal(err)
	}
	v.await("its next try is after that", func() bool {
		now, err := v.app.Leaks.Reread(t.Context(), row)
		return err == nil && time.Until(now.NextTry) > 50*time.Minute
	})
	issued := len(v.idp.Tokens())
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second) // three times try_every
	defer cancel()
	said := ""
	_, err = v.app.Exposure.ProveDead(ctx, row, secret.Value{}, func(at leak.Attempt) { said = at.NotNow })
	if !errors.Is(err, exposure.ErrStillWorks) || !strings.Contains(said, "asks us to stay away") {
		t.Errorf("whoever waits is told %q, error %v", said, err)
	}
	if n := len(v.idp.Tokens()); n != issued {
		t.Errorf("%d tokens were issued meanwhile", n-issued)
	}
}

// A secret that was replaced while it was about to be tried is not mistaken for the new one, whose token would
// seem to be its own and live on.
func TestReplacedWhileTried(t *testing.T) {
	t.Parallel()
	v := newVault(t, "")
	v.plant(v.secrets["alpha"])
	row := v.secretOf("alpha")
	v.idp.Renew("client-alpha", "c4n4ry-alpha-new-secret")
	v.write("alpha", "c4n4ry-alpha-new-secret")
	tried := func(at leak.Attempt) { t.Errorf("tried: %+v", at) }
	at, err := v.app.Exposure.ProveDead(t.Context(), row, secret.Value{}, tried)
	if err == nil || !strings.Contains(err.Error(), "was replaced meanwhile") {
		t.Errorf("%+v, %v", at, err)
	}
}

// Where the daemon is first with the proof, who waits for it has it as well.
func TestTheDaemonProvesItFirst(t *testing.T) {
	t.Parallel()
	v := newVault(t, "")
	v.plant(v.secrets["alpha"])
	row := v.secretOf("alpha")
	death, err := v.app.Exposure.ProveDead(t.Context(), row, secret.Value{}, func(leak.Attempt) {
		v.idp.Revoke("client-alpha")
		v.await("the daemon proves it", func() bool { f, _ := v.leak("alpha"); return f.State == finding.Resolved })
	})
	if err != nil || death == nil || len(death.Refused) < 2 {
		t.Errorf("%+v, %v", death, err)
	}
}

// Rotated, the old secret is kept and tried; retired, it is as well, and the finding stays until it is dead.
func TestRotatedAndRetired(t *testing.T) {
	t.Parallel()
	v := newVault(t, "")
	v.idp.Add(sim.Client{ID: "client-delta", Name: "delta", Secret: "c4n4ry-delta-old-secret", Scopes: []string{"company_read"}})
	add := credential.Credential{
		Name:     "delta",
		Provider: "idp",
		Subject:  "client-delta",
		Scopes:   []string{"company_read"},
		Schedule: "@every 1s",
	}
	value := secret.New([]byte("c4n4ry-delta-old-secret"))
	if err := v.app.Actions.Add(t.Context(), "test", []credential.Credential{add}, []secret.Value{value}, action.AtOnce, nil); err != nil {
		t.Fatal(err)
	}
	v.plant("c4n4ry-delta-old-secret")
	v.await("it works", func() bool {
		f, is := v.leak("delta")
		return is && f.Evidence.Leak.Works != nil && *f.Evidence.Leak.Works
	})
	v.idp.Renew("client-delta", "c4n4ry-delta-new-secret")
	next := secret.New([]byte("c4n4ry-delta-new-secret"))
	if err := v.app.Actions.Rotate(t.Context(), "test", "delta", "", time.Time{}, next, action.AtOnce); err != nil {
		t.Fatal(err)
	}
	v.await("the old one is told as replaced", func() bool {
		f, _ := v.leak("delta")
		return !f.Evidence.Leak.Replaced.IsZero() && !f.Evidence.Leak.Unknown
	})
	if err := v.app.Actions.Retire(t.Context(), "test", "delta"); err != nil {
		t.Fatal(err)
	}
	if f, _ := v.leak("delta"); f.State == finding.Resolved {
		t.Fatalf("retired, its leak is over: %s", f.ResolvedWhy)
	}
	v.idp.RevokeSecret("client-delta", "c4n4ry-delta-old-secret")
	v.await("it is proven dead", func() bool { f, _ := v.leak("delta"); return f.State == finding.Resolved })
	var kept int
	err := v.app.Pool.QueryRow(t.Context(), `SELECT count(*) FROM leak_secrets WHERE sealed IS NOT NULL`).Scan(&kept)
	if err != nil || kept != 0 {
		t.Errorf("%d dead secrets are kept, %v", kept, err)
	}
}

// A secret that was mistyped gets no proof of death, and whoever waits for one is told why.
func TestAMistypedSecretDoesNotDie(t *testing.T) {
	t.Parallel()
	v := newVault(t, "")
	v.idp.Add(sim.Client{ID: "client-delta", Name: "delta", Secret: "c4n4ry-delta-old-secret", Scopes: []string{"company_read"}})
	add := credential.Credential{Name: "delta", Provider: "idp", Subject: "client-delta", Schedule: "@every 1s"}
	value := secret.New([]byte("c4n4ry-delta-old-secret"))
	if err := v.app.Actions.Add(t.Context(), "test", []credential.Credential{add}, []secret.Value{value}, action.AtOnce, nil); err != nil {
		t.Fatal(err)
	}
	status := func(want string) {
		v.await("delta is "+want, func() bool {
			all, err := v.app.Audit.Standings(t.Context(), false)
			return err == nil && slices.ContainsFunc(all, func(st audit.Standing) bool {
				return st.Credential == "delta" && string(st.Status) == want && st.LastCheck.After(st.Changed)
			})
		})
	}
	rotate := func(to string) {
		next := secret.New([]byte(to))
		if err := v.app.Actions.Rotate(t.Context(), "test", "delta", "", time.Time{}, next, action.AtOnce); err != nil {
			t.Fatal(err)
		}
	}
	status("healthy")
	v.idp.Renew("client-delta", "c4n4ry-delta-new-secret")
	rotate("c4n4ry-delta-mistyped-secret")
	v.idp.RevokeSecret("client-delta", "c4n4ry-delta-old-secret")
	rotate("c4n4ry-delta-new-secret")
	status("healthy")
	c, err := v.app.Registry.Get(t.Context(), "delta")
	if err != nil {
		t.Fatal(err)
	}
	var rows []leak.SecretRow
	v.await("both are done with", func() bool {
		rows, err = v.app.Leaks.Secrets(t.Context(), c.ID)
		return err == nil && len(rows) == 3 && !rows[0].Kept && !rows[1].Kept
	})
	if rows[0].Dead.IsZero() || rows[0].NeverWorked || !rows[1].Dead.IsZero() || !rows[1].GivenUp() || v.recorded("secret.died") != 1 {
		t.Errorf("%+v, %d died", rows, v.recorded("secret.died"))
	}
	_, err = v.app.Exposure.ProveDead(t.Context(), rows[1], secret.New([]byte("c4n4ry-delta-mistyped-secret")), func(leak.Attempt) {})
	if !errors.Is(err, exposure.ErrNeverWorked) {
		t.Errorf("whoever waits for a proof is told %v", err)
	}
}

// ownRequestsAreNoAttempts brings what a gateway's log would have of all that was asked of the provider so far: checks,
// refused ones, controls and tries of leaked secrets. Nothing of it is anybody else's, neither a use nor an attempt; what
// somebody else tries is.
func (v *vault) ownRequestsAreNoAttempts() {
	v.Helper()
	var log strings.Builder
	refused := 0
	for _, r := range v.idp.Journal() {
		if r.ClientID == "" {
			continue
		}
		if r.Status == http.StatusUnauthorized {
			refused++
		}
		kind := map[bool]string{true: "exchange", false: "request"}[strings.HasSuffix(r.Path, "/token")]
		fmt.Fprintf(&log, `{"client_id":%q,"at":%q,"kind":%q,"user_agent":%q,"source_ip":%q,"ok":%v}`+"\n", r.ClientID,
			r.At.Format(time.RFC3339Nano), kind, r.UserAgent, r.Address, r.Status != http.StatusUnauthorized)
	}
	fmt.Fprintf(&log, `{"client_id":"client-gamma","at":%q,"kind":"exchange","user_agent":"job","source_ip":"203.0.113.7","ok":false}`+"\n",
		time.Now().Format(time.RFC3339Nano))
	format, err := feed.NewFormat("plain", "")
	if err != nil {
		v.Fatal(err)
	}
	got, err := v.app.Actions.Import(v.Context(), "test", feed.OfImports("idp", format),
		[]usage.Import{{Name: "log", In: strings.NewReader(log.String())}})
	if err != nil {
		v.Fatal(err)
	}
	if c := got[0].Counts; refused < 2 || c[usage.ResultUse] != 0 || c[usage.ResultFailure] != 1 || c.Own() < int64(refused) {
		v.Errorf("%d were refused: %v", refused, c)
	}
}
