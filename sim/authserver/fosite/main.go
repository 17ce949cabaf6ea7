// Command fosite is a real authorization server (ory/fosite) for the tests: it knows nothing of keyrounds and
// judges our requests as others would. It is a module of its own, so that whoever depends on keyrounds does
// not depend on it.
//
// It prints its address, and obeys a line of JSON on standard input after another, each answered by a line
// on standard output; it ends with its standard input. Package authserver talks to it.
package main

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v3"
	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/ory/fosite/storage"
	"golang.org/x/crypto/bcrypt"
)

// client is authserver.Client.
type client struct {
	ID, Secret, Method string
	Grant              string // "": client_credentials
	Scopes             []string
	Key                *json.RawMessage // a JWK
	SubjectDN          string
	Certificate        []byte // in DER
}

// command is a line of standard input: one of its fields.
type command struct {
	Register *client
	TokenURL string
	Revoke   string
}

func main() {
	log.SetFlags(0)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	s := newServer()
	go func() { log.Fatal(http.Serve(listener, s)) }()
	fmt.Println("http://" + listener.Addr().String())
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		if err := s.obey(lines.Bytes()); err != nil {
			log.Fatal(err)
		}
		fmt.Println("done")
	}
}

type server struct {
	mu       sync.Mutex
	clients  map[string]client
	config   *fosite.Config
	store    *storage.MemoryStore
	provider fosite.OAuth2Provider
}

func newServer() *server {
	config := &fosite.Config{
		GlobalSecret:        []byte("32 bytes that sign opaque tokens"),
		AccessTokenLifespan: 30 * time.Minute,
		HashCost:            bcrypt.MinCost,
	}
	s := &server{store: storage.NewMemoryStore(), config: config, clients: map[string]client{}}
	config.ClientAuthenticationStrategy = s.authenticate
	config.GrantTypeJWTBearerCanSkipClientAuth = true
	s.provider = compose.Compose(
		config, s.store, compose.NewOAuth2HMACStrategy(config), compose.OAuth2ClientCredentialsGrantFactory,
		compose.RFC7523AssertionGrantFactory, compose.OAuth2ResourceOwnerPasswordCredentialsFactory)
	return s
}

func (s *server) obey(line []byte) error {
	var c command
	if err := json.Unmarshal(line, &c); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case c.Register != nil:
		return s.register(*c.Register)
	case c.TokenURL != "":
		s.config.TokenURL = c.TokenURL
	default:
		delete(s.store.Clients, c.Revoke)
	}
	return nil
}

func (s *server) register(c client) error {
	hash, err := bcrypt.GenerateFromPassword([]byte(c.Secret), bcrypt.MinCost)
	if err != nil {
		return err
	}
	if c.Grant == "urn:ietf:params:oauth:grant-type:jwt-bearer" { // whoever signs is no client
		var key jose.JSONWebKey
		if err := key.UnmarshalJSON(*c.Key); err != nil {
			return err
		}
		s.store.IssuerPublicKeys[c.ID] = storage.IssuerPublicKeys{Issuer: c.ID, KeysBySub: map[string]storage.SubjectPublicKeys{
			c.ID: {Subject: c.ID, Keys: map[string]storage.PublicKeyScopes{key.KeyID: {Key: &key, Scopes: c.Scopes}}},
		}}
		return nil
	}
	grants := []string{"client_credentials"}
	if c.Grant == "password" { // of a user
		grants = []string{c.Grant}
		s.store.Users["svc"] = storage.MemoryUserRelation{Username: "svc", Password: c.Secret}
	}
	registered := &fosite.DefaultOpenIDConnectClient{
		DefaultClient: &fosite.DefaultClient{
			ID:         c.ID,
			Secret:     hash,
			GrantTypes: grants,
			Public:     c.Method == "none",
			Scopes:     c.Scopes,
		},
		TokenEndpointAuthMethod: c.Method,
	}
	if c.Key != nil {
		var key jose.JSONWebKey
		if err := key.UnmarshalJSON(*c.Key); err != nil {
			return err
		}
		registered.JSONWebKeys = &jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key}}
		registered.TokenEndpointAuthSigningAlgorithm = key.Algorithm
	}
	s.store.Clients[c.ID], s.clients[c.ID] = registered, c
	return nil
}

// authenticate adds mutual TLS to what fosite knows. TLS ends in the test; the certificate that the client
// showed comes in the header Client-Cert (RFC 9440), and whether an authority that is trusted there signed it
// in Client-Cert-Verified.
func (s *server) authenticate(ctx context.Context, r *http.Request, form url.Values) (fosite.Client, error) {
	c, known := s.clients[form.Get("client_id")]
	if !known || c.Method != "tls_client_auth" && c.Method != "self_signed_tls_client_auth" {
		return s.provider.(*fosite.Fosite).DefaultClientAuthenticationStrategy(ctx, r, form)
	}
	registered, err := s.store.GetClient(ctx, c.ID)
	der, _ := base64.StdEncoding.DecodeString(r.Header.Get("Client-Cert"))
	shown, parseErr := x509.ParseCertificate(der)
	if err != nil || parseErr != nil || form.Get("client_secret") != "" {
		return nil, fosite.ErrInvalidClient.WithHint("a certificate is needed")
	}
	verified := r.Header.Get("Client-Cert-Verified") == "1"
	bySubject := c.Method == "tls_client_auth" && verified && shown.Subject.String() == c.SubjectDN
	bySelf := c.Method == "self_signed_tls_client_auth" && string(shown.Raw) == string(c.Certificate)
	if !bySubject && !bySelf {
		return nil, fosite.ErrInvalidClient.WithHint("it is not this client's certificate")
	}
	return registered, nil
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
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
