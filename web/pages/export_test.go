package pages

import (
	"net/http"

	"github.com/keyrounds/keyrounds/access"
)

// AssetURL is where a static file is.
func AssetURL(name string) string { return assetURL(name) }

// As is a request of somebody with a role.
func As(r *http.Request, name, role string) *http.Request {
	who := access.Who{Name: name, Role: access.Role(role)}
	return r.WithContext(access.WithVisit(r.Context(), access.Visit{Who: who, Shown: name}))
}
