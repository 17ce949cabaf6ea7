package vault

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/secret"
)

const canary = "c4n4ry-s3cret/+&=\"x"

const rootToken = "c4n4ry-root-t0ken"

// Each test runs against a stand-in that is made from the documentation of the API, and against the bao or vault of PATH, or
// that KEYROUNDS_TEST_VAULT names, where there is one.
func each(t *testing.T, test func(t *testing.T, s *server)) {
	t.Helper()
	t.Run("stand-in", func(t *testing.T) {
		t.Parallel()
		h := httptest.NewServer(newStandIn())
		t.Cleanup(h.Close)
		test(t, &server{t, h.URL})
	})
	t.Run("real", func(t *testing.T) {
		t.Parallel()
		test(t, &server{t, startReal(t)})
	})
}

// startReal runs a development server, which keeps all in memory.
func startReal(t *testing.T) (address string) {
	t.Helper()
	program := os.Getenv("KEYROUNDS_TEST_VAULT")
	for _, name := range []string{"bao", "vault"} {
		if found, err := exec.LookPath(name); program == "" && err == nil {
			program = found
		}
	}
	if program == "" {
		t.Skip("neither bao nor vault is in PATH")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = l.Addr().String()
	l.Close()
	cmd := exec.Command(program, "server", "-dev", "-dev-no-store-token", "-dev-root-token-id="+rootToken, "-dev-listen-address="+address)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		resp, err := http.Get("http://" + address + "/v1/sys/health")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return "http://" + address
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not answer: %v", program, err)
		}
	}
}

type server struct {
	*testing.T
	address string
}

// admin asks as root, and returns data of the answer.
func (s *server) admin(method, path string, body any) map[string]any {
	s.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		s.Fatal(err)
	}
	r, err := http.NewRequestWithContext(s.Context(), method, s.address+"/v1/"+path, bytes.NewReader(b))
	if err != nil {
		s.Fatal(err)
	}
	r.Header.Set("X-Vault-Token", rootToken)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		s.Fatal(err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	if resp.StatusCode >= 300 {
		s.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, text)
	}
	var answer struct{ Data map[string]any }
	_ = json.Unmarshal(text, &answer)
	return answer.Data
}

type object = map[string]any

