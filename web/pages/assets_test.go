package pages_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/keyrounds/keyrounds/sim/authserver"
	"github.com/keyrounds/keyrounds/test/lasting"
	"github.com/keyrounds/keyrounds/web/pages"
)

// What is vendored is what npm has under the versions of the lockfile: make assets.
// (docs/promises.md#pages-load-and-ask-nothing-elsewhere).
func TestWhatIsVendoredIsWhatNpmHas(t *testing.T) {
	t.Parallel()
	lasting.Test(t, "it asks npm")
	dir, err := filepath.Abs("assets")
	if err != nil {
		t.Fatal(err)
	}
	home, err := authserver.Packages(dir, filepath.Join(dir, "..", "..", "..", "bin", "npm"))
	if err != nil {
		t.Fatal(err)
	}
	into := t.TempDir()
	if out, err := exec.Command(filepath.Join(dir, "copy.sh"), filepath.Join(home, "node_modules"), into).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, name := range []string{"htmx.js", "uplot.js", "uplot.css", "LICENCES.txt"} {
		want, err1 := os.ReadFile(filepath.Join(into, name))
		got, err2 := os.ReadFile(filepath.Join("static", name))
		if err1 != nil || err2 != nil || !bytes.Equal(got, want) {
			t.Errorf("static/%s is not what npm has (%v, %v): make assets", name, err1, err2)
		}
	}
}

// A static file is at an address that its content makes, stays there for good, and is sent small.
func TestStaticFilesStay(t *testing.T) {
	t.Parallel()
	site := pages.New(pages.Options{})
	mux := http.NewServeMux()
	for _, r := range site.Routes() {
		mux.Handle(r.Pattern, r.Handler)
	}
	r := httptest.NewRequest(http.MethodGet, pages.AssetURL("base.css"), http.NoBody)
	r.Header.Set("Accept-Encoding", "gzip")
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	h := w.Header()
	if w.Code != http.StatusOK || !strings.Contains(h.Get("Cache-Control"), "immutable") || h.Get("Content-Encoding") != "gzip" ||
		!strings.HasPrefix(h.Get("Content-Type"), "text/css") {
		t.Errorf("HTTP %d %v", w.Code, h)
	}
	w = httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/static/base.css", http.NoBody))
	if w.Code != http.StatusNotFound {
		t.Errorf("a file without its content's name: HTTP %d", w.Code)
	}
}

// No template has a style or a script in it, which the policy would refuse.
// (docs/promises.md#pages-load-and-ask-nothing-elsewhere).
func TestTemplatesKeepThePolicy(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("templates/*.html")
	if err != nil || len(files) < 5 {
		t.Fatal(files, err)
	}
	bad := regexp.MustCompile(`(?i)\s(style|on[a-z]+)=|<style|javascript:|<script(?:>|\s+[^s])`)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if m := bad.FindString(string(text)); m != "" {
			t.Errorf("%s has %q", file, m)
		}
	}
}
