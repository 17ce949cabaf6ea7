package api_test

import (
	"net/http"
	"strings"
	"testing"
)

// The page of the document shows every operation, runs no script and loads nothing from elsewhere.
func TestTheDocsPage(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	a := h.ask(http.MethodGet, "/docs", "", "Ask", "nobody")
	body, policy := string(a.body), a.Header.Get("Content-Security-Policy")
	if a.StatusCode != 200 || !strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-") || strings.Contains(policy, "unsafe") {
		t.Errorf("HTTP %d, policy %s", a.StatusCode, policy)
	}
	for _, bad := range []string{"<script", "src=", "<link", "@import", "url(", "http://", "https://", "ZgotmplZ"} {
		if strings.Contains(body, bad) {
			t.Errorf("the page has %s", bad)
		}
	}
	h.operations(func(_, path string, op operation) {
		if !strings.Contains(body, `<article id="`+op.ID+`">`) || !strings.Contains(body, "/api"+path) {
			t.Errorf("the page lacks %s", op.ID)
		}
	})
}
