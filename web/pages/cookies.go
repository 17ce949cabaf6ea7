package pages

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/keyrounds/keyrounds/secret"
)

// What a browser keeps for us, beside the session. None of it is a secret, and none is believed: it chooses looks only.
const (
	themeCookie = "keyrounds_theme" // light, dark
	keysCookie  = "keyrounds_keys"  // off
	zoneCookie  = "keyrounds_zone"  // the reader's time zone, by static/app.js
	doneCookie  = "keyrounds_done"  // what was just done, shown once
)

func cookie(r *http.Request, name string) string {
	c, err := r.Cookie(name)
	if err != nil {
		return ""
	}
	return c.Value
}

func keep(w http.ResponseWriter, r *http.Request, name, value string, long time.Duration) {
	c := &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: int(long.Seconds()), HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: r.TLS != nil,
	}
	if value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

const year = 365 * 24 * time.Hour

func themeOf(r *http.Request) string {
	if t := cookie(r, themeCookie); t == "light" || t == "dark" {
		return t
	}
	return ""
}

// setTheme is POST /theme.
func (p *Pages) setTheme(w http.ResponseWriter, r *http.Request) {
	if !p.parse(w, r) {
		return
	}
	theme := r.PostFormValue("theme")
	if theme != "light" && theme != "dark" {
		theme = ""
	}
	keep(w, r, themeCookie, theme, year)
	p.back(w, r)
}

// setKeys is POST /keys: single keys can be switched off (WCAG 2.1.4).
func (p *Pages) setKeys(w http.ResponseWriter, r *http.Request) {
	if !p.parse(w, r) {
		return
	}
	off := ""
	if r.PostFormValue("keys") == "off" {
		off = "off"
	}
	keep(w, r, keysCookie, off, year)
	p.back(w, r)
}

// zoneOf is the zone in which times are shown.
func zoneOf(r *http.Request) *time.Location {
	name, err := url.QueryUnescape(cookie(r, zoneCookie))
	if err != nil || name == "" || name == "Local" || len(name) > 64 {
		return time.UTC
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return time.UTC
	}
	return zone
}

// Done is what was just done, for whoever did it.
type Done struct {
	Text string
	Undo string            `json:",omitempty"` // where a form goes that takes it back; "": nothing does
	Form map[string]string `json:",omitempty"` // what that form sends
}

// done leads to a page after something was done, which says so once. undo is where a form goes that takes it back; "": none does.
func (p *Pages) done(w http.ResponseWriter, r *http.Request, path, text string) {
	p.doneBut(w, r, path, Done{Text: text})
}

func (p *Pages) doneBut(w http.ResponseWriter, r *http.Request, path string, d Done) {
	d.Text = cut(d.Text, 300)
	b, err := json.Marshal(d)
	if err == nil && len(b) < 2000 {
		keep(w, r, doneCookie, base64.RawURLEncoding.EncodeToString(b), time.Minute)
	}
	http.Redirect(w, r, LocalPath(path), http.StatusSeeOther)
}

// takeDone reads what was done, and forgets it.
func takeDone(w http.ResponseWriter, r *http.Request) (d Done) {
	value := cookie(r, doneCookie)
	if value == "" || r.Header.Get(liveHeader) != "" {
		return d
	}
	keep(w, r, doneCookie, "", 0)
	b, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil || json.Unmarshal(b, &d) != nil {
		return Done{}
	}
	d.Text = secret.Scrubber{}.Clean(d.Text, 300)
	if d.Undo != "" && LocalPath(d.Undo) != d.Undo {
		d.Undo = ""
	}
	return d
}

// liveHeader marks a request by which static/live.js refreshes a page.
const liveHeader = "Keyrounds-Live"

// back leads to the page that a form was on.
func (p *Pages) back(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, LocalPath(r.PostFormValue("back")), http.StatusSeeOther)
}

// LocalPath is a path of these pages, whatever a link or a form says; "/" for everything else.
func LocalPath(next string) string {
	u, err := url.Parse(next)
	if err != nil || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\x00\t\r\n") ||
		u.Host != "" || u.Scheme != "" || strings.HasPrefix(u.Path, "/log") || strings.HasPrefix(u.Path, "//") || len(next) > 2000 {
		return "/"
	}
	return next
}

// maxForm bounds what a form sends, in bytes.
const maxForm = 64 << 10

// parse reads a form; false: it answered why not.
func (p *Pages) parse(w http.ResponseWriter, r *http.Request) bool {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		p.Problem(w, r, http.StatusBadRequest, "This form could not be read.", "Go back, and send it again.")
		return false
	}
	if !ofTexts(r.PostForm) {
		p.Problem(w, r, http.StatusBadRequest, "This form has signs in it that no text has.", "Go back, take them out, and send it again.")
		return false
	}
	return true
}
