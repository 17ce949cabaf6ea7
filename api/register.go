package api

import (
	"context"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/keyrounds/keyrounds/access"
)

// route is a row of the table of routes. It is written without names, so that a route that says not who may take it does not
// compile.
type route struct {
	method, path string
	id           string      // of the operation, in the document and for generated clients
	deed         access.Deed // who may
	tag          string
	summary      string
	does         operation
}

// operation registers what a route does.
type operation func(s *server, op huma.Operation)

// does makes an operation of a function. An error of it that is no *Problem is told by problemOf.
func does[In, Out any](f func(context.Context, *In) (*Out, error)) operation {
	return func(s *server, op huma.Operation) {
		huma.Register(s.api, op, func(ctx context.Context, in *In) (*Out, error) {
			out, err := f(ctx, in)
			if err != nil {
				return nil, s.problemOf(ctx, op.OperationID, err)
			}
			return out, nil
		})
	}
}

// accepts also takes bodies of up to so many bytes.
func (do operation) accepts(bytes int64) operation {
	return func(s *server, op huma.Operation) {
		op.MaxBodyBytes = bytes
		do(s, op)
	}
}

// answers has the document say another status than 200.
func (do operation) answers(status int) operation {
	return func(s *server, op huma.Operation) {
		op.DefaultStatus = status
		do(s, op)
	}
}

const deedKey = "x-keyrounds-deed" // in the document: what a role must be allowed

func (s *server) register(r route) {
	op := huma.Operation{
		Method: r.method, Path: r.path, OperationID: r.id, Tags: []string{r.tag}, Summary: r.summary,
		MaxBodyBytes: 256 << 10,
		Extensions:   map[string]any{deedKey: string(r.deed)},
		Middlewares:  huma.Middlewares{s.allow(r.deed)},
		Responses:    s.problems(r),
	}
	if r.method == http.MethodPost {
		op.Parameters = append(op.Parameters, onceParam())
	}
	r.does(s, op)
	s.finish(s.operation(r.method, r.path))
}

// operation finds what was registered in the document.
func (s *server) operation(method, path string) *huma.Operation {
	item := s.api.OpenAPI().Paths[path]
	return map[string]*huma.Operation{
		http.MethodGet: item.Get, http.MethodPost: item.Post, http.MethodPatch: item.Patch,
		http.MethodDelete: item.Delete, http.MethodPut: item.Put,
	}[method]
}

// finish tells the fields of a list's things, which are known by their type only.
func (s *server) finish(op *huma.Operation) {
	for _, p := range op.Parameters {
		if p.Name != "fields" || p.In != "query" {
			continue
		}
		page := s.pageOf(op)
		p.Schema.Items.Enum = nil
		for _, name := range slices.Sorted(mapsKeys(page.Properties)) {
			p.Schema.Items.Enum = append(p.Schema.Items.Enum, name)
		}
		p.Schema.Items.PrecomputeMessages()
	}
}

// pageOf is the schema of the things that a list has.
func (s *server) pageOf(op *huma.Operation) *huma.Schema {
	reg := s.api.OpenAPI().Components.Schemas
	page := reg.SchemaFromRef(op.Responses["200"].Content["application/json"].Schema.Ref)
	items := page.Properties["items"].Items
	if items.Ref != "" {
		items = reg.SchemaFromRef(items.Ref)
	}
	return items
}

// problems are the answers that every operation may give beside its own.
func (s *server) problems(r route) map[string]*huma.Response {
	schema := s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Problem](), true, "Problem")
	all := map[string]*huma.Response{}
	codes := []int{
		http.StatusUnauthorized, http.StatusForbidden, http.StatusUnprocessableEntity, http.StatusTooManyRequests,
		http.StatusInternalServerError, http.StatusServiceUnavailable,
	}
	if strings.Contains(r.path, "{") || r.id == "tryReport" { // of an owner who has nothing in it
		codes = append(codes, http.StatusNotFound)
	}
	if r.method != http.MethodGet {
		codes = append(codes, http.StatusBadRequest, http.StatusConflict, http.StatusPreconditionFailed,
			http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	}
	for _, code := range codes {
		all[itoa(code)] = &huma.Response{
			Description: meanings[code],
			Content:     map[string]*huma.MediaType{problemType: {Schema: schema}},
		}
	}
	return all
}
