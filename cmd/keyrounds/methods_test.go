package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/sim/authserver"
)

// account is a client at a server of others, and how keyrounds is told to reach it.
type account struct {
	name, client string // the provider's name, and the client's id
	method       string // with more of the provider behind a comma, in the words of the configuration
	at           string // how the server is found, in the words of the configuration
}

// trial is a method that works there.
type trial struct {
	account
	right, wrong string // secrets
}

// oddity is what gets no token, for another reason than its secret or for one that the answer does not tell.
type oddity struct {
	account
	secret  string
	outcome string
	says    string // a part of the message
}

// servers are authorization servers that nobody here wrote, which know the same clients.
type servers struct {
	fosite, oidc, zitadel, node, gooauth2 string // how each is found, in the words of the configuration
	oidcPlain                             string // the address of oidc that asks for no certificate
}

// theSecrets of the clients, beside the texts.
type theSecrets struct {
	key, otherKey                       *rsa.PrivateKey
	ca, issued, stranger, self, notMine *identity
}

// Encoding and decoding change the first, which is long enough for HS256. The last can be decoded, to another.
const (
	text      = "c4n4ry+s3cret/with%signs&more-than-32-bytes"
	otherText = "c4n4ry-an0ther-secret-of-more-than-32-bytes"
	plusText  = "c4n4ry+s3cret"
)

func newSecrets(t *testing.T) theSecrets {
	t.Helper()
	key, err1 := rsa.GenerateKey(rand.Reader, 2048)
	otherKey, err2 := rsa.GenerateKey(rand.Reader, 2048)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	ca := newIdentity(t, "ca", nil)
	return theSecrets{
		key, otherKey, ca, newIdentity(t, "ats-sync", ca), newIdentity(t, "stranger", ca),
		newIdentity(t, "self", nil), newIdentity(t, "self", nil),
	}
}

// The grants beside client_credentials, in the words of the configuration.
const (
	bearerGrant = "none, grant_type: " + checker.GrantJWTBearer
	twoSecrets  = `client_secret_post, grant_type: password, parameters: {username: svc}, ` +
		`secret_parameters: {password: "env:SVC_PASSWORD"}`
	passwordGrant = `none, grant_type: password, parameters: {username: svc, password: "{client_secret}"}`
)

// accountFile is a key as Google gives it out.
func accountFile(t *testing.T, k *rsa.PrivateKey) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.MarshalIndent(map[string]string{
		"type": "service_account", "project_id": "example", "private_key_id": "2026-01",
		"private_key":  string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		"client_email": "svc@example.com", "client_id": "103", "token_uri": "https://oauth2.googleapis.com/token",
	}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func pkcs1(k *rsa.PrivateKey) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(k)}))
}

