// Command zitadel is an authorization server (the op of zitadel/oidc) for the tests. Its argument is JSON: the secrets of its
// clients by their ids. It prints its issuer and ends with its standard input.
//
// Of the methods, op takes client_secret_basic and client_secret_post for client_credentials, and nothing else: it does not
// read an assertion with that grant.
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

func main() {
	log.SetFlags(0)
	slog.SetDefault(slog.New(slog.DiscardHandler)) // it logs every refusal
	clients := storage{}
	if err := json.Unmarshal([]byte(os.Args[1]), &clients.secrets); err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	issuer := "http://" + listener.Addr().String()
	config := &op.Config{AuthMethodPost: true}
	_, _ = rand.Read(config.CryptoKey[:])
	provider, err := op.NewProvider(config, clients, op.StaticIssuer(issuer), op.WithAllowInsecure())
	if err != nil {
		log.Fatal(err)
	}
	go func() { log.Fatal(http.Serve(listener, provider)) }()
	fmt.Println(issuer)
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// storage is the table of clients, which op leaves to whoever runs it. What client_credentials does not need is not there.
type storage struct {
	op.Storage
	secrets map[string]string // by client id
}

// client may use client_credentials, and nothing else.
type client struct {
	op.Client
	id string
}

var errNoClient = errors.New("there is no such client")

// ClientCredentials finds a row by id and secret, as op read them.
func (s storage) ClientCredentials(_ context.Context, id, secret string) (op.Client, error) {
	if known, ok := s.secrets[id]; !ok || known != secret {
		return nil, errNoClient
	}
	return client{id: id}, nil
}

func (storage) ClientCredentialsTokenRequest(_ context.Context, id string, scopes []string) (op.TokenRequest, error) {
	return &oidc.JWTTokenRequest{Subject: id, Audience: []string{id}, Scopes: scopes}, nil
}

func (storage) CreateAccessToken(context.Context, op.TokenRequest) (id string, expires time.Time, err error) {
	return rand.Text(), time.Now().Add(10 * time.Minute), nil
}

func (storage) SignatureAlgorithms(context.Context) ([]jose.SignatureAlgorithm, error) {
	return []jose.SignatureAlgorithm{jose.RS256}, nil
}

func (c client) GetID() string                     { return c.id }
func (client) GrantTypes() []oidc.GrantType        { return []oidc.GrantType{oidc.GrantTypeClientCredentials} }
func (client) AccessTokenType() op.AccessTokenType { return op.AccessTokenTypeBearer }
func (client) ClockSkew() time.Duration            { return 0 }
