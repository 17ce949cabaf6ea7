package web

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/secret"
	"github.com/keyrounds/keyrounds/web/pages"
)

// maxForm bounds what a form sends, in bytes.
const maxForm = 16 << 10

// form is what every page of signing in shows.
type form struct {
	pages.Frame
	Wrong string // what to say first; "": nothing
}

func (s *site) form(w http.ResponseWriter, r *http.Request, title, current string) form {
	return form{Frame: s.pages.Frame(w, r, title, current)}
}

// gate is the form of a page that has no navigation.
func (s *site) gateForm(w http.ResponseWriter, r *http.Request, title string) form {
	f := s.form(w, r, title, "")
	f.Bare = true
	return f
}

// loginPage is GET and POST /login.
type loginPage struct {
	form
	Name, Next string
	People     bool
	Issuers    []access.Issuer
	FirstRun   bool
}

func (s *site) loginPage(w http.ResponseWriter, r *http.Request, next, wrong string) loginPage {
	p := loginPage{form: s.gateForm(w, r, "Sign in"), Next: pages.LocalPath(next)}
	p.Wrong = wrong
	if settings := s.Access.Settings(); settings.SignIn() {
		p.People, p.Issuers = settings.People, settings.Issuers
	}
	if p.People {
		p.FirstRun, _ = s.Access.FirstRunOpen(r.Context())
	}
	return p
}

func (s *site) login(w http.ResponseWriter, r *http.Request) {
	if !s.signsIn() {
		http.NotFound(w, r)
		return
	}
	next := r.URL.Query().Get("next")
	if v, ok := access.VisitOf(r.Context()); ok && v.Session != 0 {
		http.Redirect(w, r, pages.LocalPath(next), http.StatusSeeOther)
		return
	}
	s.pages.Show(w, r, http.StatusOK, "login", s.loginPage(w, r, next, ""))
}

func (s *site) signIn(w http.ResponseWriter, r *http.Request) {
	if !s.signsIn() || !s.parse(w, r) {
		return
	}
	name, password, next := r.PostFormValue("name"), takeSecret(r, "password"), r.PostFormValue("next")
	defer password.Wipe()
	name = strings.ToLower(strings.TrimSpace(name))
	var person access.Person
	err := s.Door.try(r, name, s.exists(r, name), wrongPassword, func() (err error) {
		person, err = s.Access.SignIn(r.Context(), name, password)
		return err
	})
	if err == nil {
		s.begin(w, r, person, "password", next)
		return
	}
	who := nobodys
	if errors.Is(err, access.ErrRefused) && s.Access.Exists(r.Context(), name) {
		who = name
	}
	s.noteSignIn(r, err, "person "+who, wrongPassword)
	status, wrong := s.whyNot(err, "Name or password is wrong.")
	p := s.loginPage(w, r, next, wrong)
	p.Name = secret.Scrubber{}.Clean(name, 64)
	if status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "60")
	}
	s.pages.Show(w, r, status, "login", p)
}

// exists asks, where that is needed, whether somebody has a name.
func (s *site) exists(r *http.Request, name string) func() bool {
	return func() bool { return s.Access.Exists(r.Context(), name) }
}

func nobody() bool { return false }

// noteSignIn writes a refused sign-in into the record. What is slowed is only counted.
func (s *site) noteSignIn(r *http.Request, err error, subject, why string) {
	if errors.Is(err, access.ErrRefused) {
		s.Access.Refused(r.Context(), access.Refusal{Subject: subject, Why: why, Address: hostOf(r.RemoteAddr)})
	}
}

// whyNot is what somebody is told whose form was not taken.
func (s *site) whyNot(err error, refused string) (status int, wrong string) {
	var input *access.InputError
	switch {
	case errors.Is(err, access.ErrRefused):
		return http.StatusUnauthorized, refused
	case errors.Is(err, errSlowed), errors.Is(err, access.ErrBusy):
		return http.StatusTooManyRequests, "There were too many wrong passwords from your address. Wait a minute, and try again."
	case errors.As(err, &input):
		return http.StatusUnprocessableEntity, sentence(input.Text)
	case errors.Is(err, access.ErrTaken):
		return http.StatusConflict, "There is one of this name already."
	case errors.Is(err, access.ErrNotFound):
		return http.StatusNotFound, "It is not there any more."
	}
	s.Log.Error("a form could not be taken", "error", err)
	return http.StatusServiceUnavailable, "The database does not answer. Try again in a minute."
}

func sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] + "." }

// begin begins a session and leads to where somebody wanted to go.
func (s *site) begin(w http.ResponseWriter, r *http.Request, p access.Person, how, next string) {
	id, err := s.Access.Begin(r, p, how)
	if err != nil {
		status, wrong := s.whyNot(err, "You may not sign in.")
		s.pages.Show(w, r, status, "login", s.loginPage(w, r, next, wrong))
		return
	}
	http.SetCookie(w, access.Cookie(r, id))
	http.Redirect(w, r, pages.LocalPath(next), http.StatusSeeOther)
}

// enter is GET /enter/{token}: a link that signs somebody in once.
func (s *site) enter(w http.ResponseWriter, r *http.Request) {
	if s.Enter == nil || !s.signsIn() {
		http.NotFound(w, r)
		return
	}
	person, ok := s.Enter(r.PathValue("token"))
	if !ok {
		s.Access.Refused(r.Context(), access.Refusal{Subject: "one-time link", Why: wrongToken, Address: hostOf(r.RemoteAddr)})
		s.pages.Problem(w, r, http.StatusForbidden, "This link was used already, or is none.", "")
		return
	}
	s.begin(w, r, person, "one-time link", "/")
}

func (s *site) logout(w http.ResponseWriter, r *http.Request) {
	if s.Access == nil {
		http.NotFound(w, r)
		return
	}
	if v, ok := access.VisitOf(r.Context()); ok {
		if err := s.Access.End(r.Context(), v); err != nil && !errors.Is(err, access.ErrNotFound) {
			s.Log.Error("a session could not be ended", "error", err)
			refuse(w, http.StatusServiceUnavailable, "the database does not answer: you are still signed in")
			return
		}
	}
	http.SetCookie(w, access.Cookie(r, ""))
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}

// firstRunPage is GET and POST /first-run.
type firstRunPage struct {
	form
	Name string
	Open bool
}

func (s *site) firstRun(w http.ResponseWriter, r *http.Request) {
	p := firstRunPage{form: s.gateForm(w, r, "The first admin")}
	var err error
	if p.Open, err = s.firstRunOpen(r.Context()); err != nil {
		s.json(w, nil, err)
		return
	}
	status := http.StatusOK
	if !p.Open {
		status = http.StatusNotFound
	}
	s.pages.Show(w, r, status, "firstrun", p)
}

func (s *site) firstRunOpen(ctx context.Context) (bool, error) {
	if s.Access == nil || !s.Access.Settings().People {
		return false, nil
	}
	return s.Access.FirstRunOpen(ctx)
}

func (s *site) makeFirst(w http.ResponseWriter, r *http.Request) {
	if s.Access == nil || !s.parse(w, r) {
		return
	}
	token, password, again := takeSecret(r, "token"), takeSecret(r, "password"), takeSecret(r, "again")
	name := strings.TrimSpace(r.PostFormValue("name"))
	var person access.Person
	err := s.Door.try(r, "", nobody, wrongToken, func() (err error) {
		if !password.Equal(again) {
			return &access.InputError{Text: "the two passwords differ"}
		}
		person, err = s.Access.FirstRun(r.Context(), token, name, password)
		return err
	})
	if err == nil {
		s.begin(w, r, person, "first-run token", "/people")
		return
	}
	s.noteSignIn(r, err, "first-run token", wrongToken)
	status, wrong := s.whyNot(err, "This token is wrong, was used, or is more than an hour old.")
	p := firstRunPage{form: s.gateForm(w, r, "The first admin"), Name: name, Open: true}
	p.Wrong = wrong
	s.pages.Show(w, r, status, "firstrun", p)
}

// parse reads a form; false: it answered why not.
func (s *site) parse(w http.ResponseWriter, r *http.Request) bool {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		refuse(w, http.StatusBadRequest, "not a form")
		return false
	}
	return true
}

// takeSecret takes a field out of a form, so that nothing else reads it.
func takeSecret(r *http.Request, field string) secret.Value {
	v := secret.New([]byte(r.PostForm.Get(field)))
	r.PostForm.Del(field)
	r.Form.Del(field)
	return v
}
