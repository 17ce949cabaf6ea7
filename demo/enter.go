package demo

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"os"
	"path/filepath"
	"sync"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/app"
	"github.com/keyrounds/keyrounds/secret"
)

// entrance lets whoever has the link in once, as ann, an admin, so that everything in the pages can be tried.
type entrance struct {
	mu     sync.Mutex
	token  string // "": it was used
	person access.Person
}

func newEntrance() *entrance { return &entrance{token: rand.Text()} }

// open makes ann, and a token for whoever reads metrics, which is in the file scrape-token of dir.
func (e *entrance) open(ctx context.Context, a *app.App, dir string) (password string, err error) {
	password = rand.Text()
	token, _, err := a.Access.FirstRunToken(ctx, "demo")
	if err != nil {
		return "", err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.person, err = a.Access.FirstRun(ctx, token, "ann", secret.New([]byte(password))); err != nil {
		return "", err
	}
	scrape, _, err := a.Access.MakeToken(ctx, access.Visit{Who: access.Who{Name: "demo", Role: access.Admin}}, access.NewToken{
		Name: "prometheus", Grant: access.Grant{Role: access.Viewer},
	})
	if err != nil {
		return "", err
	}
	return password, os.WriteFile(filepath.Join(dir, "scrape-token"), []byte(scrape.Reveal()), 0o600)
}

// enter is who a link lets in; false: it was used, or is none.
func (e *entrance) enter(token string) (p access.Person, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.token == "" || e.person.ID == 0 || subtle.ConstantTimeCompare([]byte(token), []byte(e.token)) != 1 {
		return p, false
	}
	e.token = ""
	return e.person, true
}
