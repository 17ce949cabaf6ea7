package pages

import "net/http"

// Route is an address and what answers it.
type Route struct {
	Pattern string // of http.ServeMux
	Handler http.Handler
}

// Routes are all routes of the pages. Who may use them stands in web/may.go.
func (p *Pages) Routes() []Route {
	return []Route{
		{"GET /{$}", zipped(p.overview)},
		{"GET /credentials", zipped(p.credentials)},
		{"GET /credentials.csv", zipped(p.credentialsCSV)},
		{"POST /credentials/bulk", http.HandlerFunc(p.bulk)},
		{"POST /credentials/{name}/check", http.HandlerFunc(p.checkOne)},
		{"GET /static/{file}", zipped(p.static)},
		{"POST /findings/{id}/acknowledge", http.HandlerFunc(p.acknowledge)},
		{"POST /findings/{id}/unacknowledge", http.HandlerFunc(p.unacknowledge)},
		{"POST /theme", http.HandlerFunc(p.setTheme)},
		{"POST /keys", http.HandlerFunc(p.setKeys)},
	}
}
