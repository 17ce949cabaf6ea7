package pages

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/keyrounds/keyrounds/action"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/registry"
	"github.com/keyrounds/keyrounds/secret"
)

// editPage is GET and POST /credentials/{name}/edit.
type editPage struct {
	Frame
	Form   credentialForm
	InFile bool
	Seen   string // which state of it the form shows
}

// seenOf tells a state of a credential from the next, for forms that were open meanwhile.
func seenOf(c credential.Credential) string {
	f := formOf(c)
	return fmt.Sprint(c.Changed.UnixNano(), f.Description, f.Scopes, f.Owner, f.Labels, f.Schedule, f.UnusedAfter, f.MaxAge, f.Created,
		f.Expires,
		f.Networks, f.Canary, f.KeyID)
}

// errChanged says that somebody else changed it while a form was open.
var errChanged = errors.New("somebody else changed it meanwhile")

func (p *Pages) editCredential(w http.ResponseWriter, r *http.Request) {
	c, ok := p.named(w, r)
	if !ok {
		return
	}
	page := editPage{
		Frame: p.Frame(w, r, "Edit "+c.Name, "credentials"), Form: formOf(c), InFile: c.Source == credential.FromFile,
		Seen: seenOf(c),
	}
	p.Show(w, r, http.StatusOK, "editcredential", page)
}

func (p *Pages) saveCredential(w http.ResponseWriter, r *http.Request) {
	if !p.parse(w, r) {
		return
	}
	c, ok := p.named(w, r)
	if !ok {
		return
	}
	form, seen := readForm(r), r.PostFormValue("seen")
	match := func(c credential.Credential) error {
		if seen != seenOf(c) {
			return errChanged
		}
		return nil
	}
	_, err := p.Actions.If(match).Edit(r.Context(), visit(r).Name, c.Name, func(c credential.Credential) (credential.Credential, error) {
		next := form.read(p.Config().Defaults, c)
		form.alsoOf("name", "provider", "client_id")
		if len(form.Wrong) > 0 {
			return c, errWrong
		}
		return next, nil
	})
	text, refused := public(err)
	switch {
	case err == nil:
		p.done(w, r, credentialPath(c.Name), c.Name+" is changed.")
		return
	case errors.Is(err, errWrong):
	case errors.Is(err, errChanged):
		form.Wrong["form"] = "Somebody else changed it while this form was open. What he wrote is on its page; write yours again."
	case refused:
		form.Wrong["form"] = text
	default:
		p.fail(w, r, err)
		return
	}
	form.Name, form.Provider, form.ClientID = c.Name, c.Provider, c.Subject
	page := editPage{Frame: p.Frame(w, r, "Edit "+c.Name, "credentials"), Form: form, InFile: c.Source == credential.FromFile, Seen: seen}
	p.Show(w, r, http.StatusUnprocessableEntity, "editcredential", page)
}

var errWrong = errors.New("the form is wrong")

// secretPage is GET and POST of rotate and restore: a new secret is typed, and never shown.
type secretPage struct {
	Frame
	C                 credential.Credential
	Restore           bool
	Host              bool // the host keeps its secret, so that nothing here can replace it
	ClientID, Expires string
	Wrong             map[string]string
	Works             string // what is said of a secret that was tried, and works
}

// Err is what is wrong at a field.
func (p secretPage) Err(field string) fieldError { return fieldError{field, p.Wrong[field]} }

func (p *Pages) secretPage(w http.ResponseWriter, r *http.Request, c credential.Credential, restore bool) secretPage {
	title := "Rotate the secret of " + c.Name
	if restore {
		title = "Register " + c.Name + " again"
	}
	return secretPage{
		Frame: p.Frame(w, r, title, "credentials"), C: c, Restore: restore, Host: !restore && c.Secret.ReachesHost(),
		Wrong: map[string]string{},
	}
}

func (p *Pages) rotateForm(w http.ResponseWriter, r *http.Request) {
	if c, ok := p.named(w, r); ok {
		p.Show(w, r, http.StatusOK, "secret", p.secretPage(w, r, c, false))
	}
}

func (p *Pages) restoreForm(w http.ResponseWriter, r *http.Request) {
	if c, ok := p.named(w, r); ok {
		p.Show(w, r, http.StatusOK, "secret", p.secretPage(w, r, c, true))
	}
}

// rotateCredential gives a credential a new secret, which is tried at once.
func (p *Pages) rotateCredential(w http.ResponseWriter, r *http.Request) {
	p.takeNewSecret(w, r, false)
}

