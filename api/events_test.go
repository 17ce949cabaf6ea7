package api_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/finding"
)

// listen reads events until n are there, or the stream ends.
func (h *house) listen(ctx context.Context, n int, header ...string) (lines []string, lastID string) {
	h.Helper()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.url+"/api/v1/events", nil)
	if err != nil {
		h.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		h.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		return []string{resp.Status}, ""
	}
	for in := bufio.NewScanner(resp.Body); len(lines) < n && in.Scan(); {
		if data, is := strings.CutPrefix(in.Text(), "data: "); is {
			lines = append(lines, data)
		}
		if id, is := strings.CutPrefix(in.Text(), "id: "); is {
			lastID = id
		}
	}
	return lines, lastID
}

// What changes is told as it does; whoever comes again has what he missed, and an owner hears of his own only.
func TestEvents(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	var gone atomic.Bool
	h := newHouse(t, func(o *api.Options) {
		o.EventsEvery, o.Ended = 10*time.Millisecond, ended
		o.Still = func(context.Context) bool { return !gone.Load() }
	})
	first := into[page](h, "/v1/audit?limit=1").Items[0]["id"]
	from := fmt.Sprint(int64(first.(float64)))
	h.open(finding.Revoked, "web-a", "ops-a", "web-b")
	all, last := h.listen(t.Context(), 3, "Last-Event-ID", from)
	if len(all) != 3 || !strings.Contains(all[1], `"action":"finding.opened","subject":"credential/ops-a"`) {
		t.Fatalf("%v", all)
	}
	web, _ := h.listen(t.Context(), 2, "Last-Event-ID", from, "Ask", "owner web")
	if len(web) != 2 || strings.Contains(strings.Join(web, ""), "ops") {
		t.Errorf("web hears %v", web)
	}
	h.open(finding.Unused, "web-a")
	if more, _ := h.listen(t.Context(), 1, "Last-Event-ID", last); len(more) != 1 || !strings.Contains(more[0], "web-a") {
		t.Errorf("again: %v", more)
	}
	for who, want := range map[string]string{"nobody": "401 Unauthorized", "viewer": ""} {
		if got, _ := h.listen(t.Context(), 1, "Last-Event-ID", from, "Ask", who); want != "" && got[0] != want {
			t.Errorf("%s: %v", who, got)
		}
	}
	for _, action := range []string{"token.made", "something.new"} { // what is not known to be for all is not
		h.exec(`INSERT INTO record (at, actor, action, subject, detail) VALUES (now(), 'user x', $1, 'token secret-plan', '{}')`, action)
	}
	h.open(finding.Flapping, "web-a")
	for who, want := range map[string]int{"admin": 2, "viewer": 0, "responder": 0} {
		heard, _ := h.listen(t.Context(), 5+want, "Last-Event-ID", from, "Ask", who)
		if n := strings.Count(strings.Join(heard, ""), "secret-plan"); n != want {
			t.Errorf("%s hears %d of who may sign in: %v", who, n, heard)
		}
	}
	gone.Store(true)
	if got, _ := h.listen(t.Context(), 1, "Last-Event-ID", from); len(got) != 0 {
		t.Errorf("who may not be here any more hears %v", got)
	}
	gone.Store(false)
	close(ended)
	if got, _ := h.listen(t.Context(), 1); len(got) != 0 {
		t.Errorf("after the end: %v", got)
	}
}
