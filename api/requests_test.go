package api_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/finding"
)

// What was changed since it was read stays as it is.
func TestIfMatch(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	a := h.ask("POST", "/v1/credentials?first_check=as_scheduled", aNew)
	tag := a.Header.Get("ETag")
	if a.Header.Get("Location") != "/api/v1/credentials/new" || tag == "" ||
		tag != h.ask("GET", "/v1/credentials/new", "").Header.Get("ETag") {
		t.Errorf("Location %q, ETag %q", a.Header.Get("Location"), tag)
	}
	do[api.CheckJSON](h, 200, "POST", "/v1/credentials/new/check", ``)
	changed := h.ask("PATCH", "/v1/credentials/new", `{"owner": "ops"}`, "If-Match", `"other", W/`+tag)
	if changed.StatusCode != 200 || changed.Header.Get("ETag") == tag {
		t.Errorf("as it was read, but for a check: HTTP %d", changed.StatusCode)
	}
	for _, c := range []struct{ method, path, body string }{
		{"PATCH", "/v1/credentials/new", `{"owner": "web"}`},
		{"POST", "/v1/credentials/new/rotate", `{"client_secret": "x"}`},
		{"POST", "/v1/credentials/new/retire", ``},
	} {
		do[told](h, http.StatusPreconditionFailed, c.method, c.path, c.body, "If-Match", tag)
	}
	if c := into[api.CredentialJSON](h, "/v1/credentials/new"); c.Owner != "ops" || c.Status != "healthy" {
		t.Errorf("it was changed: %+v", c)
	}
	path := fmt.Sprintf("/v1/findings/%d", h.open(finding.Revoked, "web-a")[0])
	first := h.ask("GET", path, "").Header.Get("ETag")
	do[api.FindingJSON](h, 200, "POST", path+"/acknowledge", ``, "If-Match", first)
	do[told](h, http.StatusPreconditionFailed, "POST", path+"/snooze", `{"for": "1h"}`, "If-Match", first)
	do[api.FindingJSON](h, 200, "POST", path+"/snooze", `{"for": "1h"}`, "If-Match", "*")
}

// A request that names itself is done once, also where it is sent again before it is answered.
func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	path := fmt.Sprintf("/v1/findings/%d/comment", h.open(finding.Revoked, "web-a")[0])
	say := `{"text": "it is being moved"}`
	var (
		mu     sync.Mutex
		bodies []string
		all    sync.WaitGroup
	)
	for range 8 {
		all.Go(func() {
			for {
				a := h.ask("POST", path, say, "Idempotency-Key", "k-1")
				if a.StatusCode == http.StatusConflict {
					continue
				}
				mu.Lock()
				bodies = append(bodies, string(a.body))
				mu.Unlock()
				return
			}
		})
	}
	all.Wait()
	slices.Sort(bodies)
	if len(slices.Compact(bodies)) != 1 {
		t.Errorf("the answers differ: %v", bodies)
	}
	timeline := strings.TrimSuffix(path, "comment") + "timeline"
	if got := h.all(timeline, "action", nil); fmt.Sprint(got) != "[finding.opened finding.commented]" {
		t.Errorf("it was done again: %v", got)
	}
	a := h.ask("POST", path, say, "Idempotency-Key", "k-1")
	if a.Header.Get("Idempotency-Replayed") != "true" || a.Header.Get("ETag") == "" {
		t.Errorf("again: %v", a.Header)
	}
	if p := do[told](h, 422, "POST", path, `{"text": "other"}`, "Idempotency-Key", "k-1"); !strings.Contains(p.Detail, "another request") {
		t.Error(p.Detail)
	}
	do[told](h, 422, "POST", path, say, "Idempotency-Key", "a b")
	do[told](h, 422, "POST", path, `{}`, "Idempotency-Key", "k-2")
	do[api.FindingJSON](h, 200, "POST", path, say, "Idempotency-Key", "k-2") // what failed may be sent again
	do[api.CredentialJSON](h, http.StatusCreated, "POST", "/v1/credentials?first_check=as_scheduled", aNew, "Idempotency-Key", "k-3")
	do[api.CredentialJSON](h, http.StatusCreated, "POST", "/v1/credentials?first_check=as_scheduled", aNew, "Idempotency-Key", "k-3")
}

// Who asks too much is told when to go on; others are not bothered.
func TestLimits(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(o *api.Options) { o.PerMinute = 3 })
	for i := range 5 {
		a := h.ask("GET", "/v1/version", "", "Ask", "viewer")
		if want := map[bool]int{true: 200, false: 429}[i < 3]; a.StatusCode != want {
			t.Errorf("request %d: HTTP %d, want %d", i, a.StatusCode, want)
		}
		if a.Header.Get("RateLimit-Policy") != `"default";q=3;w=60` || !strings.HasPrefix(a.Header.Get("RateLimit"), `"default";r=`) ||
			(a.StatusCode == 429) != (a.Header.Get("Retry-After") != "") {
			t.Errorf("headers %v", a.Header)
		}
	}
	if a := h.ask("GET", "/v1/version", "", "Ask", "responder"); a.StatusCode != 200 {
		t.Errorf("somebody else: HTTP %d", a.StatusCode)
	}
}

// Answers are compressed for those who take it.
func TestGzip(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	a := h.ask("GET", "/openapi.json", "", "Accept-Encoding", "gzip")
	if a.Header.Get("Content-Encoding") != "gzip" {
		t.Fatalf("headers %v", a.Header)
	}
	z, err := gzip.NewReader(bytes.NewReader(a.body))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil || !json.Valid(text) {
		t.Errorf("%v: %.100s", err, text)
	}
}
