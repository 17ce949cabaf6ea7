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

	"github.com/keyrounds/keyrounds/secret"
	"github.com/keyrounds/keyrounds/usage/feed"
	"github.com/keyrounds/keyrounds/web"
)

// doorOf is a door before a sign-in that knows some passwords, and answers 200 to whoever is let in.
func doorOf(passwords map[string]string, signIn func() ([]string, bool, error)) http.Handler {
	d := (&web.Door{
		Trusted: func() []netip.Prefix { return nil }, SignIn: signIn, Ours: func(host string) bool { return host == "localhost" },
		Log: slog.New(slog.DiscardHandler), Now: time.Now,
	}).Open(prometheus.NewRegistry())
	pages := d.Pages(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	return d.Before(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Sign-In", "asked")
		if user, password, ok := r.BasicAuth(); passwords != nil && (!ok || passwords[user] != password) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		pages.ServeHTTP(w, r)
	}), pages)
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
	passwords := map[string]string{"ada": "a", "bea": "b"}
	door := doorOf(passwords, func() ([]string, bool, error) { return []string{"ada", "bea"}, true, nil })
	for i := range 12 {
		knock(door, "192.0.2.1", "ada", fmt.Sprint("guess", i))
	}
	var crowd sync.WaitGroup
	defer crowd.Wait()
	for i := range 200 {
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

// A crowd of addresses makes nobody forgotten who has guessed too often.
func TestACrowdHidesNoGuesser(t *testing.T) {
	t.Parallel()
	door := doorOf(map[string]string{"ada": "a"}, func() ([]string, bool, error) { return []string{"ada"}, true, nil })
	for time.Now().Second() > 50 { // what is counted is counted by the minute
		time.Sleep(100 * time.Millisecond)
	}
	for range 10 {
		knock(door, "198.51.100.1", "ada", "x")
	}
	for i := range 11_000 {
		knock(door, netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}).String(), "ada", "x")
	}
	slowed := 0
	var guesses sync.WaitGroup
	var mu sync.Mutex
	for i := range 20 {
		guesses.Go(func() {
			w := knock(door, "198.51.100.1", "ada", fmt.Sprint(i))
			mu.Lock()
			defer mu.Unlock()
			if w.Code == http.StatusTooManyRequests {
				slowed++
			}
		})
	}
	guesses.Wait()
	if slowed < 10 {
		t.Errorf("of 20 guesses %d were slowed", slowed)
	}
}

// Whether somebody must sign in is asked at each request.
func TestUsersComeWhileItRuns(t *testing.T) {
	t.Parallel()
	var users []string
	var fault error
	door := doorOf(nil, func() ([]string, bool, error) { return users, len(users) > 0, fault })
	if w := knock(door, "127.0.0.1", "", ""); w.Code != http.StatusOK || w.Header().Get("X-Sign-In") == "" {
		t.Errorf("where nobody signs in: %d, asked %q (it sets the headers of its file)", w.Code, w.Header().Get("X-Sign-In"))
	}
	users = []string{"ada"}
	door = doorOf(map[string]string{"ada": "a"}, func() ([]string, bool, error) { return users, len(users) > 0, fault })
	if w := knock(door, "127.0.0.1", "", ""); w.Code != http.StatusUnauthorized {
		t.Errorf("with a user: %d", w.Code)
	}
	fault = errors.New("the file names no users")
	if w := knock(door, "127.0.0.1", "ada", "a"); w.Code != http.StatusServiceUnavailable {
		t.Errorf("where others would come in without sign-in: %d", w.Code)
	}
}

// Whoever hangs up does not keep the token of a feed from being read for the others.
func TestWhoHangsUpStopsNoPush(t *testing.T) {
	t.Parallel()
	reading, go1 := make(chan struct{}), make(chan struct{})
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
