package pages

import (
	"net/http"
	"time"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/usage"
)

// AssetURL is where a static file is.
func AssetURL(name string) string { return assetURL(name) }

// As is a request of somebody with a role.
func As(r *http.Request, name, role string) *http.Request {
	who := access.Who{Name: name, Role: access.Role(role)}
	return r.WithContext(access.WithVisit(r.Context(), access.Visit{Who: who, Shown: name}))
}

// CoverageOf draws when a feed was watching.
func CoverageOf(fd usage.FeedStatus, now time.Time) (label, before, watched, gap string) {
	c := coverageOf(Frame{Now: now}, fd)
	return c.Label, c.Before, c.Watched, c.Gap
}

// CertificateWords are what the page of a provider says of its certificate.
var CertificateWords = certificateWords
