package pages

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/registry"
	"github.com/keyrounds/keyrounds/rounds"
)

// bulk is POST /credentials/-/bulk: what the bar below the list does to the credentials that are selected.
func (p *Pages) bulk(w http.ResponseWriter, r *http.Request) {
	if !p.parse(w, r) {
		return
	}
	names := r.PostForm["id"]
	if len(names) == 0 || len(names) > onePage {
		p.done(w, r, r.PostFormValue("back"), "Nothing was selected.")
		return
	}
	switch r.PostFormValue("do") {
	case "check":
		text, err := p.checkThem(r, names)
		if err != nil {
			p.fail(w, r, err)
			return
		}
		p.done(w, r, r.PostFormValue("back"), text)
	case "retire":
		http.Redirect(w, r, "/credentials/-/retire?"+url.Values{"id": names}.Encode(), http.StatusSeeOther)
	default:
		p.done(w, r, r.PostFormValue("back"), "Nothing was done.")
	}
}

// checkPatience is how long somebody waits for checks; they go on without him.
const checkPatience = 8 * time.Second

// checkThem has credentials checked, and says what came of it.
func (p *Pages) checkThem(r *http.Request, names []string) (string, error) {
	creds, err := p.Registry.Named(r.Context(), names)
	if err != nil {
		return "", err
	}
	creds = slices.DeleteFunc(creds, func(c credential.Credential) bool { return !visit(r).Sees(c.Owner) })
	if len(creds) == 0 {
		return "None of them is checked: they are retired.", nil
	}
	type end struct {
		works int
		said  []string
		not   []string // the names of those that do not work
		err   error
	}
	ended := make(chan end, 1)
	actor, ctx := visit(r).Name, context.WithoutCancel(r.Context())
	go func() {
		var e end
		e.err = p.Actions.CheckFor(ctx, actor, creds, func(js []rounds.Judged) {
			for _, j := range js {
				if j.Result.Outcome == checker.OK {
					e.works++
				} else {
					e.not = append(e.not, j.Result.Credential)
				}
				e.said = append(e.said, j.Result.Message)
			}
		})
		ended <- e
	}()
	select {
	case e := <-ended:
		var now *rounds.NotNowError
		switch {
		case errors.As(e.err, &now):
			return "It cannot be checked now: " + now.Error() + ".", nil
		case errors.Is(e.err, rounds.ErrNotExchanged):
			return "The provider is never asked for tokens: it is passive, or knows its clients by certificates.", nil
		case e.err != nil:
			return "", e.err
		case len(creds) == 1 && len(e.said) == 1:
			return creds[0].Name + " was checked, and " + pick(e.works, "works.", "does not work: the page says why."), nil
		}
		text := count(len(e.said), "credential") + " checked: " + number(e.works) + " " + pick(e.works, "works", "work")
		if n := len(e.not); n > 0 && n <= 5 {
			text += "; not " + strings.Join(e.not, ", ")
		}
		return text + ".", nil
	case <-time.After(checkPatience):
		return "The checks are under way; this page shows what comes of them.", nil
	}
}

// checkOne is POST /credentials/{name}/check.
func (p *Pages) checkOne(w http.ResponseWriter, r *http.Request) {
	if !p.parse(w, r) {
		return
	}
	c, ok := p.named(w, r)
	if !ok {
		return
	}
	text, err := p.checkThem(r, []string{c.Name})
	if err != nil {
		p.fail(w, r, err)
		return
	}
	p.done(w, r, credentialPath(c.Name), text)
}

func credentialPath(name string) string { return "/credentials/" + url.PathEscape(name) }

// named is the credential that an address names, retired or not, if whoever asks may see it; false: it answered that there is none.
func (p *Pages) named(w http.ResponseWriter, r *http.Request) (c credential.Credential, ok bool) {
	c, err := p.Registry.Get(r.Context(), r.PathValue("name"))
	switch {
	case err == nil && (visit(r).Role != access.Owner || visit(r).Sees(c.Owner)):
		return c, true
	case err == nil || errors.Is(err, registry.ErrNotFound):
		p.Problem(w, r, http.StatusNotFound, "There is no such credential here, or not for you.", "")
	default:
		p.fail(w, r, err)
	}
	return c, false
}
