// Package authserver has real authorization servers for the tests (ory/fosite, go-oauth2/oauth2, the op of zitadel/oidc;
// oidc-provider and @node-oauth/oauth2-server of npm): they know nothing of keyrounds and judge our requests as others would.
// Each runs as a process, because it is a module of its own, in the directory of its name.
package authserver

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/keyrounds/keyrounds/test/lasting"
)

// Client is a registered client. It may authenticate by its Method only, but oidc-provider takes a secret by Basic and Post alike.
type Client struct {
	ID, Secret string
	Method     string // client_secret_post, client_secret_basic, tls_client_auth, …
	Grant      string // of New: client_credentials (default), jwt-bearer by its URN, or password, of the user svc
	Scopes     []string
	Key        *jose.JSONWebKey // public, with its algorithm, for private_key_jwt
	// What the certificate of tls_client_auth has as subject (RFC 8705 §2.1.2), or, in DER, which one
	// self_signed_tls_client_auth shows (§2.2).
	SubjectDN   string
	Certificate []byte
	Metadata    map[string]any // more of RFC 7591, for OIDCProvider
}

// Server is the token endpoint, at every path. It is safe for concurrent use, and ends with the test.
type Server struct {
	t     testing.TB
	proxy *httputil.ReverseProxy

	mu      sync.Mutex
	orders  io.Writer
	answers *bufio.Reader
}

// New starts a Server that knows the clients.
func New(t testing.TB, clients ...Client) *Server {
	t.Helper()
	s := start(t, "fosite")
	target, err := url.Parse(s.answer())
	if err != nil {
		t.Fatal(err)
	}
	s.proxy = &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		showCertificate(r)
	}}
	for _, c := range clients {
		s.order(map[string]Client{"Register": c})
	}
	return s
}

// start runs the program of a module, which prints where it is and ends with its standard input.
func start(t testing.TB, module string, args ...string) *Server {
	t.Helper()
	lasting.Test(t, "it builds and runs an authorization server")
	command, err := build(module)
	if err != nil {
		t.Fatalf("authorization server %s: %v", module, err)
	}
	cmd := exec.CommandContext(t.Context(), command[0], append(command[1:], args...)...)
	cmd.Stderr = os.Stderr
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	return &Server{t: t, orders: in, answers: bufio.NewReader(out)}
}

var built sync.Map // a sync.OnceValues by module

// build makes the program of a module in bin/, once for all tests of a process, and returns how to call it; several
// processes may be at it together.
func build(module string) ([]string, error) {
	once, _ := built.LoadOrStore(module, sync.OnceValues(func() ([]string, error) {
		_, here, _, _ := runtime.Caller(0)
		dir := filepath.Join(filepath.Dir(here), module)
		bin := filepath.Join(dir, "..", "..", "..", "bin")
		if _, err := os.Stat(filepath.Join(dir, "package.json")); err == nil {
			return install(dir, filepath.Join(bin, "npm"))
		}
		program := filepath.Join(bin, module)
		mine := program + "-" + strconv.Itoa(os.Getpid())
		cmd := exec.Command("go", "build", "-o", mine, ".")
		cmd.Dir, cmd.Stderr = dir, os.Stderr
		if err := cmd.Run(); err != nil {
			return nil, err
		}
		return []string{program}, os.Rename(mine, program)
	}))
	return once.(func() ([]string, error))()
}

func showCertificate(r *httputil.ProxyRequest) {
	r.Out.Header.Del("Client-Cert")
	r.Out.Header.Del("Client-Cert-Verified")
	if r.In.TLS == nil || len(r.In.TLS.PeerCertificates) == 0 {
		return
	}
	r.Out.Header.Set("Client-Cert", base64.StdEncoding.EncodeToString(r.In.TLS.PeerCertificates[0].Raw))
	if len(r.In.TLS.VerifiedChains) > 0 {
		r.Out.Header.Set("Client-Cert-Verified", "1")
	}
}

// At says where it is served, which assertions must name as their audience.
func (s *Server) At(tokenURL string) { s.order(map[string]string{"TokenURL": tokenURL}) }

// Revoke deletes a client.
func (s *Server) Revoke(id string) { s.order(map[string]string{"Revoke": id}) }

func (s *Server) order(order any) {
	s.t.Helper()
	line, err := json.Marshal(order)
	if err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.orders.Write(append(line, '\n')); err != nil {
		s.t.Fatal(err)
	}
	s.answer()
}

func (s *Server) answer() string {
	s.t.Helper()
	line, err := s.answers.ReadString('\n')
	if err != nil {
		s.t.Fatal("the authorization server ended: ", err)
	}
	return strings.TrimSpace(line)
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.proxy.ServeHTTP(w, r) }
