package web

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/keyrounds/keyrounds/access"
)

// rule is who may use a route.
type rule struct {
	deed access.Deed // what a role must allow; anybody: it asks nobody who he is
	mine bool        // it shows the role owner only what is his; otherwise it is closed to that role
}

const (
	anybody  access.Deed = ""          // also who is not signed in
	ownProof access.Deed = "own proof" // it looks for a token or a signature itself
	signedIn access.Deed = "signed in" // what everybody may do about himself
	byItself access.Deed = "by itself" // the API has a table of its own, and is told who asks
)

// may says of every route of New who may use it. A route without a row is closed to all but admins, and fails
// TestEveryRouteSaysWhoMay.
var may = map[string]rule{
	"GET /healthz":               {anybody, true},
	"GET /readyz":                {anybody, true},
	"GET /static/{file}":         {anybody, true},
	"POST /theme":                {anybody, true},
	"POST /keys":                 {anybody, true},
	"GET /login":                 {anybody, true},
	"POST /login":                {anybody, true},
	"GET /enter/{token}":         {anybody, true},
	"GET /login/{name}":          {anybody, true},
	"GET /login/{name}/callback": {anybody, true},
	"GET /first-run":             {anybody, true},
	"POST /first-run":            {anybody, true},
	"POST /logout":               {anybody, true},

	"POST /api/v1/usage":        {ownProof, true},
	"POST /api/v1/leaks/{name}": {ownProof, true},

	"POST /v1/logs":                      {ownProof, true},
	"POST /services/collector":           {ownProof, true},
	"POST /services/collector/event":     {ownProof, true},
	"POST /services/collector/event/1.0": {ownProof, true},
	"POST /services/collector/raw":       {ownProof, true},
	"POST /services/collector/raw/1.0":   {ownProof, true},
	"POST /services/collector/ack":       {ownProof, true},
	"GET /services/collector/health":     {ownProof, true}, // it says no more than whether it is ready
	"GET /services/collector/health/1.0": {ownProof, true},

	"/api/": {byItself, true},

	"GET /{$}":     {access.See, false},
	"GET /metrics": {access.See, false},

	"GET /credentials":                 {access.See, false},
	"GET /credentials.csv":             {access.See, false},
	"GET /credentials/{name}":          {access.See, true},
	"GET /credentials/-/new":           {access.Administer, false},
	"POST /credentials/-/new":          {access.Administer, false},
	"GET /credentials/-/retire":        {access.Administer, false},
	"POST /credentials/-/retire":       {access.Administer, false},
	"GET /credentials/{name}/edit":     {access.Administer, false},
	"POST /credentials/{name}/edit":    {access.Administer, false},
	"GET /credentials/{name}/rotate":   {access.Administer, false},
	"POST /credentials/{name}/rotate":  {access.Administer, false},
	"GET /credentials/{name}/restore":  {access.Administer, false},
	"POST /credentials/{name}/restore": {access.Administer, false},
	"POST /credentials/-/bulk":         {access.Respond, false},
	"POST /credentials/{name}/check":   {access.Respond, true},

	"GET /findings":                     {access.See, true},
	"GET /findings.csv":                 {access.See, true},
	"GET /findings/{id}":                {access.See, true},
	"GET /findings/act":                 {access.Respond, true},
	"POST /findings/act":                {access.Respond, true},
	"POST /findings/bulk":               {access.Respond, true},
	"POST /findings/{id}/acknowledge":   {access.Respond, true},
	"POST /findings/{id}/unacknowledge": {access.Respond, true},
	"POST /findings/{id}/comment":       {access.Respond, true},

	"GET /mine":                             {access.See, true},
	"POST /decide":                          {access.Decide, true},
	"GET /reports":                          {access.See, true},
	"GET /reports/unused/{month}":           {access.See, true},
	"POST /reports/unused/{month}/freeze":   {access.Administer, false},
	"POST /reports/unused/{month}/amend":    {access.Administer, false},
	"POST /reports/unused/{month}/sign-off": {access.Decide, true},

	"GET /record":                 {access.Administer, false},
	"GET /settings":               {access.See, false},
	"POST /silences":              {access.Respond, false},
	"POST /silences/{id}/end":     {access.Respond, false},
	"POST /receivers/{name}/test": {access.Administer, false},

	"GET /providers":          {access.See, false},
	"GET /providers/{name}":   {access.See, false},
	"GET /usage":              {access.See, false},
	"GET /usage/attempts":     {access.See, false},
	"GET /usage/unregistered": {access.See, false},
	"GET /feeds":              {access.See, false},
	"GET /leaks":              {access.See, false},
	"GET /leaks/sources":      {access.See, false},
	"GET /leaks/proofs":       {access.See, false},

	"GET /account":                     {signedIn, true},
	"POST /account/password":           {signedIn, true},
	"POST /account/tokens":             {signedIn, true},
	"POST /account/tokens/{id}/revoke": {signedIn, true},
	"POST /account/sessions/{id}/end":  {signedIn, true},

	"GET /people":                     {access.Administer, false},
	"POST /people":                    {access.Administer, false},
	"POST /people/{id}":               {access.Administer, false},
	"POST /people/tokens/{id}/revoke": {access.Administer, false},
	"POST /people/sessions/{id}/end":  {access.Administer, false},
}

