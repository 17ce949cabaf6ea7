// Command gooauth2 is an authorization server (go-oauth2/oauth2) for the tests, which does not form-decode what comes by
// Basic. It knows one client, whose id and secret are its arguments, prints its URL and ends with its standard input.
package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/go-oauth2/oauth2/v4"
	"github.com/go-oauth2/oauth2/v4/manage"
	"github.com/go-oauth2/oauth2/v4/models"
	"github.com/go-oauth2/oauth2/v4/server"
	"github.com/go-oauth2/oauth2/v4/store"
)

func main() {
	clients := store.NewClientStore()
	if err := clients.Set(os.Args[1], &models.Client{ID: os.Args[1], Secret: os.Args[2]}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	manager := manage.NewDefaultManager()
	manager.MustTokenStorage(store.NewMemoryTokenStore())
	manager.MapClientStorage(clients)
	s := server.NewServer(server.NewConfig(), manager)
	s.SetAllowedGrantType(oauth2.ClientCredentials)
	s.SetClientInfoHandler(server.ClientBasicHandler)
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _ = s.HandleTokenRequest(w, r) }))
	fmt.Println(h.URL)
	_, _ = io.Copy(io.Discard, os.Stdin)
}
