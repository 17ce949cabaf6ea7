package api

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"github.com/keyrounds/keyrounds/access"
)

//go:embed docs.html docs.css
var docsFiles embed.FS

// docsPage is the document as a page: operations by tag, and what is sent and answered.
type docsPage struct {
	Style   template.CSS
	Version string
	Tags    []docsTag
	Schemas []docsSchema
}

type docsTag struct {
	Name, Description string
	Operations        []docsOperation
}

type docsOperation struct {
	ID, Method, Path, Summary, Who, Curl string
	Parameters                           []docsMember
	Body                                 string // the schema's name
	Answers                              []docsAnswer
}

type docsAnswer struct{ Status, Description, Schema string }

type docsSchema struct {
	Name    string
	Members []docsMember
}

type docsMember struct {
	Name, In, Type, Description string
	Required                    bool
}

// serveDocs serves the page of the document. It has no script, and loads nothing.
func (s *server) serveDocs(mux *http.ServeMux) {
	style, err := docsFiles.ReadFile("docs.css")
	if err != nil {
		panic(err) // it is embedded
	}
	sum := sha256.Sum256(style)
	policy := fmt.Sprintf("default-src 'none'; style-src 'sha256-%s'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
		base64.StdEncoding.EncodeToString(sum[:]))
	page := sync.OnceValue(func() []byte {
		var page bytes.Buffer
		d := s.docs()
		d.Style = template.CSS(style) //nolint:gosec // it is embedded
		if err := template.Must(template.ParseFS(docsFiles, "docs.html")).Execute(&page, d); err != nil {
			panic(err) // tests make it
		}
		return page.Bytes()
	})
	mux.HandleFunc("GET "+prefix+"/docs", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", policy)
		_, _ = w.Write(page())
	})
}

func (s *server) docs() docsPage {
	api := s.api.OpenAPI()
	page := docsPage{Version: api.Info.Version}
	for _, tag := range api.Tags {
		t := docsTag{Name: tag.Name, Description: tag.Description}
		for _, r := range s.routes() {
			if r.tag == tag.Name {
				t.Operations = append(t.Operations, s.docsOf(r))
			}
		}
		page.Tags = append(page.Tags, t)
	}
	schemas := api.Components.Schemas.Map()
	for _, name := range slices.Sorted(maps.Keys(schemas)) {
		page.Schemas = append(page.Schemas, docsSchema{name, s.members(schemas[name])})
	}
	return page
}

// whose are the roles that may do a deed.
func whose(d access.Deed) string {
	var roles []string
	for _, r := range access.TokenRoles() {
		if (access.Who{Role: r}).May(d) {
			roles = append(roles, string(r))
		}
	}
	return strings.Join(roles, ", ")
}

func (s *server) docsOf(r route) docsOperation {
	op := s.operation(r.method, r.path)
	d := docsOperation{ID: r.id, Method: r.method, Path: prefix + r.path, Summary: r.summary, Who: whose(r.deed), Curl: s.curl(r, op)}
	for _, p := range op.Parameters {
		d.Parameters = append(d.Parameters, docsMember{p.Name, p.In, s.may(p.Schema), p.Description, p.Required})
	}
	if op.RequestBody != nil {
		if of := op.RequestBody.Content["application/json"]; of != nil {
			d.Body = nameOfSchema(of.Schema)
		}
	}
	for _, status := range slices.Sorted(maps.Keys(op.Responses)) {
		answer := op.Responses[status]
		a := docsAnswer{Status: status, Description: answer.Description}
		for _, media := range slices.Sorted(maps.Keys(answer.Content)) {
			if name := nameOfSchema(answer.Content[media].Schema); name != "" {
				a.Schema = name
			} else {
				a.Description += " " + media
			}
		}
		d.Answers = append(d.Answers, a)
	}
	return d
}

func nameOfSchema(schema *huma.Schema) string {
	return schema.Ref[strings.LastIndex(schema.Ref, "/")+1:]
}

func (s *server) members(schema *huma.Schema) (all []docsMember) {
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		p := schema.Properties[name]
		all = append(all, docsMember{name, "", s.typeOf(p), s.deref(p).Description, slices.Contains(schema.Required, name)})
	}
	return all
}

// typeOf names what a member is.
func (s *server) typeOf(schema *huma.Schema) string {
	switch {
	case schema.Ref != "":
		return nameOfSchema(schema)
	case schema.Items != nil:
		return "list of " + s.typeOf(schema.Items)
	case len(schema.Enum) > 0:
		return list(schema.Enum)
	case schema.Format == "date-time":
		return "time"
	case additional(schema) != nil:
		return "object of " + s.typeOf(additional(schema))
	}
	return schema.Type
}

// curl is a call of an operation, with samples for all that must be sent.
func (s *server) curl(r route, op *huma.Operation) string {
	path := strings.NewReplacer("{name}", "NAME", "{id}", "1", "{month}", "2026-10").Replace(prefix + r.path)
	parts := []string{`curl -H "Authorization: Bearer $KEYROUNDS_TOKEN"`}
	if r.method != http.MethodGet {
		parts = append(parts, "-X "+r.method)
	}
	if op.RequestBody != nil && op.RequestBody.Content[tarType] != nil {
		parts = append(parts, "-H 'Content-Type: "+tarType+"'", "--data-binary @files.tar")
	} else if op.RequestBody != nil {
		body, err := json.Marshal(s.sample(op.RequestBody.Content["application/json"].Schema))
		if err != nil {
			panic(err) // of constants
		}
		parts = append(parts, "-H 'Content-Type: application/json'", "-d '"+string(body)+"'")
	}
	return strings.Join(append(parts, `"$KEYROUNDS_SERVER`+path+`"`), " ")
}

// sample is a value with the members that must be there.
func (s *server) sample(schema *huma.Schema) any {
	schema = s.deref(schema)
	switch {
	case len(schema.Enum) > 0:
		return schema.Enum[0]
	case schema.Type == huma.TypeObject:
		o := map[string]any{}
		for _, name := range schema.Required {
			o[name] = s.sample(schema.Properties[name])
		}
		return o
	case schema.Type == huma.TypeArray:
		return []any{s.sample(schema.Items)}
	case schema.Type == huma.TypeInteger, schema.Type == huma.TypeNumber:
		return 1
	case schema.Type == huma.TypeBoolean:
		return true
	case schema.Format == "date-time":
		return "2026-12-01T08:00:00Z"
	case strings.HasPrefix(schema.Pattern, "^[0-9]{4}"):
		return "2026-10"
	}
	return "…"
}