// fill puts secrets there, and who may read them.
func (s *server) fill() {
	s.Helper()
	s.admin("POST", "secret/data/ats", object{"data": object{"value": canary, "number": 7, "a b": "c4n4ry-2"}})
	s.admin("POST", "secret/data/deep/in/here", object{"data": object{"value": canary}})
	s.admin("POST", "secret/data/odd%20name%23x", object{"data": object{"value": canary}})
	s.admin("POST", "secret/data/gone", object{"data": object{"value": canary}})
	s.admin("DELETE", "secret/data/gone", nil)
	s.admin("POST", "sys/mounts/team/kv", object{"type": "kv", "options": object{"version": "2"}})
	for try := 0; ; try++ { // a new engine of version 2 is made ready after it is mounted
		if s.tryPut("team/kv/data/ats") || try == 100 {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	s.admin("PUT", "sys/policies/acl/reader", object{"policy": `path "secret/data/*" { capabilities = ["read"] }`})
}

func (s *server) tryPut(path string) bool {
	body := strings.NewReader(`{"data": {"value": "c4n4ry-team"}}`)
	r, err := http.NewRequestWithContext(s.Context(), "POST", s.address+"/v1/"+path, body)
	if err != nil {
		s.Fatal(err)
	}
	r.Header.Set("X-Vault-Token", rootToken)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		s.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

func (s *server) approle() AppRole {
	s.Helper()
	s.admin("POST", "sys/auth/approle", object{"type": "approle"})
	s.admin("POST", "auth/approle/role/kr", object{"token_policies": "reader", "token_ttl": "1h"})
	id := s.admin("GET", "auth/approle/role/kr/role-id", nil)["role_id"].(string)
	secretID := s.admin("POST", "auth/approle/role/kr/secret-id", nil)["secret_id"].(string)
	return AppRole{RoleID: id, SecretID: s.file("secret-id", secretID)}
}

func (s *server) file(name, text string) secret.Reference {
	s.Helper()
	path := filepath.Join(s.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.Fatal(err)
	}
	ref, err := secret.ParseReference("file:" + path)
	if err != nil {
		s.Fatal(err)
	}
	return ref
}

func (s *server) client(settings Settings) *Client {
	s.Helper()
	settings.Address = s.address
	c, err := New(settings, time.Now)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(c.Close)
	return c
}

func read(t *testing.T, c *Client, mount, path, field string) string {
	t.Helper()
	b, err := c.Read(t.Context(), secret.VaultPlace{Mount: mount, Path: path, Field: field})
	if err != nil {
		t.Errorf("%s/%s#%s: %v", mount, path, field, err)
	}
	return string(b)
}

func TestRead(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *server) {
		s.fill()
		c := s.client(Settings{Token: s.file("token", rootToken+"\n")})
		for place, want := range map[secret.VaultPlace]string{
			{Mount: "secret", Path: "ats", Field: "value"}:          canary,
			{Mount: "secret", Path: "ats", Field: "a b"}:            "c4n4ry-2",
			{Mount: "secret", Path: "deep/in/here", Field: "value"}: canary,
			{Mount: "secret", Path: "odd name#x", Field: "value"}:   canary,
			{Mount: "team/kv", Path: "ats", Field: "value"}:         "c4n4ry-team",
		} {
			if got := read(t, c, place.Mount, place.Path, place.Field); got != want {
				t.Errorf("%v: another value", place)
			}
		}
		for place, want := range map[secret.VaultPlace]string{
			{Mount: "secret", Path: "none", Field: "value"}:  "no such secret",
			{Mount: "secret", Path: "gone", Field: "value"}:  "its last version is deleted",
			{Mount: "secret", Path: "ats", Field: "none"}:    `no field "none"`,
			{Mount: "secret", Path: "ats", Field: "number"}:  `"number" of the secret at ` + s.address + " is no text",
			{Mount: "nowhere", Path: "ats", Field: "value"}:  "no such secret",
			{Mount: "cubbyhole", Path: "at", Field: "value"}: "no such secret",
		} {
			_, err := c.Read(t.Context(), place)
			if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "c4n4ry") {
				t.Errorf("%v: %v", place, err)
			}
		}
		wrong := s.client(Settings{Token: s.file("token", "c4n4ry-wrong-token")})
		_, err := wrong.Read(t.Context(), secret.VaultPlace{Mount: "secret", Path: "ats", Field: "value"})
		if err == nil || !strings.Contains(err.Error(), "answers 403 Forbidden") || strings.Contains(err.Error(), "c4n4ry") {
			t.Errorf("with a wrong token: %v", err)
		}
		none := s.client(Settings{})
		if _, err := none.Read(t.Context(), secret.VaultPlace{Mount: "secret", Path: "ats", Field: "value"}); err == nil ||
			!strings.Contains(err.Error(), "set VAULT_TOKEN") {
			t.Errorf("without a token: %v", err)
		}
	})
}

