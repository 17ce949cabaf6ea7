package api

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
)

// Page is a part of a list. Items is never null.
type Page[T any] struct {
	Items []T    `json:"items" nullable:"false" doc:"The things of this page."`
	Total int    `json:"total" doc:"How many there are on all pages together."`
	Next  string `json:"next,omitempty" doc:"The cursor of the next page; absent: this is the last one."`
}

// Paged is what every list can be asked for.
type Paged struct {
	Limit  int      `query:"limit" default:"50" minimum:"1" maximum:"1000" doc:"How many things of the list a page has at most."`
	Cursor string   `query:"cursor" maxLength:"1000" doc:"Where the page begins: next of the page before."`
	Fields []string `query:"fields" enum:"x" nullable:"false" doc:"Only these members of each thing; without it, all of them."`
}

// after reads the place that a cursor says into one of the same list.
func (p Paged) after(place any) error {
	if p.Cursor == "" {
		return nil
	}
	b, err := base64.RawURLEncoding.DecodeString(p.Cursor)
	if err == nil {
		d := json.NewDecoder(bytes.NewReader(b))
		d.DisallowUnknownFields()
		err = d.Decode(place)
	}
	if err != nil {
		return wrongCursor(p.Cursor)
	}
	return nil
}

func wrongCursor(cursor string) error {
	return wrongly(Wrong{"query.cursor", fmt.Sprintf("cursor is %q; it may be next of a page of this list only.", clean(cursor))})
}

// cursor is opaque to those who get it.
func cursor(place any) string {
	b, err := json.Marshal(place)
	if err != nil {
		panic(err) // a place has numbers, texts and times
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// pageOf makes a page of things of which one more than limit was read, where there are more.
func pageOf[T, J any](read []T, limit, total int, form func(T) J, place func(T) any) *Page[J] {
	p := &Page[J]{Items: make([]J, 0, min(len(read), limit)), Total: total}
	for _, v := range read[:min(len(read), limit)] {
		p.Items = append(p.Items, form(v))
	}
	if len(read) > limit {
		p.Next = cursor(place(read[limit-1]))
	}
	return p
}

// listed is the answer of a list.
type listed[T any] struct{ Body Page[T] }

// whole makes a page of a list that is short by its nature, and is read as a whole: what the configuration names.
func whole[T any](in Paged, all []T) (*listed[T], error) {
	var from int
	if err := in.after(&from); err != nil {
		return nil, err
	}
	if from < 0 || from > len(all) {
		return nil, wrongCursor(in.Cursor)
	}
	p := Page[T]{Items: append([]T{}, all[from:min(len(all), from+in.Limit)]...), Total: len(all)}
	if end := from + in.Limit; end < len(all) {
		p.Next = cursor(end)
	}
	return &listed[T]{p}, nil
}

func (p Page[T]) isPage() {}

// onlyFields leaves those members of a list's things that were asked for.
func onlyFields(ctx huma.Context, _ string, v any) (any, error) {
	asked := ctx.Query("fields")
	if _, is := v.(interface{ isPage() }); !is || asked == "" {
		return v, nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var page struct {
		Items []map[string]json.RawMessage `json:"items"`
		Total int                          `json:"total"`
		Next  string                       `json:"next,omitempty"`
	}
	if err := json.Unmarshal(b, &page); err != nil {
		return nil, err
	}
	keep := strings.Split(asked, ",")
	for _, item := range page.Items {
		for name := range item {
			if !slices.Contains(keep, name) {
				delete(item, name)
			}
		}
	}
	return page, nil
}

func sorted[V any](m map[string]V) []string {
	return slices.AppendSeq([]string{}, slices.Values(slices.Sorted(maps.Keys(m))))
}

func isUUID(s string) bool { return uuid.Validate(s) == nil }
