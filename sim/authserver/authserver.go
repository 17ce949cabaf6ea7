// Package authserver is a real authorization server (ory/fosite) in process, for the tests: it
// knows nothing of keyrounds and judges our requests as others would.
package authserver

import (
	"context"
	"crypto/x509"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v3"
	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/ory/fosite/storage"
	"golang.org/x/crypto/bcrypt"
)

// Client is a registered client. It may authenticate by its Method only.
type Client struct {
	ID, Secret string
	Method     string // client_secret_post, client_secret_basic, tls_client_auth, …
	Scopes     []string
	Key        *jose.JSONWebKey // public, with its algorithm, for private_key_jwt
	// What the certificate of tls_client_auth has as subject (RFC 8705 §2.1.2), or which one
	// self_signed_tls_client_auth shows (§2.2).
	SubjectDN   string
	Certificate *x509.Certificate
}

// Server is the token endpoint, at every path. It is safe for concurrent use.
type Server struct {
	mu       sync.Mutex
	clients  map[string]Client
	config   *fosite.Config
	store    *storage.MemoryStore
	provider fosite.OAuth2Provider
}

// New makes a Server that knows the clients.
func New(t testing.TB, clients ...Client) *Server {
	t.Helper()
	config := &fosite.Config{
		GlobalSecret:        []byte("32 bytes that sign opaque tokens"),
		AccessTokenLifespan: 30 * time.Minute,
		HashCost:            bcrypt.MinCost,
	}
	s := &Server{store: storage.NewMemoryStore(), config: config, clients: map[string]Client{}}
	config.ClientAuthenticationStrategy = s.authenticate
	s.provider = compose.Compose(config, s.store, compose.NewOAuth2HMACStrategy(config), compose.OAuth2ClientCredentialsGrantFactory)
	for _, c := range clients {
		hash, err := bcrypt.GenerateFromPassword([]byte(c.Secret), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		client := &fosite.DefaultOpenIDConnectClient{
			DefaultClient: &fosite.DefaultClient{
				ID:         c.ID,
				Secret:     hash,
				GrantTypes: []string{"client_credentials"},
				Scopes:     c.Scopes,
			},
			TokenEndpointAuthMethod: c.Method,
		}
		if c.Key != nil {
			client.JSONWebKeys = &jose.JSONWebKeySet{Keys: []jose.JSONWebKey{*c.Key}}
			client.TokenEndpointAuthSigningAlgorithm = c.Key.Algorithm
		}
		s.store.Clients[c.ID], s.clients[c.ID] = client, c
	}
	return s
}

// At says where it is served, which assertions must name as their audience.
func (s *Server) At(tokenURL string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.config.TokenURL = tokenURL
}

// authenticate adds mutual TLS to what fosite knows.
func (s *Server) authenticate(ctx context.Context, r *http.Request, form url.Values) (fosite.Client, error) {
	c, known := s.clients[form.Get("client_id")]
	if !known || c.Method != "tls_client_auth" && c.Method != "self_signed_tls_client_auth" {
		return s.provider.(*fosite.Fosite).DefaultClientAuthenticationStrategy(ctx, r, form)
	}
	client, err := s.store.GetClient(ctx, c.ID)
	if err != nil || r.TLS == nil || len(r.TLS.PeerCertificates) == 0 || form.Get("client_secret") != "" {
		return nil, fosite.ErrInvalidClient.WithHint("a certificate is needed")
	}
	shown := r.TLS.PeerCertificates[0]
	bySubject := c.Method == "tls_client_auth" && len(r.TLS.VerifiedChains) > 0 && shown.Subject.String() == c.SubjectDN
	bySelf := c.Method == "self_signed_tls_client_auth" && shown.Equal(c.Certificate)
	if !bySubject && !bySelf {
		return nil, fosite.ErrInvalidClient.WithHint("it is not this client's certificate")
	}
	return client, nil
}

// Revoke deletes a client.
func (s *Server) Revoke(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.store.Clients, id)
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock() // the store's map of clients has no lock of its own
	defer s.mu.Unlock()
	ctx := r.Context()
	request, err := s.provider.NewAccessRequest(ctx, r, &fosite.DefaultSession{})
	if err == nil {
		for _, scope := range request.GetRequestedScopes() {
			request.GrantScope(scope)
		}
		var response fosite.AccessResponder
		if response, err = s.provider.NewAccessResponse(ctx, request); err == nil {
			s.provider.WriteAccessResponse(ctx, w, request, response)
			return
		}
	}
	s.provider.WriteAccessError(ctx, w, request, err)
}