func jwk(t *testing.T, k *rsa.PrivateKey) string {
	t.Helper()
	b, err := json.MarshalIndent(jose.JSONWebKey{Key: k, KeyID: "2026-01", Algorithm: "RS256"}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// clients are those of the servers that register a client for one method.
func (k theSecrets) clients() []authserver.Client {
	public := &jose.JSONWebKey{Key: &k.key.PublicKey, KeyID: "2026-01", Algorithm: "RS256", Use: "sig"}
	all := []authserver.Client{
		{ID: "post", Method: "client_secret_post", Secret: text},
		{ID: "basic", Method: "client_secret_basic", Secret: text},
		{ID: "key", Method: "private_key_jwt", Key: public},
		{ID: "jwk", Method: "private_key_jwt", Key: public},
		{ID: "ca", Method: "tls_client_auth", SubjectDN: "CN=ats-sync"},
		{ID: "self", Method: "self_signed_tls_client_auth", Certificate: k.self.cert.Raw},
		{ID: "svc@example.com", Grant: checker.GrantJWTBearer, Key: public},
		{ID: "public", Method: "none", Grant: "password", Secret: text},
		{ID: "confidential", Method: "client_secret_post", Grant: "password", Secret: text},
	}
	for i := range all {
		all[i].Scopes = []string{"read"}
	}
	return all
}

// grants: only fosite has other grants.
func grants(c authserver.Client) bool { return c.Grant != "" }

// oidcClients are those besides that only oidc-provider has.
func oidcClients() []authserver.Client {
	scopes := []string{"read"}
	return []authserver.Client{
		{ID: "jwt", Method: "client_secret_jwt", Secret: text, Scopes: scopes},
		{
			ID: "dpop", Method: "client_secret_basic", Secret: text, Scopes: scopes,
			Metadata: map[string]any{"dpop_bound_access_tokens": true},
		},
		{
			ID: "dpop-nonce", Method: "client_secret_basic", Secret: text, Scopes: scopes,
			Metadata: map[string]any{"dpop_bound_access_tokens": true},
		},
		{
			ID: "bound", Method: "client_secret_basic", Secret: text, Scopes: scopes,
			Metadata: map[string]any{"tls_client_certificate_bound_access_tokens": true},
		},
	}
}

func startServers(t *testing.T, s *site, k theSecrets) servers {
	t.Helper()
	fosite := authserver.New(t, k.clients()...)
	byGo := httptest.NewUnstartedServer(fosite)
	pool := x509.NewCertPool()
	for _, i := range []*identity{k.ca, k.self, k.notMine} {
		pool.AddCert(i.cert)
	}
	byGo.TLS = &tls.Config{ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: pool}
	byGo.Config.ErrorLog = log.New(io.Discard, "", 0)
	byGo.StartTLS()
	t.Cleanup(byGo.Close)
	fosite.At(byGo.URL + "/token")
	goCA := s.write("go.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: byGo.Certificate().Raw})))

	identity := newIdentity(t, "127.0.0.1", nil)
	nodeCA := s.write("node.pem", identity.certPEM())
	issuer := authserver.OIDCProvider(
		t,
		identity.pem(t),
		k.ca.certPEM(),
		append(slices.DeleteFunc(k.clients(), grants), oidcClients()...)...)
	found := func(how, at string) string { return fmt.Sprintf("%s: %q", how, at) }
	trusting := func(file string) string { return fmt.Sprintf(", tls: {ca_file: %q}", file) }
	return servers{
		fosite:    found("token_url", byGo.URL+"/token") + trusting(goCA),
		oidc:      found("issuer", issuer) + trusting(nodeCA),
		oidcPlain: found("token_url", issuer+"/token") + ", " + found("issuer", issuer) + trusting(nodeCA),
		zitadel:   found("issuer", authserver.Zitadel(t, map[string]string{"post": text, "basic": text, "plus": plusText})),
		node:      found("token_url", authserver.NodeOAuth(t, map[string]string{"post": text, "raw": text})),
		gooauth2:  found("token_url", authserver.Undecoding(t, "raw", text)),
	}
}

// trials are every method at every server that has it.
func (at servers) trials(t *testing.T, k theSecrets) []trial {
	t.Helper()
	var all []trial
	for server, at := range map[string]string{"fosite": at.fosite, "oidc": at.oidc} {
		all = append(
			all,
			trial{account{server + "-post", "post", "client_secret_post", at}, text, otherText},
			trial{account{server + "-basic", "basic", "client_secret_basic", at}, text, otherText},
			trial{account{server + "-key", "key", "private_key_jwt", at}, pkcs1(k.key), pkcs1(k.otherKey)},
			trial{account{server + "-jwk", "jwk", "private_key_jwt", at}, jwk(t, k.key), jwk(t, k.otherKey)},
			trial{account{server + "-ca", "ca", "tls_client_auth", at}, k.issued.pem(t), k.stranger.pem(t)},
			trial{account{server + "-self", "self", "self_signed_tls_client_auth", at}, k.self.pem(t), k.notMine.pem(t)},
		)
	}
	return append(
		all,
		trial{account{"oidc-jwt", "jwt", "client_secret_jwt", at.oidc}, text, otherText},
		trial{account{"oidc-dpop", "dpop", "client_secret_basic, dpop: true", at.oidc}, text, otherText},
		trial{account{"oidc-dpop-nonce", "dpop-nonce", "client_secret_basic, dpop: true", at.oidc}, text, otherText},
		trial{account{"fosite-grant", "svc@example.com", bearerGrant, at.fosite}, pkcs1(k.key), pkcs1(k.otherKey)},
		trial{account{"fosite-account", "svc@example.com", bearerGrant, at.fosite}, accountFile(t, k.key), accountFile(t, k.otherKey)},
		trial{account{"fosite-password", "public", passwordGrant, at.fosite}, text, otherText},
		trial{account{"fosite-two-secrets", "confidential", twoSecrets, at.fosite}, text, otherText},
		trial{account{"zitadel-post", "post", "client_secret_post", at.zitadel}, text, otherText},
		trial{account{"zitadel-basic", "basic", "client_secret_basic", at.zitadel}, text, otherText},
		trial{account{"node-post", "post", "client_secret_post", at.node}, text, otherText},
		trial{account{"node-raw", "raw", "client_secret_basic_raw", at.node}, text, otherText},
		trial{account{"gooauth2-raw", "raw", "client_secret_basic_raw", at.gooauth2}, text, otherText},
	)
}

func (at servers) oddities(t *testing.T, k theSecrets) []oddity {
	t.Helper()
	const (
		ours, refused = "misconfigured", "rejected"
		encoded       = "the id or the secret has characters that client_secret_basic encodes"
		decoded       = "the id or the secret has characters that client_secret_basic_raw does not encode"
		unlisted      = "metadata does not list private_key_jwt"
		unasked       = "address for mutual TLS: the provider's metadata names https://127.0.0.1:"
	)
	certificate, key := k.issued.pem(t), pkcs1(k.key)
	return []oddity{
		{account{"gooauth2-encoded", "raw", "client_secret_basic", at.gooauth2}, text, refused, encoded},
		{account{"node-encoded", "raw", "client_secret_basic", at.node}, text, refused, encoded},
		{account{"zitadel-plus", "plus", "client_secret_basic_raw", at.zitadel}, plusText, refused, decoded},
		{account{"zitadel-unencoded", "basic", "client_secret_basic_raw", at.zitadel}, text, ours, ""},
		{account{"oidc-unencoded", "basic", "client_secret_basic_raw", at.oidc}, text, ours, ""},
		{account{"oidc-no-dpop", "dpop", "client_secret_basic", at.oidc}, text, ours, "a proof of possession"},
		{account{"fosite-nobody", "nobody@example.com", bearerGrant, at.fosite}, key, refused, ""},
		{account{"oidc-bound", "bound", "client_secret_basic", at.oidc}, text, ours, "a certificate"},
		{account{"oidc-unasked", "ca", "tls_client_auth", at.oidcPlain}, certificate, ours, unasked},
		{account{"node-unasked", "post", "tls_client_auth", at.node}, certificate, ours, ""},
		{account{"node-unread", "post", "private_key_jwt", at.node}, key, ours, ""},
		{account{"zitadel-unlisted", "post", "private_key_jwt", at.zitadel}, key, ours, unlisted},
		{account{"fosite-unknown", "nobody", "client_secret_post", at.fosite}, otherText, refused, ""},
		{account{"oidc-unknown", "nobody", "client_secret_post", at.oidc}, otherText, refused, ""},
		{account{"zitadel-unknown", "nobody", "client_secret_post", at.zitadel}, otherText, refused, ""},
		{account{"node-unknown", "nobody", "client_secret_post", at.node}, otherText, refused, ""},
		{account{"gooauth2-unknown", "nobody", "client_secret_basic_raw", at.gooauth2}, otherText, "provider_error", ""}, // it answers 500
	}
}

// provider is the account's line in the configuration.
func (a account) provider() string {
	more := ""
	switch a.method {
	case "private_key_jwt":
		more = `, assertion: {key_id: "2026-01"}`
	case bearerGrant: // fosite wants a subject
		more = fmt.Sprintf(`, assertion: {key_id: "2026-01", subject: %q, lifetime: 45s}`, a.client)
	}
	return fmt.Sprintf("  %s: {%s, auth_method: %s, request_scopes: true, allow_private_networks: true, rate: 100/s%s}\n",
		a.name, a.at, a.method, more)
}

// wanted is what a credential's result should be.
type wanted struct{ outcome, says string }

// Every method works from the configuration file with every kind of reference, at authorization servers that nobody
// here wrote: the right secret gets a token, another one is refused, and what keyrounds does wrong is not the credential's
// fault (docs/providers.md).
func TestEveryMethodAndReference(t *testing.T) {
	t.Parallel()
	s, k := newSite(t, 0), newSecrets(t)
	at := startServers(t, s, k)
	s.env = []string{"CREDENTIALS_DIRECTORY=" + s.dir, "SVC_PASSWORD=" + text}
	want := map[string]wanted{}
	var providers, credentials strings.Builder
	add := func(name string, a account, ref string, w wanted) {
		want[name] = w
		fmt.Fprintf(&credentials, "  - {name: %s, provider: %s, client_id: %s, secret: %q, scopes: [read]}\n", name, a.name, a.client, ref)
	}
	var sealed []map[string]any
	for _, m := range at.trials(t, k) {
		providers.WriteString(m.provider())
		for _, which := range []struct{ name, value, outcome string }{{"right", m.right, "ok"}, {"wrong", m.wrong, "rejected"}} {
			w := wanted{outcome: which.outcome}
			id := m.name + "-" + which.name
			file := s.write(id, which.value)
			variable := strings.ToUpper(strings.ReplaceAll(id, "-", "_"))
			s.env = append(s.env, variable+"="+strings.ReplaceAll(which.value, "\n", `\n`))
			for scheme, ref := range map[string]string{
				"file": "file:" + file, "env": "env:" + variable, "exec": "exec:cat " + file, "systemd": "systemd:" + id,
			} {
				add(id+"-"+scheme, m.account, ref, w)
			}
			name := id + "-sealed"
			want[name] = w
			sealed = append(sealed, map[string]any{
				"name": name, "provider": m.name, "client_id": m.client, "scopes": []string{"read"}, "client_secret": which.value,
			})
		}
	}
	for _, o := range at.oddities(t, k) {
		providers.WriteString(o.provider())
		add(o.name, o.account, "file:"+s.write(o.name, o.secret), wanted{o.outcome, o.says})
	}
	add("fosite-directory", account{name: "fosite-ca", client: "ca"}, "file:"+s.pairDirectory(k.issued), wanted{outcome: "ok"})
	add("oidc-directory", account{name: "oidc-ca", client: "ca"}, "file:"+s.pairDirectory(k.stranger), wanted{outcome: "rejected"})
	credentials.WriteString(s.locked(k, want))
	s.write("keyrounds.yaml", fmt.Sprintf(
		"data_dir: %s/data\ndatabase: {url: %q}\nverdict: {refusals_per_hour: 0}\nproviders:\n%scredentials:\n%s",
		s.dir, pgtest.EmptyURL(t), &providers, &credentials,
	))
	s.seal(sealed)
	s.checkAll(want)
}

// pairDirectory is a directory as cert-manager lays it out: the names are links into another one, which is exchanged as a whole.
func (s *site) pairDirectory(i *identity) string {
	s.t.Helper()
	dir := s.t.TempDir()
	data := filepath.Join(dir, "..2026_11_28")
	whole, cert := i.pem(s.t), i.certPEM()
	err := os.Mkdir(data, 0o700)
	for name, text := range map[string]string{"tls.crt": cert, "tls.key": strings.Replace(whole, cert, "", 1), "ca.crt": "not read"} {
		err = errors.Join(
			err, os.WriteFile(filepath.Join(data, name), []byte(text), 0o600),
			os.Symlink(filepath.Join("..data", name), filepath.Join(dir, name)),
		)
	}
	if err = errors.Join(err, os.Symlink("..2026_11_28", filepath.Join(dir, "..data"))); err != nil {
		s.t.Fatal(err)
	}
	return dir
}

// locked are credentials whose keys OpenSSL encrypted, with their passphrase and with another one.
func (s *site) locked(k theSecrets, want map[string]wanted) string {
	s.t.Helper()
	key, pair := s.write("unlocked-key", pkcs1(k.key)), s.write("unlocked-pair", k.issued.pem(s.t))
	right, wrong := s.write("passphrase", "c4n4ry passphrase"), s.write("no-passphrase", "c4n4ry another")
	var lines strings.Builder
	for name, args := range map[string][]string{
		"key": {"pkcs8", "-topk8", "-in", key, "-passout", "file:" + right},
		"ca":  {"pkcs12", "-export", "-in", pair, "-passout", "file:" + right},
	} {
		file := s.write("locked-"+name, "")
		if out, err := exec.Command("openssl", append(args, "-out", file)...).CombinedOutput(); err != nil {
			s.t.Fatalf("openssl %v: %v: %s", args, err, out)
		}
		for server, w := range map[string]wanted{"fosite": {outcome: "ok"}, "oidc": {"misconfigured", "passphrase does not open"}} {
			phrase := map[string]string{"ok": right, "misconfigured": wrong}[w.outcome]
			id := server + "-" + name + "-locked"
			want[id] = w
			fmt.Fprintf(
				&lines,
				"  - {name: %s, provider: %s-%s, client_id: %s, secret: \"file:%s\", key_passphrase: \"file:%s\", scopes: [read]}\n",
				id,
				server,
				name,
				name,
				file,
				phrase,
			)
		}
	}
	return lines.String()
}

// seal registers credentials: the first of each client by credentials add, the others by one credentials import.
func (s *site) seal(rows []map[string]any) {
	s.t.Helper()
	var others []map[string]any
	seen := map[any]bool{}
	for _, row := range rows {
		if seen[row["client_id"]] {
			others = append(others, row)
			continue
		}
		seen[row["client_id"]] = true
		s.input(row["client_secret"].(string), "credentials", "add", row["name"].(string),
			"--provider", row["provider"].(string), "--client-id", row["client_id"].(string), "--scopes", "read", "--no-check")
	}
	list, err := json.Marshal(others)
	if err != nil {
		s.t.Fatal(err)
	}
	s.input(string(list), "credentials", "import", "--no-check", "--format", "json", "-")
}

// input runs a command that must succeed, with a text on its standard input.
func (s *site) input(stdin string, args ...string) {
	s.t.Helper()
	cmd := exec.Command("keyrounds", append([]string{"-c", s.config()}, args...)...)
	cmd.Env = append(cmd.Environ(), s.env...)
	cmd.Stdin = strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("%s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// checkAll runs one check of everything.
func (s *site) checkAll(want map[string]wanted) {
	s.t.Helper()
	out, _ := s.command("check", "-o", "json")
	if strings.Contains(out, "c4n4ry") || strings.Contains(out, "PRIVATE KEY") {
		s.t.Error("a secret is shown")
	}
	var results []struct{ Credential, Outcome, Reason, Message string }
	if err := json.Unmarshal([]byte(out[strings.Index(out, "["):]), &results); err != nil {
		s.t.Fatalf("%v: %s", err, out)
	}
	missing := maps.Clone(want)
	for _, r := range results {
		delete(missing, r.Credential)
		w := want[r.Credential]
		if r.Outcome != w.outcome || !strings.Contains(r.Message, w.says) {
			s.t.Errorf("%s is %s %s: %s; want %s: %s", r.Credential, r.Outcome, r.Reason, r.Message, w.outcome, w.says)
		}
		if r.Outcome == "rejected" && r.Reason != "unspecified" { // none of these servers says why
			s.t.Errorf("%s is rejected for the reason %s: %s", r.Credential, r.Reason, r.Message)
		}
	}
	for name := range missing {
		s.t.Errorf("%s was not checked", name)
	}
}
