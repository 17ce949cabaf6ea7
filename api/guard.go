package api

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"unicode/utf8"
)

// guard answers what no operation does: unknown addresses and methods, what is not UTF-8, and mistakes of ours.
func (s *server) guard(next http.Handler, mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if err, is := v.(error); is && (errors.Is(err, http.ErrAbortHandler) || errors.Is(err, errBrokenOff)) {
				panic(http.ErrAbortHandler)
			}
			stack := string(debug.Stack())
			s.Log.Error("a request panicked", "method", r.Method, "path", r.URL.Path, "panic", fmt.Sprint(v), "stack", stack)
			write(w, problem(http.StatusInternalServerError, "This is a mistake of keyrounds, and its log has it."))
		}()
		if p := unreadable(r); p != nil {
			write(w, p)
			return
		}
		if _, pattern := mux.Handler(r); pattern == "" {
			write(w, nowhere(w, mux, r))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// errBrokenOff ends an answer that has begun and cannot be finished, so that nobody takes it for whole.
var errBrokenOff = errors.New("the answer broke off")

// unreadable says what of an address cannot be read, before anything reads it.
func unreadable(r *http.Request) *Problem {
	if !plain(r.URL.Path) {
		return problem(http.StatusNotFound, "The address is not UTF-8 text, so nothing is there.")
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return problem(http.StatusUnprocessableEntity, "The parameters after ? cannot be read: write name=value, joined by &, "+
			"with % before the two digits of what has a meaning of its own.")
	}
	for name, values := range q {
		switch {
		case !plain(name) || !plain(strings.Join(values, "")):
			return wrongly(Wrong{"query." + clean(name), fmt.Sprintf("The parameter %q is not UTF-8 text.", clean(name))})
		case len(values) > 1:
			why := fmt.Sprintf("The parameter %q is given %d times; give it once.", clean(name), len(values))
			return wrongly(Wrong{"query." + clean(name), why})
		}
	}
	return nil
}

// plain reports whether a text can be stored: Postgres takes no NUL.
func plain(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

var methods = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

// nowhere is the problem of what no route is for: another method, or nothing at all.
func nowhere(w http.ResponseWriter, mux *http.ServeMux, r *http.Request) *Problem {
	var allowed []string
	for _, m := range methods {
		other := r.Clone(r.Context())
		other.Method = m
		if _, pattern := mux.Handler(other); pattern != "" {
			allowed = append(allowed, m)
		}
	}
	if len(allowed) == 0 {
		return problem(http.StatusNotFound, "Nothing is at this address. "+prefix+"/openapi.json lists what there is.")
	}
	slices.Sort(allowed)
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	why := fmt.Sprintf("%s is not possible here; possible are: %s.", clean(r.Method), strings.Join(allowed, ", "))
	return problem(http.StatusMethodNotAllowed, why)
}
