package pages

import (
	"context"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/verdict"
)

// credentialList is what the address of a list asks for. All of it is in the URL.
type credentialList struct {
	Search   string // q: a part of the name
	Status   string // status
	Provider string // provider
	Owner    string // owner
	Label    string // label: name=value
	Usage    string // usage: unused, never_used
	Ends     string // ends: soon, old
	Sort     string // sort: name; "": the worst first
	After    string // after: a cursor
}

var errList = errors.New("no list has that")

func readList(q url.Values) (credentialList, error) {
	l := credentialList{
		Search: strings.TrimSpace(q.Get("q")), Status: q.Get("status"), Provider: q.Get("provider"), Owner: q.Get("owner"),
		Label: q.Get("label"),
		Usage: q.Get("usage"), Ends: q.Get("ends"), Sort: q.Get("sort"), After: q.Get("after"),
	}
	if l.Status != "" && !slices.Contains(verdict.Statuses(), verdict.Status(l.Status)) ||
		!slices.Contains([]string{"", "unused", "never_used"}, l.Usage) || !slices.Contains([]string{"", "soon", "old"}, l.Ends) ||
		!slices.Contains([]string{"", "name"}, l.Sort) {
		return l, errList
	}
	for _, text := range []string{l.Search, l.Provider, l.Owner, l.Label} {
		if len(text) > 500 || strings.Contains(text, "\x00") {
			return l, errList
		}
	}
	_, err := audit.ParseCursor(l.After)
	return l, err
}

func (l credentialList) values() url.Values {
	q := url.Values{}
	for key, value := range map[string]string{
		"q": l.Search, "status": l.Status, "provider": l.Provider, "owner": l.Owner, "label": l.Label, "usage": l.Usage, "ends": l.Ends,
		"sort": l.Sort, "after": l.After,
	} {
		if value != "" {
			q.Set(key, value)
		}
	}
	return q
}

// counted is whether the counts by provider and status say how many there are.
func (l credentialList) counted() bool {
	return l.Search == "" && l.Owner == "" && l.Label == "" && l.Usage == "" && l.Ends == ""
}

// with is the address of the list with another value of one thing, from its first page on; "" takes that away.
func (l credentialList) with(key, value string) string {
	q := l.values()
	q.Del("after")
	q.Del(key)
	if value != "" {
		q.Set(key, value)
	}
	if len(q) == 0 {
		return "/credentials"
	}
	return "/credentials?" + q.Encode()
}

// query is what the stores are asked for. They choose by what they know; findings say what is unused or ends.
func (p *Pages) query(ctx context.Context, l credentialList) (q audit.Query, err error) {
	q = audit.Query{
		Provider: l.Provider, Status: verdict.Status(l.Status), Search: l.Search, ByName: l.Sort == "name", Limit: onePage,
		Retired: l.Status == string(verdict.Retired),
	}
	if q.After, err = audit.ParseCursor(l.After); err != nil {
		return q, err
	}
	switch {
	case l.Usage == "unused":
		q.With = finding.Unused
	case l.Usage == "never_used":
		q.With = finding.NeverUsed
	case l.Ends == "soon":
		q.With = finding.Expiring
	case l.Ends == "old":
		q.With = finding.StaleSecret
	}
	if l.Owner != "" {
		if q.Among, err = p.Registry.OfOwners(ctx, []string{l.Owner}); err != nil {
			return q, err
		}
	}
	if l.Label != "" {
		name, value, _ := strings.Cut(l.Label, "=")
		labelled, err := p.Registry.OfLabel(ctx, name, value)
		if err != nil {
			return q, err
		}
		if q.Among == nil {
			q.Among = labelled
		} else {
			q.Among = slices.DeleteFunc(q.Among, func(id int64) bool {
				_, both := slices.BinarySearch(labelled, id)
				return !both
			})
		}
	}
	return q, nil
}

func sortedProviders(f Frame) []string { return slices.Sorted(maps.Keys(f.Nav.providers)) }
