package access

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/keyrounds/keyrounds/outbound"
)

// What is known of an issuer is asked for again after a while; one that did not answer is left alone for a moment, since
// anybody can begin a sign-in.
const (
	metadataFor = time.Hour
	failedFor   = 10 * time.Second

	issuerTimeout = 10 * time.Second
	mostAnswer    = 1 << 20 // bytes
)

// provider is an issuer as its metadata describes it (OpenID Connect Discovery 1.0).
type provider struct {
	*oidc.Provider
	client *http.Client
	style  oauth2.AuthStyle
}

// issuers are those that were asked, by their settings.
type issuers struct {
	mu    sync.Mutex
	known map[string]*known
}

type known struct {
	sync.Mutex
	p   *provider
	err error
	at  time.Time
}

func (s *issuers) provider(ctx context.Context, i Issuer, now time.Time) (*provider, error) {
	key := fmt.Sprintf("%q %q %q %v", i.URL, i.Proxy, i.CAFile, i.AllowPrivate)
	s.mu.Lock()
	if s.known == nil {
		s.known = map[string]*known{}
	}
	k := s.known[key]
	if k == nil {
		k = &known{}
		s.known[key] = k
	}
	s.mu.Unlock()
	k.Lock()
	defer k.Unlock()
	age := now.Sub(k.at)
	if k.p != nil && age < metadataFor || k.err != nil && age < failedFor {
		return k.p, k.err
	}
	p, err := discover(context.WithoutCancel(ctx), i)
	if err != nil && k.p != nil && age < 24*metadataFor {
		return k.p, nil // as it was
	}
	k.p, k.err, k.at = p, err, now
	return p, err
}

func discover(ctx context.Context, i Issuer) (*provider, error) {
	client, err := outbound.Client(outbound.Policy{
		AllowPrivate: i.AllowPrivate, Proxy: i.Proxy, TLS: outbound.TLS{CAFile: i.CAFile}, Timeout: issuerTimeout, MaxBody: mostAnswer,
	})
	if err != nil {
		return nil, fmt.Errorf("issuer %q: %w", i.Name, err)
	}
	p, err := oidc.NewProvider(oidc.ClientContext(ctx, client), i.URL)
	if err != nil {
		return nil, fmt.Errorf("issuer %q: its metadata: %w", i.Name, err)
	}
	var metadata struct {
		Methods []string `json:"token_endpoint_auth_methods_supported"`
	}
	if err := p.Claims(&metadata); err != nil {
		return nil, fmt.Errorf("issuer %q: its metadata: %w", i.Name, err)
	}
	style := oauth2.AuthStyleInHeader // the default of OpenID Connect Discovery §3; a code is not to be tried twice
	if len(metadata.Methods) > 0 && !slices.Contains(metadata.Methods, "client_secret_basic") {
		style = oauth2.AuthStyleInParams
	}
	return &provider{p, client, style}, nil
}