// A sign-in is kept as long as its token is good, and made again when it is refused, once.
func TestAppRole(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *server) {
		s.fill()
		role := s.approle()
		c := s.client(Settings{AppRole: role})
		if read(t, c, "secret", "ats", "value") != canary {
			t.Error("another value")
		}
		first := c.token.Reveal()
		if read(t, c, "secret", "ats", "value"); c.token.Reveal() != first {
			t.Error("it signed in again, though its token is good")
		}
		s.admin("POST", "auth/token/revoke", object{"token": first})
		if read(t, c, "secret", "ats", "value") != canary || c.token.Reveal() == first {
			t.Error("it did not sign in again")
		}
		_, err := c.Read(t.Context(), secret.VaultPlace{Mount: "team/kv", Path: "ats", Field: "value"})
		if err == nil || !strings.Contains(err.Error(), "403 Forbidden") {
			t.Errorf("what the role may not read: %v", err)
		}
		c.now = func() time.Time { return time.Now().Add(55 * time.Minute) } // of an hour
		second := c.token.Reveal()
		if read(t, c, "secret", "ats", "value"); c.token.Reveal() == second {
			t.Error("it did not sign in again before its token ended")
		}
		role.SecretID = s.file("wrong", "c4n4ry-wrong-secret-id")
		_, err = s.client(Settings{AppRole: role}).Read(t.Context(), secret.VaultPlace{Mount: "secret", Path: "ats", Field: "value"})
		if err == nil || !strings.Contains(err.Error(), "to sign in at Vault: POST "+s.address+"/v1/auth/approle/login answers 400") ||
			strings.Contains(err.Error(), "c4n4ry") {
			t.Errorf("with a wrong secret id: %v", err)
		}
	})
}

// The token of the service account is shown to Vault, which asks Kubernetes whose it is; here a stand-in for that.
func TestKubernetes(t *testing.T) {
	t.Parallel()
	claims, err := json.Marshal(object{
		"iss": "kubernetes/serviceaccount", "sub": "system:serviceaccount:mon:keyrounds", "aud": []string{"vault"},
		"nbf": 1_700_000_000, "iat": 1_700_000_000, "exp": 4_102_444_800,
		"kubernetes.io/serviceaccount/namespace": "mon", "kubernetes.io/serviceaccount/service-account.name": "keyrounds",
		"kubernetes.io/serviceaccount/service-account.uid": "u1",
	})
	if err != nil {
		t.Fatal(err)
	}
	// Only the reviewer looks at the signature.
	account := "eyJhbGciOiJSUzI1NiJ9." + base64.RawURLEncoding.EncodeToString(claims) + ".c2ln"
	each(t, func(t *testing.T, s *server) {
		s.fill()
		reviewer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var review struct{ Spec struct{ Token string } }
			_ = json.NewDecoder(r.Body).Decode(&review)
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(object{
				"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
				"status": object{
					"authenticated": review.Spec.Token == account, "audiences": []string{"vault"},
					"user": object{"username": "system:serviceaccount:mon:keyrounds", "uid": "u1"},
				},
			})
		}))
		t.Cleanup(reviewer.Close)
		s.admin("POST", "sys/auth/k8s", object{"type": "kubernetes"})
		some := httptest.NewTLSServer(nil) // for its certificate, which Vault wants to have
		some.Close()
		ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: some.Certificate().Raw})
		s.admin("POST", "auth/k8s/config", object{
			"kubernetes_host": reviewer.URL, "kubernetes_ca_cert": string(ca), "token_reviewer_jwt": account, "disable_local_ca_jwt": true,
		})
		s.admin("POST", "auth/k8s/role/kr", object{
			"bound_service_account_names": "keyrounds", "bound_service_account_namespaces": "mon", "audience": "vault",
			"token_policies": "reader",
		})
		path := strings.TrimPrefix(s.file("account", account).String(), "file:")
		c := s.client(Settings{Kubernetes: Kubernetes{Role: "kr", Mount: "k8s", TokenFile: path}})
		if read(t, c, "secret", "ats", "value") != canary {
			t.Error("another value")
		}
		c = s.client(Settings{Kubernetes: Kubernetes{Role: "other", Mount: "k8s", TokenFile: path}})
		_, err := c.Read(t.Context(), secret.VaultPlace{Mount: "secret", Path: "ats", Field: "value"})
		if err == nil || strings.Contains(err.Error(), account) {
			t.Errorf("with a wrong role: %v", err)
		}
	})
}

