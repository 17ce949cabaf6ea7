package webhook_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	validator "github.com/santhosh-tekuri/jsonschema/v6"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/notify/webhook"
	"github.com/keyrounds/keyrounds/secret"
)

const key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" // of the specification's examples

// taker is somebody's server, which verifies by the library of Standard Webhooks.
type taker struct {
	*httptest.Server
	mu     sync.Mutex
	status int
	ids    []string
	events []map[string]any
	raw    [][]byte
	wrong  []error
}

func newTaker(t *testing.T) *taker {
	k := &taker{status: http.StatusNoContent}
	hook, err := standardwebhooks.NewWebhook(key)
	if err != nil {
		t.Fatal(err)
	}
	k.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		k.mu.Lock()
		defer k.mu.Unlock()
		var e map[string]any
		k.wrong = append(k.wrong, hook.Verify(body, r.Header), json.Unmarshal(body, &e))
		k.ids, k.events, k.raw = append(k.ids, r.Header.Get("webhook-id")), append(k.events, e), append(k.raw, body)
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(k.status)
		_, _ = w.Write([]byte("c4n4ry-answer"))
	}))
	t.Cleanup(k.Close)
	return k
}

func (k *taker) receiver(secretText string) *webhook.Receiver {
	return webhook.New(webhook.Options{
		Name: "soc", URL: k.URL + "/hook", Client: k.Client(), Now: time.Now,
		Secret: func(context.Context) (secret.Value, error) { return secret.New([]byte(secretText)), nil },
	})
}

func message(state finding.State, told notify.Receipt) notify.Message {
	f := notify.Sample(finding.Revoked, time.Now())
	f.ID, f.State = 7, state
	if state == finding.Resolved {
		f.ResolvedAt, f.ResolvedWhy = f.OpenedAt.Add(time.Hour), "it is accepted again"
	}
	m := notify.Message{Key: "7-1", Findings: []finding.Finding{f}, Made: f.OpenedAt, Told: told}
	m.Words = notify.DescribeAll(m.Findings)
	return m
}

