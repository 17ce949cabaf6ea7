package client_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/keyrounds/keyrounds/api/client"
	"github.com/keyrounds/keyrounds/secret"
)

const token = "kr_c4n4ry"

func of(t *testing.T, answer http.HandlerFunc) *client.Client {
	t.Helper()
	s := httptest.NewServer(answer)
	t.Cleanup(s.Close)
	c, err := client.New(s.URL, secret.New([]byte(token)), "test")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A list is read whole, page by page, or as much of it as is wanted.
func TestList(t *testing.T) {
	t.Parallel()
	c := of(t, func(w http.ResponseWriter, r *http.Request) {
		from, _ := strconv.Atoi(r.FormValue("cursor"))
		limit, _ := strconv.Atoi(r.FormValue("limit"))
		if r.Header.Get("Authorization") != "Bearer "+token || r.FormValue("kind") != "x" || limit > 1000 {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		text, next := []string{}, ""
		for i := from; i < min(from+limit, 2500); i++ {
			text = append(text, strconv.Itoa(i))
		}
		if from+limit < 2500 {
			next = `, "next": "` + strconv.Itoa(from+limit) + `"`
		}
		_, _ = w.Write([]byte(`{"items": [` + strings.Join(text, ",") + `], "total": 2500` + next + `}`))
	})
	for most, want := range map[int]int{0: 2500, 10: 10, 1000: 1000, 1001: 1001, 9000: 2500} {
		all, total, err := client.List[int](t.Context(), c, "/x", url.Values{"kind": {"x"}}, most)
		if err != nil || len(all) != want || total != 2500 || !slices.IsSorted(all) {
			t.Errorf("%d wanted: %d of %d, %v", most, len(all), total, err)
		}
	}
}

// What goes wrong is said in words for a person, and never with the token.
func TestWhatGoesWrong(t *testing.T) {
	t.Parallel()
	for status, k := range map[int]struct{ body, want string }{
		http.StatusUnauthorized:       {"", "nobody is signed in there by this token"},
		http.StatusForbidden:          {`{"detail": "token x has the role viewer, …"}`, "token x has the role viewer"},
		http.StatusTooManyRequests:    {"", "it is asked too often"},
		http.StatusMisdirectedRequest: {"", "it does not answer to this name"},
		http.StatusConflict:           {`{"detail": "you sent ` + token + `"}`, "you sent *****"},
		http.StatusFound:              {"<html>" + token, "answers HTTP 302"},
		http.StatusGatewayTimeout:     {"<html>WAF</html>", "answers HTTP 504, and not as keyrounds does"},
		http.StatusBadGateway:         {"", "answers HTTP 502"},
		http.StatusOK:                 {"<html>a proxy's sign-in</html>", "it does not answer as keyrounds does"},
	} {
		c := of(t, func(w http.ResponseWriter, _ *http.Request) {
			if strings.HasPrefix(k.body, "{") {
				w.Header().Set("Content-Type", "application/problem+json")
			}
			w.WriteHeader(status)
			_, _ = w.Write([]byte(k.body))
		})
		var out struct{}
		err := c.Get(t.Context(), "/x", nil, &out)
		if err == nil || !strings.Contains(err.Error(), k.want) || strings.Contains(err.Error(), token) {
			t.Errorf("HTTP %d: %v", status, err)
		}
	}
}

// A token that is none is not sent, and who sends none is told that.
func TestTokens(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"kr_a\n", "kr_a kr_b", "kr_\u00e9", "kr_\x00"} {
		_, err := client.New("https://example.com", secret.New([]byte(text)), "test")
		if err == nil || strings.Contains(err.Error(), "kr_") {
			t.Errorf("%q: %v", text, err)
		}
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }))
	defer server.Close()
	c, err := client.New(server.URL, secret.Value{}, "test")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Get(t.Context(), "/x", nil, &struct{}{}); err == nil || !strings.Contains(err.Error(), "no token was sent") {
		t.Error(err)
	}
}

// A token goes over plain http to this machine only, and an address is one.
func TestAddresses(t *testing.T) {
	t.Parallel()
	for server, good := range map[string]bool{
		"https://keyrounds.example.com": true, "https://example.com/keyrounds/": true,
		"http://127.0.0.1:8181": true, "http://[::1]:1": true,
		"http://localhost:8181": true, "unix:/run/keyrounds.sock": true, "unix:///run/keyrounds.sock": true,
		"http://keyrounds.example.com": false, "http://10.0.0.1": false, "keyrounds.example.com": false, "": false, "ftp://x": false,
		"https://a:b@example.com": false, "https://example.com/?x=y": false, "http://localhost.example.com": false,
	} {
		_, err := client.New(server, secret.Value{}, "test")
		var named *client.ServerError
		if (err == nil) != good || err != nil && (!errors.As(err, &named) || strings.Contains(err.Error(), "a:b@")) {
			t.Errorf("%q: %v", server, err)
		}
	}
}

// Why nobody answers is said in words of ours.
func TestNobodyAnswers(t *testing.T) {
	t.Parallel()
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(secure.Close)
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for server, want := range map[string]string{
		gone.URL:   "nobody listens there",
		secure.URL: "its certificate is not trusted here",
		strings.Replace(plain.URL, "http:", "https:", 1): "it answers in plain http",
		"https://nobody.invalid":                         "its name is not known here",
		"unix:" + t.TempDir() + "/x.sock":                "nobody listens there",
	} {
		c, err := client.New(server, secret.New([]byte(token)), "test")
		if err != nil {
			t.Fatal(err)
		}
		err = c.Get(t.Context(), "/x", nil, nil)
		var told *client.AnswerError
		if !errors.As(err, &told) || !strings.HasSuffix(err.Error(), told.Why) || !strings.HasPrefix(told.Why, want) || told.Hint() == "" {
			t.Errorf("%s: %v, want %s", server, err, want)
		}
	}
}
