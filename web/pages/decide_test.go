package pages_test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// Several decisions are all noted, or none.
func TestDecisionsAreAllOrNone(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "first", "second")
	client := h.admin()
	post := func(path string, form url.Values) (int, string) {
		t.Helper()
		resp, err := client.PostForm(h.base+path, form)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text)
	}
	for _, second := range []url.Values{{"choice/second": {"explode"}}, {"choice/zz-nobody": {"keep"}}} {
		form := url.Values{"choice/first": {"keep"}, "why": {"it runs"}, "back": {"/mine"}}
		for k, v := range second {
			form[k] = v
		}
		if status, text := post("/decide", form); status != http.StatusUnprocessableEntity || strings.Contains(text, "is noted") {
			t.Errorf("%v: %d", second, status)
		}
		if n := decisions(t, h); n != 0 {
			t.Errorf("%v: %d are noted", second, n)
		}
	}
	if status, _ := post("/decide", url.Values{
		"choice/first": {"keep"}, "choice/second": {"revoke"}, "why": {"it runs"}, "back": {"/mine"},
	}); status != http.StatusOK && status != http.StatusSeeOther {
		t.Errorf("both: %d", status)
	}
	if n := decisions(t, h); n != 2 {
		t.Errorf("%d are noted", n)
	}
}

// A form that says nothing retires nothing and does not say that it did, and what is not there is not the database's fault.
func TestRetiringNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "first")
	client := h.admin()
	for form, want := range map[string]int{"": http.StatusBadRequest, "id=nobody": http.StatusNotFound} {
		resp, err := client.Post(h.base+"/credentials/-/retire", "application/x-www-form-urlencoded", strings.NewReader(form))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%q: %d, want %d", form, resp.StatusCode, want)
		}
	}
}

// Credentials with the names of our own addresses have their pages.
func TestNamesOfAddresses(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "new", "retire", "bulk", "edit")
	client := h.admin()
	for _, name := range []string{"new", "retire", "bulk", "edit"} {
		resp, err := client.Get(h.base + "/credentials/" + name)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(text), "<title>"+name) {
			t.Errorf("%s: %d %.200s", name, resp.StatusCode, text)
		}
	}
}

func decisions(t *testing.T, h *house) (n int) {
	t.Helper()
	if err := h.app.Pool.QueryRow(t.Context(), `SELECT count(*) FROM decisions`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