// A namespace is asked in each request, and in the sign-in.
func TestNamespace(t *testing.T) {
	t.Parallel()
	var seen []string
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Header.Get("X-Vault-Namespace")+" "+r.URL.Path)
		fmt.Fprint(w, `{"auth": {"client_token": "t"}, "data": {"data": {"value": "x"}}}`)
	}))
	t.Cleanup(h.Close)
	s := &server{t, h.URL}
	c := s.client(Settings{Namespace: "team-a", AppRole: AppRole{RoleID: "r", SecretID: s.file("id", "x"), Mount: "roles"}})
	read(t, c, "secret", "ats", "value")
	if got := strings.Join(seen, ", "); got != "team-a /v1/auth/roles/login, team-a /v1/secret/data/ats" {
		t.Error(got)
	}
}

// What an answer repeats of a token is in no error; a redirect is not followed, and no answer is too large.
func TestHostileAnswers(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the redirect is followed, with the token %q", r.Header.Get("X-Vault-Token"))
	}))
	t.Cleanup(elsewhere.Close)
	for name, answer := range map[string]http.HandlerFunc{
		"repeats": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			_ = json.NewEncoder(w).Encode(object{"errors": []string{"bad token " + r.Header.Get("X-Vault-Token") + "\x1b[31m"}})
		},
		"redirects": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		},
		"endless": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.Copy(w, io.LimitReader(neverEnds{}, 100<<20))
		},
		"no JSON": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "c4n4ry") },
	} {
		h := httptest.NewServer(answer)
		t.Cleanup(h.Close)
		s := &server{t, h.URL}
		c := s.client(Settings{Token: s.file("token", rootToken)})
		_, err := c.Read(t.Context(), secret.VaultPlace{Mount: "secret", Path: "ats", Field: "value"})
		if err == nil || strings.Contains(err.Error(), "c4n4ry") || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

type neverEnds struct{}

func (neverEnds) Read(p []byte) (int, error) { return copy(p, bytes.Repeat([]byte(" "), len(p))), nil }

func TestAddress(t *testing.T) {
	t.Parallel()
	for _, good := range []Settings{
		{Address: "https://vault.example.com:8200"},
		{Address: "http://127.0.0.1:8200/"},
		{Address: "http://[::1]:8200"},
		{Address: "http://localhost:8200"},
		{Address: "http://10.0.0.7:8200", AllowHTTP: true},
	} {
		if _, err := New(good, time.Now); err != nil {
			t.Errorf("%s: %v", good.Address, err)
		}
	}
	for _, bad := range []string{
		"vault.example.com", "http://10.0.0.7:8200", "https://user:c4n4ry@vault", "ftp://vault", "https://v/?x=c4n4ry",
	} {
		if _, err := New(Settings{Address: bad}, time.Now); err == nil || strings.Contains(err.Error(), "c4n4ry") {
			t.Errorf("%s: %v", bad, err)
		}
	}
	c, err := New(Settings{Address: "http://169.254.169.254", AllowHTTP: true, Token: (&server{T: t}).file("t", rootToken)}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Read(t.Context(), secret.VaultPlace{Mount: "m", Path: "p", Field: "f"})
	if err == nil || !strings.Contains(err.Error(), "metadata") {
		t.Errorf("a metadata service: %v", err)
	}
}

// standIn answers as the documentation of Vault's and OpenBao's API says: /api-docs/secret/kv/kv-v2, /api-docs/auth/approle,
// /api-docs/auth/kubernetes, /api-docs/secret/transit.
type standIn struct {
	mu      sync.Mutex
	tokens  map[string]string         // token: what it may read, as a prefix
	secrets map[string]map[string]any // path with data/: fields; nil: deleted
	secret  string                    // id of the role kr
	review  func(context.Context, string) bool
	next    int
	sealed  map[string][2]any // ciphertext of transit: plaintext and associated data
}

func newStandIn() *standIn {
	return &standIn{tokens: map[string]string{rootToken: ""}, secrets: map[string]map[string]any{}, sealed: map[string][2]any{}}
}

func (v *standIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	path := strings.TrimPrefix(r.URL.Path, "/v1/")
	var in object
	_ = json.NewDecoder(r.Body).Decode(&in)
	answer := func(status int, body object) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body)
	}
	refuse := func(status int, why ...string) { answer(status, object{"errors": append([]string{}, why...)}) }
	signIn := func() {
		v.next++
		token := fmt.Sprint("c4n4ry-token-", v.next)
		v.tokens[token] = "secret/data/"
		answer(http.StatusOK, object{"auth": object{"client_token": token, "lease_duration": 3600, "renewable": true}})
	}
	if r.Header.Get("X-Vault-Request") != "true" && r.Header.Get("X-Vault-Token") != rootToken {
		refuse(http.StatusPreconditionFailed, "missing 'X-Vault-Request' header")
		return
	}
	switch path {
	case "auth/approle/login":
		if r.Method != http.MethodPost || in["role_id"] != "role-1" || in["secret_id"] != v.secret {
			refuse(http.StatusBadRequest, "invalid role or secret ID")
			return
		}
		signIn()
		return
	case "auth/k8s/login":
		if token, _ := in["jwt"].(string); in["role"] != "kr" || v.review == nil || !v.review(r.Context(), token) {
			refuse(http.StatusForbidden, "permission denied")
			return
		}
		signIn()
		return
	}
	may, known := v.tokens[r.Header.Get("X-Vault-Token")]
	if !known || !strings.HasPrefix(path, may) {
		refuse(http.StatusForbidden, "permission denied")
		return
	}
	mount, _, isKV := strings.Cut(path, "/data/")
	switch {
	case path == "auth/token/revoke":
		maps.DeleteFunc(v.tokens, func(token, _ string) bool { return token == in["token"] })
		w.WriteHeader(http.StatusNoContent)
	case path == "auth/approle/role/kr/role-id":
		answer(http.StatusOK, object{"data": object{"role_id": "role-1"}})
	case path == "auth/approle/role/kr/secret-id":
		v.secret = "c4n4ry-secret-id"
		answer(http.StatusOK, object{"data": object{"secret_id": v.secret}})
	case path == "auth/k8s/config":
		host, _ := in["kubernetes_host"].(string)
		v.review = func(ctx context.Context, token string) bool { return reviewed(ctx, host, token) }
		w.WriteHeader(http.StatusNoContent)
	case strings.HasPrefix(path, "kms/keys/"):
		answer(http.StatusOK, object{"data": object{"name": "keyrounds"}})
	case path == "kms/encrypt/keyrounds":
		v.next++
		name := fmt.Sprint("vault:v1:", v.next)
		v.sealed[name] = [2]any{in["plaintext"], in["associated_data"]}
		answer(http.StatusOK, object{"data": object{"ciphertext": name, "key_version": 1}})
	case path == "kms/decrypt/keyrounds":
		name, _ := in["ciphertext"].(string)
		sealed, there := v.sealed[name]
		if !there || sealed[1] != in["associated_data"] {
			refuse(http.StatusBadRequest, "cipher: message authentication failed")
			return
		}
		answer(http.StatusOK, object{"data": object{"plaintext": sealed[0]}})
	case strings.HasPrefix(path, "sys/") || strings.HasPrefix(path, "auth/"):
		w.WriteHeader(http.StatusNoContent)
	case !isKV || mount != "secret" && mount != "team/kv":
		refuse(http.StatusNotFound, "no handler for route "+path)
	case r.Method == http.MethodPost:
		v.secrets[path], _ = in["data"].(map[string]any)
		answer(http.StatusOK, object{"data": object{"version": 1}})
	case r.Method == http.MethodDelete:
		v.secrets[path] = nil
		w.WriteHeader(http.StatusNoContent)
	default:
		fields, there := v.secrets[path]
		metadata := object{"version": 1, "deletion_time": "", "destroyed": false}
		switch {
		case !there:
			refuse(http.StatusNotFound)
		case fields == nil:
			metadata["deletion_time"] = "2026-03-22T02:36:33.954880664Z"
			answer(http.StatusNotFound, object{"data": object{"data": nil, "metadata": metadata}})
		default:
			answer(http.StatusOK, object{"data": object{"data": fields, "metadata": metadata}})
		}
	}
}