// gate lets a request to its route when who sent it may use that. Whoever it is stands in the request's context
// (access.From), for what is behind.
func (s *site) gate(mux *http.ServeMux) http.Handler {
	crossOrigin := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, route := mux.Handler(r)
		rule, ok := may[route]
		if !ok {
			rule.deed = access.Administer
		}
		switch {
		case rule.deed == ownProof || route == "" && !isPage(r): // no route: mux says so
			mux.ServeHTTP(w, r)
			return
		case s.Access == nil:
			mux.ServeHTTP(w, r.WithContext(access.With(r.Context(), access.Who{Name: access.Anybody, Role: access.Viewer})))
			return
		}
		visit, renewed, err := s.Access.Who(r)
		switch {
		case errors.Is(err, access.ErrRefused):
			s.refuseToken(w, r, visit)
			return
		case errors.Is(err, access.ErrNobody):
		case err != nil:
			s.Log.Error("it is not known who asks", "error", err)
			refuse(w, http.StatusServiceUnavailable, "the database does not answer")
			return
		}
		if renewed != nil {
			http.SetCookie(w, renewed)
		}
		known := err == nil
		if err := crossOrigin.Check(r); err != nil {
			s.note(r, visit, "another site's page sent it")
			s.stopped(w, r, http.StatusForbidden, "another site's page sent this: nothing was done")
			return
		}
		if known {
			r = r.WithContext(access.WithVisit(r.Context(), visit))
		}
		if s.stop(w, r, route, rule, visit, known) {
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// stop answers who may not use a route, and reports whether it did.
func (s *site) stop(w http.ResponseWriter, r *http.Request, route string, rule rule, visit access.Visit, known bool) bool {
	switch {
	case route == "":
		s.pages.Problem(w, r, http.StatusNotFound, "There is no such page.",
			"The address may have been mistyped, or what it showed is gone.")
		return true
	case rule.deed == anybody, rule.deed == byItself && !known:
		return false
	case !known:
		if s.signsIn() && isPage(r) {
			http.Redirect(w, r, "/login?"+url.Values{"next": {r.URL.RequestURI()}}.Encode(), http.StatusSeeOther)
			return true
		}
		if s.signsIn() && byBrowser(r) { // its session ended while the page was open
			s.pages.Problem(w, r, http.StatusUnauthorized, "You are not signed in any more, and nothing was done.",
				"Sign in at /login in another tab, come back to the page before, and send it again: what you wrote is still there.")
			return true
		}
		w.Header().Set("WWW-Authenticate", `Bearer realm="keyrounds"`)
		s.stopped(w, r, http.StatusUnauthorized, "sign in, or send a token: Authorization: Bearer kr_…")
		return true
	case visit.Temporary && !strings.HasPrefix(r.URL.Path, "/account"):
		if isPage(r) {
			http.Redirect(w, r, "/account", http.StatusSeeOther)
			return true
		}
		s.stopped(w, r, http.StatusForbidden, "your password is a temporary one: choose another on /account first")
		return true
	case rule.deed == byItself, rule.deed == signedIn && visit.Session != 0:
		return false
	case rule.deed == signedIn && isPage(r) && s.signsIn():
		http.Redirect(w, r, "/login?next=%2Faccount", http.StatusSeeOther)
		return true
	case rule.deed == signedIn || !visit.May(rule.deed):
		s.note(r, visit, "the role "+string(visit.Role)+" may not")
		s.stopped(w, r, http.StatusForbidden, "your role ("+string(visit.Role)+") may not do this")
		return true
	case visit.Role == access.Owner && !rule.mine:
		if r.URL.Path == "/" && isPage(r) {
			http.Redirect(w, r, "/mine", http.StatusSeeOther)
			return true
		}
		s.stopped(w, r, http.StatusForbidden,
			"this shows credentials of all owners, and you see only those of "+strings.Join(visit.Owners, ", "))
		return true
	}
	return false
}

func (s *site) signsIn() bool { return s.Access != nil && s.Access.Settings().SignIn() }

// stopped answers who may not, with a page if a browser asks.
func (s *site) stopped(w http.ResponseWriter, r *http.Request, status int, why string) {
	if byBrowser(r) {
		s.pages.Problem(w, r, status, sentence(why), "")
		return
	}
	refuse(w, status, why)
}

// isPage: a browser shows the answer to a person.
func isPage(r *http.Request) bool { return r.Method == http.MethodGet && byBrowser(r) }

// byBrowser: a browser asks, for a page or by a form.
func byBrowser(r *http.Request) bool {
	return !strings.HasPrefix(r.URL.Path, "/api/") && strings.Contains(r.Header.Get("Accept"), "text/html")
}

// note writes down that a deed was refused.
func (s *site) note(r *http.Request, v access.Visit, why string) {
	host := hostOf(r.RemoteAddr)
	s.Log.Warn("a request was refused", "who", v.Name, "address", host, "method", r.Method, "path", r.URL.Path, "why", why)
	s.Access.Refused(r.Context(), access.Refusal{Actor: v.Name, Subject: r.Method + " " + r.URL.Path, Why: why, Address: host})
}

// refuseToken answers who brought a token that is none, or is at the socket and has no role.
func (s *site) refuseToken(w http.ResponseWriter, r *http.Request, v access.Visit) {
	if v.Name != "" {
		s.note(r, v, "neither root, nor the daemon's user, nor in access.socket_group")
		refuse(w, http.StatusForbidden, v.Name+" is neither root, nor the daemon's user, nor in access.socket_group")
		return
	}
	if s.Door.failedToken(r) > mostFailures {
		tooMany(w)
		return
	}
	s.Access.Refused(r.Context(), access.Refusal{Subject: "token", Why: wrongToken, Address: hostOf(r.RemoteAddr)})
	w.Header().Set("WWW-Authenticate", `Bearer realm="keyrounds", error="invalid_token"`) // RFC 6750 §3.1
	refuse(w, http.StatusUnauthorized, "this token is none, or has ended")
}
