package web

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/verdict"
)

// params are the parameters of a route, each with the words that it may be; none: any text.
type params map[string][]string

var (
	findingParams = params{
		"kind": texts(finding.Kinds()), "severity": texts([]finding.Severity{finding.Critical, finding.Warning, finding.Info}),
		"resolved": {"true", "false"}, "credential": nil, "limit": nil, "after": nil,
	}
	credentialParams = params{"status": texts(verdict.Statuses()), "provider": nil, "q": nil, "limit": nil, "after": nil}
	usageParams      = params{"status": nil, "provider": nil, "q": nil, "limit": nil, "after": nil}
	reportParams     = params{"format": nil, "owner": nil, "edition": nil}
)

func texts[T ~string](words []T) (all []string) {
	for _, w := range words {
		all = append(all, string(w))
	}
	return all
}

// takes refuses what a route does not know: who has mistyped a filter is not told that there is nothing.
func (p params) takes(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for name, values := range r.URL.Query() {
			words, known := p[name]
			switch {
			case !known && len(p) == 0:
				refuse(w, http.StatusBadRequest, fmt.Sprintf("there is no parameter %q here", name))
				return
			case !known:
				refuse(
					w,
					http.StatusBadRequest,
					fmt.Sprintf("there is no parameter %q; there is: %s", name, strings.Join(slices.Sorted(maps.Keys(p)), ", ")),
				)
				return
			case len(values) > 1:
				refuse(w, http.StatusBadRequest, fmt.Sprintf("%s is given %d times", name, len(values)))
				return
			case len(words) > 0 && !slices.Contains(words, values[0]):
				refuse(w, http.StatusBadRequest, fmt.Sprintf("%s %q is none of %s", name, values[0], strings.Join(words, ", ")))
				return
			}
		}
		next(w, r)
	}
}