// A finding's life is events that its schema describes, each signed; the same one sent again has the same id.
func TestEvents(t *testing.T) {
	t.Parallel()
	k := newTaker(t)
	r := k.receiver(key)
	told := notify.Receipt{}
	for _, state := range []finding.State{finding.Open, finding.Acknowledged, finding.Resolved} {
		m := message(state, told)
		if state == finding.Acknowledged {
			m.Turn, m.TurnKey = "ann has it", "turn-2"
		}
		receipt, err := r.Send(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := r.Send(t.Context(), m); err != nil || again != receipt {
			t.Errorf("again: %v, %v", again, err)
		}
		told = receipt
	}
	if err := errors.Join(k.wrong...); err != nil {
		t.Error(err)
	}
	var types, before []string
	for i := range k.events {
		types = append(types, k.events[i]["type"].(string))
		f := k.events[i]["data"].(map[string]any)["findings"].([]any)[0].(map[string]any)
		b, _ := f["state_before"].(string)
		before = append(before, b)
		if i%2 == 1 && k.ids[i] != k.ids[i-1] || i%2 == 0 && i > 0 && k.ids[i] == k.ids[i-1] {
			t.Errorf("ids %v", k.ids)
		}
	}
	const want = "finding.opened finding.opened finding.changed finding.changed finding.resolved finding.resolved" // each twice
	if got := strings.Join(types, " "); got != want {
		t.Error(got)
	}
	if got := strings.Join(before, ","); got != ",,open,open,acknowledged,acknowledged" {
		t.Error(got)
	}
	schema := compiled(t)
	for _, raw := range k.raw {
		doc, err := validator.UnmarshalJSON(strings.NewReader(string(raw)))
		if err == nil {
			err = schema.Validate(doc)
		}
		if err != nil {
			t.Errorf("%s: %v", raw, err)
		}
	}
	_, err := r.Send(
		t.Context(),
		notify.Message{Key: "l", Letter: &notify.Letter{Title: "The month", Lines: []string{"x"}}, Made: time.Now()},
	)
	if last := k.events[len(k.events)-1]; err != nil || last["type"] != "letter" {
		t.Errorf("a letter: %v %v", last, err)
	}
}

// The schema that is published is the code's.
func TestSchema(t *testing.T) {
	t.Parallel()
	const published = "../../docs/reference/webhook.schema.json"
	schema, err := webhook.Schema()
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(published, schema, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := os.ReadFile(published); err != nil || string(b) != string(schema) {
		t.Errorf("%s is not that of the code (UPDATE=1 go test ./notify/webhook writes it): %v", published, err)
	}
}

func compiled(t *testing.T) *validator.Schema {
	t.Helper()
	text, err := webhook.Schema()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := validator.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	c := validator.NewCompiler()
	if err := c.AddResource("webhook.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("webhook.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// What its server answers says whether it is sent again; nothing of the answer and of the secret is told.
func TestAnswers(t *testing.T) {
	t.Parallel()
	k := newTaker(t)
	for status, want := range map[int]string{
		http.StatusBadRequest: "only this", http.StatusUnprocessableEntity: "only this", http.StatusUnauthorized: "a person",
		http.StatusNotFound: "a person", http.StatusFound: "a person", http.StatusGone: "a person", http.StatusTooManyRequests: "later",
		http.StatusInternalServerError: "again",
	} {
		k.status = status
		_, err := k.receiver(key).Send(t.Context(), message(finding.Open, notify.Receipt{}))
		var refused *notify.RefusedError
		var retry *notify.RetryError
		got := "again"
		switch {
		case errors.As(err, &retry):
			got = "later"
		case errors.As(err, &refused) && refused.OnlyThis:
			got = "only this"
		case errors.As(err, &refused) && refused.NeedsPerson && refused.Fix != "":
			got = "a person"
		}
		if err == nil || got != want || strings.Contains(err.Error(), "c4n4ry") {
			t.Errorf("HTTP %d: %s (%v), want %s", status, got, err, want)
		}
	}
	k.status = http.StatusOK
	n := len(k.events)
	for _, bad := range []string{"", "c4n4ry", "whsec_", "whsec_c4n4ry!", "whsec_c4n4ry==", key[6:], "whsec_" + strings.Repeat("A", 200)} {
		_, err := k.receiver(bad).Send(t.Context(), message(finding.Open, notify.Receipt{}))
		var refused *notify.RefusedError
		if !errors.As(err, &refused) || !refused.NeedsPerson || strings.Contains(err.Error(), "c4n4ry") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if len(k.events) != n {
		t.Error("something was sent without a signature")
	}
	k.Close()
	if _, err := k.receiver(key).Send(t.Context(), message(finding.Open, notify.Receipt{})); err == nil ||
		strings.Contains(err.Error(), "127.0.0.1") {
		t.Error(err)
	}
}

// Whether somebody is at the address is asked without an event; a secret that is none, an address that wants no more, and nobody there
// are found before the first event.
func TestReach(t *testing.T) {
	t.Parallel()
	status, methods := http.StatusMethodNotAllowed, map[string]int{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		methods[r.Method]++
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	k := &taker{Server: server}
	for status = range map[int]bool{http.StatusOK: true, http.StatusNotFound: true, http.StatusMethodNotAllowed: true} {
		if c, err := k.receiver(key).Reach(t.Context()); err != nil || !strings.Contains(c.Says, "answers") || c.Doubt != "" {
			t.Errorf("HTTP %d: %v, %v", status, c, err)
		}
	}
	var refused *notify.RefusedError
	status = http.StatusGone
	if _, err := k.receiver(key).Reach(t.Context()); !errors.As(err, &refused) || !refused.NeedsPerson {
		t.Errorf("gone: %v", err)
	}
	if _, err := k.receiver("whsec_c4n4ry").Reach(t.Context()); !errors.As(err, &refused) || strings.Contains(err.Error(), "c4n4ry") {
		t.Errorf("no secret: %v", err)
	}
	if len(methods) != 1 || methods[http.MethodHead] != 4 {
		t.Errorf("it was asked %v", methods)
	}
	server.Close()
	if _, err := k.receiver(key).Reach(t.Context()); err == nil || strings.Contains(err.Error(), "127.0.0.1") {
		t.Errorf("nobody there: %v", err)
	}
}
