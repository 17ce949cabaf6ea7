package slack_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/notify/slack"
	"github.com/keyrounds/keyrounds/secret"
)

// An incoming webhook gets the message without buttons and unfurling; what it answers tells what to do, and
// its URL, which is a secret, is in no error.
func TestWebhook(t *testing.T) {
	t.Parallel()
	status, got, asked := http.StatusOK, map[string]any{}, ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		asked = r.Method + " " + r.URL.Path
		got = map[string]any{}
		_ = json.Unmarshal(b, &got)
		w.Header().Set("Retry-After", "3")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "ok")
	}))
	t.Cleanup(server.Close)
	w := slack.NewWebhook(func(context.Context) (secret.Value, error) {
		return secret.New([]byte(server.URL + "/services/T0/B0/c4n4ry")), nil
	}, server.Client())
	fs := []finding.Finding{notify.Sample(finding.Revoked, time.Now())}
	m := notify.Message{Key: "1-1", Findings: fs, Words: notify.DescribeAll(fs), Turn: "resolved <!channel>"}
	if _, err := w.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	text, _ := json.Marshal(got)
	if got["unfurl_links"] != false || strings.Contains(string(text), "actions") || strings.Contains(string(text), `\u003c!channel`) ||
		!strings.Contains(string(text), "sample-credential") {
		t.Errorf("it got %s", text)
	}
	letter := notify.Message{Key: "1-2", Letter: &notify.Letter{Title: "Digest", Lines: []string{"a"}}}
	if _, err := w.Send(t.Context(), letter); err != nil || got["text"] != "Digest" {
		t.Errorf("a letter: %v, error %v", got, err)
	}
	for s, want := range map[int]func(error) bool{
		429: func(err error) bool { var e *notify.RetryError; return errors.As(err, &e) && e.After == 3*time.Second },
		403: func(err error) bool { var e *notify.RefusedError; return errors.As(err, &e) && e.NeedsPerson },
		404: func(err error) bool { var e *notify.RefusedError; return errors.As(err, &e) && e.NeedsPerson },
		400: func(err error) bool { var e *notify.RefusedError; return errors.As(err, &e) && e.OnlyThis },
		500: func(err error) bool { var e *notify.RefusedError; return err != nil && !errors.As(err, &e) },
	} {
		status = s
		if _, err := w.Send(t.Context(), m); !want(err) || strings.Contains(err.Error(), "c4n4ry") {
			t.Errorf("HTTP %d: %v", s, err)
		}
	}
	status = http.StatusNotFound // of the root, which says nothing of the webhook
	if c, err := w.Reach(t.Context()); err != nil || !strings.Contains(c.Says, "127.0.0.1 answers") || strings.Contains(c.Says, "c4n4ry") {
		t.Errorf("reached: %q, %v", c.Says, err)
	}
	if asked != "HEAD /" {
		t.Errorf("it was asked for %s", asked)
	}
	server.Close()
	if _, err := w.Reach(t.Context()); err == nil || strings.Contains(err.Error(), "c4n4ry") {
		t.Errorf("reached with nobody there: %v", err)
	}
	if _, err := w.Send(t.Context(), m); err == nil || strings.Contains(err.Error(), "c4n4ry") {
		t.Errorf("nobody there: %v", err)
	}
}
