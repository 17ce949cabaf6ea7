package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
)

// describe is the OpenAPI document without its operations.
func (s *server) describe() *huma.OpenAPI {
	return &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{
			Title:   "keyrounds",
			Version: s.Version,
			Description: "Credentials, what their checks say, findings, use, leaks and reports; and what a person may do about them. " +
				"docs/api.md walks through it with curl.",
			License: &huma.License{Name: "Apache-2.0", URL: "https://www.apache.org/licenses/LICENSE-2.0"},
		},
		Servers: []*huma.Server{{URL: prefix, Description: "The daemon that serves this document."}},
		Tags:    tags(),
		Components: &huma.Components{
			Schemas:         huma.NewMapRegistry("#/components/schemas/", schemaName),
			SecuritySchemes: securitySchemes(),
		},
		Security: []map[string][]string{{}, {"token": {}}, {"basic": {}}},
	}
}

func securitySchemes() map[string]*huma.SecurityScheme {
	return map[string]*huma.SecurityScheme{
		"token": {Type: "http", Scheme: "bearer", Description: "A token of this API."},
		"basic": {Type: "http", Scheme: "basic", Description: "A name and password of web_config."},
	}
}

// schemaName names a schema by its type; those of other packages by their package as well, since several have the same name.
func schemaName(t reflect.Type, hint string) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	name := huma.DefaultSchemaNamer(t, hint)
	switch pkg := t.PkgPath(); {
	case t.Name() == "", pkg == "", strings.HasSuffix(pkg, "/api"):
	default:
		pkg = pkg[strings.LastIndex(pkg, "/")+1:]
		name = strings.ToUpper(pkg[:1]) + pkg[1:] + name
	}
	name = strings.ReplaceAll(name, "JSON", "")
	if of, isPage := strings.CutPrefix(name, "Page"); isPage && of != "" {
		return of + "Page"
	}
	return name
}

// serveDocument serves the document itself, to everybody: it says nothing of what is here. It is written when it is first asked for,
// since most commands that have the API in their process never do.
func (s *server) serveDocument(mux *http.ServeMux) {
	for _, of := range []string{"V2ErrorModel", "V2ErrorDetail"} { // huma's, whose place Problem takes
		delete(s.api.OpenAPI().Components.Schemas.Map(), of)
	}
	document := sync.OnceValue(func() []byte {
		text, err := json.MarshalIndent(s.api.OpenAPI(), "", "  ")
		if err != nil {
			panic(err) // it is made of constants; tests make it
		}
		// huma's own member, which JSON Schema does not know.
		return bytes.ReplaceAll(text, []byte(`"patternDescription":`), []byte(`"x-pattern-description":`))
	})
	mux.HandleFunc("GET "+prefix+"/openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(document())
	})
}