func reviewed(ctx context.Context, host, token string) bool {
	b, _ := json.Marshal(object{"spec": object{"token": token}})
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, host+"/apis/authentication.k8s.io/v1/tokenreviews", bytes.NewReader(b))
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	var review struct{ Status struct{ Authenticated bool } }
	return json.NewDecoder(resp.Body).Decode(&review) == nil && review.Status.Authenticated
}

// The key of a transit engine encrypts the file of sealing keys; a file in clear is taken over by a rotation.
func TestTransit(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *server) {
		s.admin("POST", "sys/mounts/kms", object{"type": "transit"})
		s.admin("POST", "kms/keys/keyrounds", nil)
		kms := Transit{Client: s.client(Settings{Token: s.file("token", rootToken)}), Mount: "kms", Key: "keyrounds"}
		sealed, err := kms.EncryptWithContext(t.Context(), []byte(canary), []byte("for this"))
		if err != nil || bytes.Contains(sealed, []byte("c4n4ry")) {
			t.Fatal(err)
		}
		s.admin("POST", "kms/keys/keyrounds/rotate", nil)
		if text, err := kms.DecryptWithContext(t.Context(), sealed, []byte("for this")); err != nil || string(text) != canary {
			t.Errorf("after a rotation: %v", err)
		}
		if _, err := kms.DecryptWithContext(t.Context(), sealed, []byte("for that")); err == nil {
			t.Error("it opens for another use")
		}
		file := secret.KeyFile{Path: filepath.Join(t.TempDir(), "key")}
		if err := file.Make(t.Context()); err != nil {
			t.Fatal(err)
		}
		clear, err := file.Read(t.Context())
		if err != nil || clear.Encrypted() {
			t.Fatal(err)
		}
		file.KMS = kms
		keys, err := file.Read(t.Context())
		if err != nil || keys.Encrypted() || keys.Primary() != clear.Primary() {
			t.Fatalf("a file in clear: %v", err)
		}
		if err := file.Replace(t.Context(), keys); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(file.Path)
		if err != nil || !bytes.Contains(text, []byte("encryptedKeyset")) || bytes.Contains(text, []byte(`"value"`)) {
			t.Errorf("it is not encrypted: %v", err)
		}
		keys, err = file.Read(t.Context())
		if err != nil || !keys.Encrypted() || keys.Primary() != clear.Primary() {
			t.Fatalf("an encrypted file: %v", err)
		}
		if v, err := clear.Sealer(clear.Primary()).Seal(secret.New([]byte(canary)), "x"); err != nil {
			t.Error(err)
		} else if v, err := keys.Sealer(keys.Primary()).Open(v, "x"); err != nil || v.Reveal() != canary {
			t.Errorf("the key is another: %v", err)
		}
		_, err = secret.KeyFile{Path: file.Path}.Read(t.Context())
		if err == nil || !strings.Contains(err.Error(), "encrypted by a KMS") {
			t.Errorf("without the KMS: %v", err)
		}
		missing, err := secret.ParseReference("file:/nonexistent/c4n4ry")
		if err != nil {
			t.Fatal(err)
		}
		for what, client := range map[string]*Client{
			"a wrong token":   s.client(Settings{Token: s.file("wrong", "c4n4ry-wrong-token")}),
			"a missing token": s.client(Settings{Token: missing}),
		} {
			file.KMS = Transit{Client: client, Mount: "kms", Key: "keyrounds"}
			_, err := file.Read(t.Context())
			if err == nil || secret.Missing(err) || !strings.Contains(err.Error(), "decrypt with kms/keys/keyrounds at "+s.address) ||
				strings.Contains(err.Error(), "c4n4ry-") {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
}