// restoreCredential registers a retired one again.
func (p *Pages) restoreCredential(w http.ResponseWriter, r *http.Request) {
	p.takeNewSecret(w, r, true)
}

func (p *Pages) takeNewSecret(w http.ResponseWriter, r *http.Request, restore bool) {
	if !p.parse(w, r) {
		return
	}
	v, wrong := takeSecret(r, "secret")
	defer v.Wipe()
	c, ok := p.named(w, r)
	if !ok {
		return
	}
	page := p.secretPage(w, r, c, restore)
	page.ClientID, page.Expires = strings.TrimSpace(r.PostFormValue("client_id")), strings.TrimSpace(r.PostFormValue("expires"))
	var end time.Time
	if page.Expires != "" {
		var err error
		if end, err = credential.ParseEnd(page.Expires); err != nil {
			page.Wrong["expires"] = sentence("it may be " + credential.EndHint)
		}
	}
	if wrong != "" {
		page.Wrong["secret"] = wrong
	}
	try := r.PostFormValue("do") == "try"
	if len(page.Wrong) == 0 && try {
		page.Works, page.Wrong["secret"] = p.tried(r, c, v)
	}
	if len(page.Wrong) == 0 {
		err, what := error(nil), "rotated"
		if restore {
			err, what = p.Actions.Restore(r.Context(), visit(r).Name, c.Name, v, action.AtOnce), "registered again"
		} else {
			err = p.Actions.Rotate(r.Context(), visit(r).Name, c.Name, page.ClientID, end, v, action.AtOnce)
		}
		if err == nil {
			p.done(w, r, credentialPath(c.Name), p.firstWords(r.Context(), c.Name, what))
			return
		}
		text, refused := public(err)
		if !refused {
			p.fail(w, r, err)
			return
		}
		page.Wrong["form"] = text
	}
	status := http.StatusUnprocessableEntity
	if page.Works != "" {
		status = http.StatusOK
	}
	p.Show(w, r, status, "secret", page)
}

// tried says whether a secret would work; nothing is changed by it.
func (p *Pages) tried(r *http.Request, c credential.Credential, v secret.Value) (works, wrong string) {
	result, err := p.Actions.Try(r.Context(), visit(r).Name, c.Name, v)
	switch {
	case err != nil:
		return "", "It could not be tried: " + sentence(err.Error())
	case result.Outcome == "ok":
		return "It works. Type it again to rotate: it was only tried, and is not kept.", ""
	}
	return "", "It does not work: " + sentence(result.Message)
}

// retirePage is GET /credentials/-/retire: it asks again.
type retirePage struct {
	Frame
	Creds []credential.Credential
	Left  []string // that cannot be retired here, with why
	Wrong string
}

func (p *Pages) retireForm(w http.ResponseWriter, r *http.Request) {
	p.showRetire(w, r, http.StatusOK, r.URL.Query(), "")
}

func (p *Pages) showRetire(w http.ResponseWriter, r *http.Request, status int, q url.Values, wrong string) {
	page := retirePage{Frame: p.Frame(w, r, "Retire credentials", "credentials"), Wrong: wrong}
	names := q["id"]
	if len(names) > onePage {
		names = names[:onePage]
	}
	creds, err := p.Registry.Named(r.Context(), names)
	if err != nil {
		p.fail(w, r, err)
		return
	}
	for _, c := range creds {
		if c.Source == credential.FromFile {
			page.Left = append(page.Left, c.Name+" is in the configuration file: take it out there, and reload")
			continue
		}
		page.Creds = append(page.Creds, c)
	}
	p.Show(w, r, status, "retire", page)
}

// retire is POST /credentials/-/retire.
func (p *Pages) retire(w http.ResponseWriter, r *http.Request) {
	if !p.parse(w, r) {
		return
	}
	names := r.PostForm["id"]
	if len(names) == 0 || len(names) > onePage {
		p.Problem(w, r, http.StatusBadRequest, "It is not said which credentials, or there are too many.",
			"Choose up to 50 at /credentials.")
		return
	}
	for i, name := range names {
		err := p.Actions.Retire(r.Context(), visit(r).Name, name)
		if errors.Is(err, registry.ErrNotFound) {
			p.Problem(w, r, http.StatusNotFound, "There is no such credential.", "Choose among those at /credentials.")
			return
		}
		if text, refused := public(err); refused {
			p.showRetire(w, r, http.StatusConflict, url.Values{"id": names[i:]}, text)
			return
		}
		if err != nil {
			p.fail(w, r, err)
			return
		}
	}
	p.done(w, r, "/credentials", count(len(names), "credential")+" retired. Revoke "+pick(len(names), "it",
		"them")+" at the provider as well.")
}
