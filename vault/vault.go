// Package vault reads secrets from Vault or OpenBao, by their HTTP API: key-value engines of version 2, with a token or
// by signing in with AppRole or Kubernetes.
//
// It keeps no secret that it read, and writes none. The token of a sign-in is kept in memory until it ends.
package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/keyrounds/keyrounds/outbound"
	"github.com/keyrounds/keyrounds/secret"
)

// Settings say where Vault is, and how keyrounds signs in there. The zero value is none.
type Settings struct {
	Address   string // https://host:port; http:// only to this machine, or with AllowHTTP
	Namespace string
	CAFile    string // PEM; "": the system's
	AllowHTTP bool
	// One of these, or none.
	Token      secret.Reference // read for each request
	AppRole    AppRole
	Kubernetes Kubernetes
}

// AppRole is the auth method of that name. The zero value is none.
type AppRole struct {
	RoleID   string
	SecretID secret.Reference
	Mount    string // "": approle
}

// Kubernetes is the auth method of that name. The zero value is none.
type Kubernetes struct {
	Role      string
	Mount     string // "": kubernetes
	TokenFile string // "": that of the pod's service account
}

const serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount/token"

const (
	timeout = 8 * time.Second // of a request; a check has 10 s for its secret
	maxBody = 2 << 20         // of an answer: a secret of a key-value engine has 1 MiB at most
)

// Client asks one Vault. It is safe for concurrent use.
type Client struct {
	Settings
	http *http.Client
	now  func() time.Time

	mu    sync.Mutex
	token secret.Value // of a sign-in
	ends  time.Time    // of token; zero: there is none, or it does not end
}

// New makes a Client. It asks nothing yet. An error says why the address, or the file of certificate authorities, cannot be used.
func New(s Settings, now func() time.Time) (*Client, error) {
	u, err := url.Parse(s.Address)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("not a URL such as https://vault.example.com:8200")
	case u.Scheme == "http" && !s.AllowHTTP && !thisMachine(u.Hostname()):
		return nil, errors.New("http:// would show tokens and secrets to the network: use https://, or set vault.allow_http")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("not a URL that begins with https://")
	}
	s.Address = strings.TrimRight(s.Address, "/")
	client, err := outbound.Client(outbound.Policy{
		AllowPrivate: true, // the operator names it
		TLS:          outbound.TLS{CAFile: s.CAFile},
		Timeout:      timeout,
		MaxBody:      maxBody,
	})
	if err != nil {
		return nil, fmt.Errorf("vault.ca_file: %w", err)
	}
	return &Client{Settings: s, http: client, now: now}, nil
}

// Close lets go of connections that are kept.
func (c *Client) Close() { c.http.CloseIdleConnections() }

