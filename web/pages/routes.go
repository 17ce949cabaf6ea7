package pages

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// Route is an address and what answers it.
type Route struct {
	Pattern string // of http.ServeMux
	Handler http.Handler
}

// Routes are all routes of the pages. Who may use them stands in web/may.go.
func (p *Pages) Routes() []Route {
	routes := []Route{
		{"GET /{$}", zipped(p.overview)},
		{"GET /credentials", zipped(p.credentials)},
		{"GET /credentials.csv", zipped(p.credentialsCSV)},
		{"GET /credentials/-/new", zipped(p.newCredential)},
		{"POST /credentials/-/new", http.HandlerFunc(p.addCredential)},
		{"GET /credentials/-/retire", zipped(p.retireForm)},
		{"POST /credentials/-/retire", http.HandlerFunc(p.retire)},
		{"GET /credentials/{name}/edit", zipped(p.editCredential)},
		{"POST /credentials/{name}/edit", http.HandlerFunc(p.saveCredential)},
		{"GET /credentials/{name}/rotate", zipped(p.rotateForm)},
		{"POST /credentials/{name}/rotate", http.HandlerFunc(p.rotateCredential)},
		{"GET /credentials/{name}/restore", zipped(p.restoreForm)},
		{"POST /credentials/{name}/restore", http.HandlerFunc(p.restoreCredential)},
		{"GET /credentials/{name}", zipped(p.credential)},
		{"POST /credentials/-/bulk", http.HandlerFunc(p.bulk)},
		{"POST /credentials/{name}/check", http.HandlerFunc(p.checkOne)},
		{"GET /findings", zipped(p.findings)},
		{"GET /findings.csv", zipped(p.findingsCSV)},
		{"GET /findings/{id}", zipped(p.finding)},
		{"GET /findings/act", zipped(p.askAct)},
		{"POST /findings/act", http.HandlerFunc(p.act)},
		{"POST /findings/bulk", http.HandlerFunc(p.bulkFindings)},
		{"POST /findings/{id}/comment", http.HandlerFunc(p.comment)},
		{"GET /mine", zipped(p.mine)},
		{"POST /decide", http.HandlerFunc(p.decide)},
		{"GET /reports", zipped(p.reports)},
		{"GET /reports/unused/{month}", zipped(p.report)},
		{"POST /reports/unused/{month}/freeze", http.HandlerFunc(p.freeze)},
		{"POST /reports/unused/{month}/amend", http.HandlerFunc(p.amend)},
		{"POST /reports/unused/{month}/sign-off", http.HandlerFunc(p.signOff)},
		{"GET /record", zipped(p.record)},
		{"GET /settings", zipped(p.settings)},
		{"POST /silences", http.HandlerFunc(p.addSilence)},
		{"POST /silences/{id}/end", http.HandlerFunc(p.endSilence)},
		{"POST /receivers/{name}/test", http.HandlerFunc(p.testReceiver)},
		{"GET /providers", zipped(p.providers)},
		{"GET /providers/{name}", zipped(p.oneProvider)},
		{"GET /usage", zipped(p.usage)},
		{"GET /usage/attempts", zipped(p.attempts)},
		{"GET /usage/unregistered", zipped(p.unregistered)},
		{"GET /feeds", zipped(p.feeds)},
		{"GET /leaks", zipped(p.leaks)},
		{"GET /leaks/sources", zipped(p.leakSources)},
		{"GET /leaks/proofs", zipped(p.leakProofs)},
		{"GET /static/{file}", zipped(p.static)},
		{"POST /findings/{id}/acknowledge", http.HandlerFunc(p.acknowledge)},
		{"POST /findings/{id}/unacknowledge", http.HandlerFunc(p.unacknowledge)},
		{"POST /theme", http.HandlerFunc(p.setTheme)},
		{"POST /keys", http.HandlerFunc(p.setKeys)},
	}
	for i := range routes {
		routes[i].Handler = p.ofText(routes[i].Handler)
	}
	return routes
}

// ofText refuses an address that is no text, which no store takes: what is not UTF-8, and NUL.
func (p *Pages) ofText(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !areTexts(r.URL.Path) || !ofTexts(r.URL.Query()) {
			p.Problem(w, r, http.StatusBadRequest, "This address has signs in it that no text has.", "Begin again at /.")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func areTexts(all ...string) bool {
	return !slices.ContainsFunc(all, func(text string) bool { return !utf8.ValidString(text) || strings.Contains(text, "\x00") })
}

func ofTexts(q url.Values) bool {
	for key, values := range q {
		if !areTexts(key) || !areTexts(values...) {
			return false
		}
	}
	return true
}
