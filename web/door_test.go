package web_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/crypto/bcrypt"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/secret"
	"github.com/keyrounds/keyrounds/usage/feed"
	"github.com/keyrounds/keyrounds/web"
)

// hashed are users with bcrypt hashes of their passwords, of the least cost.
func hashed(t *testing.T, passwords map[string]string) map[string]string {
	t.Helper()
	users := map[string]string{}
	for user, password := range passwords {
		hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		users[user] = string(hash)
	}
	return users
}

// doorOf is a door before pages that answer 200 to whoever is let in, and say as whom; the toolkit leaves its mark.
func doorOf(asked func() (web.Asked, error)) http.Handler {
	d := (&web.Door{
		Trusted: func() []netip.Prefix { return nil }, Asked: asked, Ours: func(host string) bool { return host == "localhost" },
		Log: slog.New(slog.DiscardHandler), Now: time.Now,
	}).Open(prometheus.NewRegistry())
	who := access.New(access.Options{}, access.Settings{})
	pages := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, _, err := who.Who(r)
		if err != nil {
			w.WriteHeader(http.StatusUnauthorized)
		}
		_, _ = w.Write([]byte(v.Name))
	})
	return d.Before(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Toolkit", "asked")
		pages.ServeHTTP(w, r)
	}), pages)
}

func doorFor(t *testing.T, passwords map[string]string) http.Handler {
	t.Helper()
	users := hashed(t, passwords)
	return doorOf(func() (web.Asked, error) { return web.Asked{Users: users}, nil })
}

func knock(door http.Handler, address, user, password string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "http://localhost/", http.NoBody)
	r.RemoteAddr = address + ":1"
	if user != "" {
		r.SetBasicAuth(user, password)
	}
	w := httptest.NewRecorder()
	door.ServeHTTP(w, r)
	return w
}

// Who guesses at one name, or at names that nobody has, keeps nobody else of the same address from his first sign-in, whatever the crowd.
func TestGuessersKeepNobodyElseOut(t *testing.T) {
	t.Parallel()
	door := doorFor(t, map[string]string{"ada": "a", "bea": "b"})
	for i := range 12 {
		knock(door, "192.0.2.1", "ada", fmt.Sprint("guess", i))
	}
	var crowd sync.WaitGroup
	defer crowd.Wait()
	for i := range 80 {
		crowd.Go(func() { knock(door, "192.0.2.1", "ada", fmt.Sprint("more", i)) })
		crowd.Go(func() { knock(door, "192.0.2.1", fmt.Sprint("nobody", i), "x") })
	}
	if w := knock(door, "192.0.2.1", "bea", "b"); w.Code != http.StatusOK {
		t.Errorf("the first sign-in of another at the address of guessers: %d", w.Code)
	}
	if w := knock(door, "192.0.2.2", "ada", "a"); w.Code != http.StatusOK {
		t.Errorf("the first sign-in at another address: %d", w.Code)
	}
}

// Many guesses at once are no way around the pace, and cost others nothing; one right password many times at once is no guess.
func TestGuessesAtOnce(t *testing.T) {
	t.Parallel()
	door := doorFor(t, map[string]string{"ada": "a", "bea": "b"})
	var crowd sync.WaitGroup
	var mu sync.Mutex
	answers := map[int]int{}
	for i := range 300 {
		crowd.Go(func() {
			w := knock(door, "192.0.2.1", "ada", fmt.Sprint("guess", i))
			mu.Lock()
			defer mu.Unlock()
			answers[w.Code]++
		})
	}
	if w := knock(door, "192.0.2.2", "bea", "b"); w.Code != http.StatusOK {
		t.Errorf("another address meanwhile: %d", w.Code)
	}
	crowd.Wait()
	if n := answers[http.StatusUnauthorized]; n > 20 || answers[http.StatusTooManyRequests] != 300-n {
		t.Errorf("300 guesses at once: %v", answers)
	}
	for range 30 {
		crowd.Go(func() {
			if w := knock(door, "192.0.2.3", "ada", "a"); w.Code != http.StatusOK {
				t.Errorf("a right password among 30 of the same: %d", w.Code)
			}
		})
	}
	crowd.Wait()
}

// What the file asks is asked at each request, and whoever comes without it is let in as nobody.
func TestTheFileChangesWhileItRuns(t *testing.T) {
	t.Parallel()
	users := hashed(t, map[string]string{"ada": "a"})
	var asked web.Asked
	var fault error
	door := doorOf(func() (web.Asked, error) { return asked, fault })
	for _, k := range []struct {
		name           string
		asked          web.Asked
		fault          error
		user, password string
		status         int
		as             string
	}{
		{"nobody signs in", web.Asked{}, nil, "", "", http.StatusOK, access.Anybody},
		{"nobody signs in, and a name proves nothing", web.Asked{}, nil, "ada", "a", http.StatusOK, access.Anybody},
		{"users", web.Asked{Users: users}, nil, "", "", http.StatusUnauthorized, ""},
		{"the right password", web.Asked{Users: users}, nil, "ada", "a", http.StatusOK, "user ada (web_config)"},
		{"a wrong one", web.Asked{Users: users}, nil, "ada", "b", http.StatusUnauthorized, ""},
		{"nobody's", web.Asked{Users: users}, nil, "bea", "a", http.StatusUnauthorized, ""},
		{"a new password since", web.Asked{Users: hashed(t, map[string]string{"ada": "c"})}, nil, "ada", "a", http.StatusUnauthorized, ""},
		{"a certificate, and the connection has none", web.Asked{Certificate: true}, nil, "", "", http.StatusUnauthorized, ""},
		{"the same with a password", web.Asked{Certificate: true}, nil, "ada", "a", http.StatusUnauthorized, ""},
		{"a fault", web.Asked{Users: users}, errors.New("the file is not YAML"), "ada", "a", http.StatusServiceUnavailable, ""},
	} {
		asked, fault = k.asked, k.fault
		w := knock(door, "127.0.0.1", k.user, k.password)
		if w.Code != k.status || k.status == http.StatusOK && (w.Body.String() != k.as || w.Header().Get("X-Toolkit") == "") {
			t.Errorf("%s: %d as %q", k.name, w.Code, w.Body)
		}
	}
}

// Whoever hangs up does not keep the token of a feed from being read for the others.
func TestWhoHangsUpStopsNoPush(t *testing.T) {
	t.Parallel()
	reading, go1 := make(chan struct{}, 1), make(chan struct{})
	token := func(ctx context.Context) (secret.Value, error) {
		select {
		case reading <- struct{}{}:
		default:
		}
		select {
		case <-go1:
			return secret.New([]byte("right")), nil
		case <-ctx.Done():
			return secret.Value{}, ctx.Err()
		}
	}
	pages := web.New(web.Options{
		PushFeeds: func() []web.PushFeed { return []web.PushFeed{{Feed: feed.Feed{Name: "f"}, Token: token}} },
		Gatherer:  prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	push := func(ctx context.Context, token string) int {
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/api/v1/usage", http.NoBody)
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Idempotency-Key", "é") // refused after the token
		w := httptest.NewRecorder()
		pages.ServeHTTP(w, r)
		return w.Code
	}
	ctx, hangUp := context.WithCancel(t.Context())
	stranger := make(chan int)
	go func() { stranger <- push(ctx, "wrong") }()
	<-reading
	hangUp()
	close(go1)
	<-stranger
	if status := push(t.Context(), "right"); status != http.StatusBadRequest {
		t.Errorf("a right push, after one who hung up: %d", status)
	}
}