func thisMachine(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// Read reads a field of a secret as it is now (secret.ReadVault).
func (c *Client) Read(ctx context.Context, p secret.VaultPlace) ([]byte, error) {
	var answer struct {
		Data struct {
			Data map[string]json.RawMessage `json:"data"`
		} `json:"data"`
	}
	err := c.ask(ctx, http.MethodGet, p.Mount+"/data/"+p.Path, nil, &answer)
	var refused *answerError
	switch {
	case errors.As(err, &refused) && refused.status == http.StatusNotFound:
		return nil, fmt.Errorf("there is no such secret at %s, or its last version is deleted", c.Address)
	case err != nil:
		return nil, err
	}
	var text *string
	raw, ok := answer.Data.Data[p.Field]
	switch {
	case !ok:
		return nil, fmt.Errorf("the secret at %s has no field %q", c.Address, p.Field)
	case json.Unmarshal(raw, &text) != nil || text == nil:
		return nil, fmt.Errorf("the field %q of the secret at %s is no text", p.Field, c.Address)
	}
	return []byte(*text), nil
}

// answerError is an answer that is none to what was asked.
type answerError struct {
	what    string // was asked, and of whom
	status  int
	message string // scrubbed
}

func (e *answerError) Error() string {
	text := fmt.Sprintf("%s answers %d %s", e.what, e.status, http.StatusText(e.status))
	if e.message != "" {
		text += ": " + e.message
	}
	return text
}

// ask sends a request with a token. Where one of a sign-in is refused it signs in again, once.
func (c *Client) ask(ctx context.Context, method, path string, body, into any, secrets ...secret.Value) error {
	for again := false; ; again = true {
		token, mine, err := c.signIn(ctx, again)
		if err != nil {
			return err
		}
		err = c.send(ctx, method, path, token, body, into, secrets...)
		var refused *answerError
		if again || !mine || !errors.As(err, &refused) || refused.status != http.StatusForbidden {
			return err
		}
	}
}

// signIn returns the token to ask with. mine says that it is of a sign-in, so that there can be another. anew: the one that is
// kept was refused.
func (c *Client) signIn(ctx context.Context, anew bool) (token secret.Value, mine bool, err error) {
	var path string
	in := map[string]string{}
	var proof secret.Value
	switch {
	case c.AppRole.RoleID != "":
		path = or(c.AppRole.Mount, "approle")
		in["role_id"] = c.AppRole.RoleID
	case c.Kubernetes.Role != "":
		path = or(c.Kubernetes.Mount, "kubernetes")
		in["role"] = c.Kubernetes.Role
	case c.Token.IsZero():
		return token, false, errors.New("no token for Vault: set VAULT_TOKEN, or vault.auth")
	default:
		token, err = secret.Resolve(ctx, c.Token)
		if err != nil {
			return token, false, fmt.Errorf("the token for Vault: %w", err)
		}
		return token, false, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !anew && c.token.Reveal() != "" && (c.ends.IsZero() || c.now().Before(c.ends)) {
		return c.token, true, nil
	}
	if c.AppRole.RoleID != "" {
		if proof, err = secret.Resolve(ctx, c.AppRole.SecretID); err == nil {
			in["secret_id"] = proof.Reveal()
		}
	} else {
		var ref secret.Reference
		if ref, err = secret.ParseReference(secret.SchemeFile + ":" + or(c.Kubernetes.TokenFile, serviceAccount)); err == nil {
			if proof, err = secret.Resolve(ctx, ref); err == nil {
				in["jwt"] = proof.Reveal()
			}
		}
	}
	if err != nil {
		return token, false, fmt.Errorf("to sign in at Vault: %w", err)
	}
	defer proof.Wipe()
	var answer struct {
		Auth struct {
			Token   string `json:"client_token"`
			Seconds int64  `json:"lease_duration"`
		} `json:"auth"`
	}
	if err := c.send(ctx, http.MethodPost, "auth/"+path+"/login", secret.Value{}, in, &answer, proof); err != nil {
		return token, false, fmt.Errorf("to sign in at Vault: %w", err)
	}
	if answer.Auth.Token == "" {
		return token, false, fmt.Errorf("to sign in at Vault: %s gives no token", c.Address)
	}
	c.token, c.ends = secret.New([]byte(answer.Auth.Token)), time.Time{}
	if s := answer.Auth.Seconds; s > 0 {
		c.ends = c.now().Add(time.Duration(s) * time.Second * 9 / 10)
	}
	return c.token, true, nil
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// send sends one request and reads its answer. secrets are never in an error, the token neither.
func (c *Client) send(ctx context.Context, method, path string, token secret.Value, body, into any, secrets ...secret.Value) error {
	what := fmt.Sprintf("%s %s/v1/%s", method, c.Address, escaped(path))
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		defer clear(b)
		in = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.Address+"/v1/"+escaped(path), in)
	if err != nil {
		return errors.New("vault: the path cannot be asked for")
	}
	r.Header.Set("X-Vault-Request", "true")
	if t := token.Reveal(); t != "" {
		r.Header.Set("X-Vault-Token", t)
	}
	if c.Namespace != "" {
		r.Header.Set("X-Vault-Namespace", c.Namespace)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(r)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err // which names the address again
		}
		return fmt.Errorf("%s: %w", what, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	defer clear(b)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", what, err)
	case resp.StatusCode != http.StatusOK:
		var said struct {
			Errors []string `json:"errors"`
		}
		_ = json.Unmarshal(b, &said)
		scrub := secret.NewScrubber(append(secrets, token)...)
		return &answerError{what, resp.StatusCode, scrub.Clean(strings.Join(said.Errors, "; "), 200)}
	case json.Unmarshal(b, into) != nil:
		return fmt.Errorf("%s: the answer is not what Vault answers", what)
	}
	return nil
}

// escaped is a path with its slashes, and all else of it as it must be in a URL.
func escaped(path string) string {
	parts := strings.Split(path, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return strings.Join(parts, "/")
}
