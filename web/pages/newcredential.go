package pages

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/keyrounds/keyrounds/action"
	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/registry"
	"github.com/keyrounds/keyrounds/rounds"
	"github.com/keyrounds/keyrounds/secret"
)

// newCredentialPage is GET and POST /credentials/-/new.
type newCredentialPage struct {
	Frame
	Form      credentialForm
	Providers []string
	First     bool // no credential is registered yet
}

func (p *Pages) newCredential(w http.ResponseWriter, r *http.Request) {
	page := p.newCredentialPage(w, r)
	page.Form.Provider = r.URL.Query().Get("provider")
	page.Form.ClientID = r.URL.Query().Get("client_id") // of a client that feeds show and nobody registered
	p.Show(w, r, http.StatusOK, "newcredential", page)
}

func (p *Pages) newCredentialPage(w http.ResponseWriter, r *http.Request) newCredentialPage {
	page := newCredentialPage{Frame: p.Frame(w, r, "Add a credential", "credentials")}
	page.First = page.err == nil && len(page.Nav.Counts) == 0
	page.Providers = slices.Sorted(maps.Keys(p.Config().Providers))
	return page
}

// addCredential registers what was typed. It is checked at once, and the page that follows says what came of it.
func (p *Pages) addCredential(w http.ResponseWriter, r *http.Request) {
	if !p.parse(w, r) {
		return
	}
	v, wrongSecret := takeSecret(r, "secret")
	defer v.Wipe()
	form, conf := readForm(r), p.Config()
	c := form.read(conf.Defaults, credential.Credential{})
	for _, problem := range config.CheckProvider(c, conf.Providers) {
		form.add(problem)
	}
	if wrongSecret != "" {
		form.Wrong["secret"] = wrongSecret
	}
	status := http.StatusUnprocessableEntity
	if len(form.Wrong) == 0 {
		err := p.Actions.Add(r.Context(), visit(r).Name, []credential.Credential{c}, []secret.Value{v}, action.AtOnce, nil)
		switch {
		case err == nil:
			p.done(w, r, credentialPath(c.Name), p.firstWords(r.Context(), c.Name, "added"))
			return
		case errors.Is(err, registry.ErrExists):
			form.Wrong["name"], status = "There is one of this name already. Rotate that one, if its secret is new.", http.StatusConflict
		default:
			if text, ok := public(err); ok {
				form.Wrong["form"] = text
				break
			}
			p.fail(w, r, err)
			return
		}
	}
	page := p.newCredentialPage(w, r)
	page.Form, page.Title = form, "Not added yet: "+page.Title
	p.Show(w, r, status, "newcredential", page)
}

// firstPatience is how long somebody waits for the first check of a new secret.
const firstPatience = 8 * time.Second

// firstWords says what came of the first check.
func (p *Pages) firstWords(ctx context.Context, name, what string) string {
	ctx, cancel := context.WithTimeout(ctx, firstPatience)
	defer cancel()
	text := name + " is " + what + ". Its first check comes within a minute."
	_ = p.Actions.First(ctx, []string{name}, func(js []rounds.Judged) { // the page itself says what is not known yet
		for _, j := range js {
			switch {
			case j.Result.Outcome == checker.OK:
				text = name + " is " + what + ", and works."
			case j.Result.Outcome != "":
				text = name + " is " + what + ", and does not work. The page says why."
			}
		}
	})
	return text
}

// public is why something was refused, in words for whoever asked; false: it was not refused, but failed.
func public(err error) (text string, ok bool) {
	var p interface{ Public() string }
	if errors.As(err, &p) {
		return sentence(p.Public()), true
	}
	return "", false
}
