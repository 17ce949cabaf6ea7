package opsgenie_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/notify/notifytest"
	"github.com/keyrounds/keyrounds/notify/opsgenie"
	"github.com/keyrounds/keyrounds/outbound"
	"github.com/keyrounds/keyrounds/secret"
)

const key = "c4n4ry-ab12-cd34"

// account stands in for Opsgenie as docs.opsgenie.com/docs/alert-api describes it: what it takes, that it does what it is asked later,
// and what becomes of alerts. less is Jira Service Management, which knows fewer requests
// (developer.atlassian.com/cloud/jira/service-desk-ops, integration events).
type account struct {
	*httptest.Server
	mu       sync.Mutex
	status   int // instead of taking requests; 0: none
	less     bool
	fails    bool // what it accepts it cannot do
	alerts   []*alert
	last     map[string]any // the newest alert as it was sent
	requests map[string]*outcome
	done     int
	asked    []string
}

type alert struct{ alias, state, priority, notes string }

type outcome struct {
	asks   int
	ok     bool
	status string
}

func newAccount(t *testing.T) *account {
	a := &account{requests: map[string]*outcome{}}
	a.Server = httptest.NewServer(a)
	t.Cleanup(a.Close)
	return a
}

// limits are how many characters a member may have.
var limits = map[string]int{
	"message": 130, "alias": 512, "description": 15000, "entity": 512, "source": 100, "user": 100, "note": 25000, "priority": 2, "tags": 0,
	"details": 0,
}

func (a *account) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = append(a.asked, r.Method+" "+r.URL.Path)
	answer := func(status int, v any) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Retry-After", notifytest.RetryAfter)
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v)
	}
	path := strings.Split(strings.TrimPrefix(r.URL.Path, "/base/v2/alerts"), "/")
	switch {
	case a.status != 0:
		answer(a.status, map[string]string{"message": "no: " + key})
		return
	case !strings.HasPrefix(r.URL.Path, "/base/v2/alerts"):
		answer(http.StatusNotFound, nil)
		return
	case r.Header.Get("Authorization") != "GenieKey "+key:
		answer(http.StatusUnauthorized, map[string]string{"message": "Could not authenticate"})
		return
	case len(path) == 3 && path[1] == "requests" && r.Method == http.MethodGet:
		o := a.requests[path[2]]
		if o == nil || a.less {
			answer(http.StatusNotFound, map[string]string{"message": "Request not found. It might not be processed, yet."})
			return
		}
		if o.asks++; o.asks < 2 {
			answer(http.StatusNotFound, map[string]string{"message": "Request not found. It might not be processed, yet."})
			return
		}
		answer(http.StatusOK, map[string]any{"data": map[string]any{"success": o.ok, "isSuccess": o.ok, "status": o.status}})
		return
	}
	body, wrong := read(r)
	if wrong != "" {
		answer(http.StatusUnprocessableEntity, map[string]string{"message": wrong})
		return
	}
	what := r.Method + " "
	if len(path) == 3 && r.URL.Query().Get("identifierType") == "alias" {
		what += path[2]
	}
	if a.less && (what == "PUT priority" || what == "POST unacknowledge") {
		answer(http.StatusNotFound, nil)
		return
	}
	o := a.do(what, path, body)
	if o == nil {
		answer(http.StatusNotFound, nil)
		return
	}
	if a.fails {
		*o = outcome{status: "It cannot be done for " + key}
	}
	a.done++
	id := fmt.Sprint("request-", a.done)
	a.requests[id] = o
	answer(http.StatusAccepted, map[string]any{"result": "Request will be processed", "took": 0.1, "requestId": id})
}

func read(r *http.Request) (body map[string]any, wrong string) {
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		return nil, "it is not JSON"
	}
	for name, v := range body {
		most, known := limits[name]
		text, isText := v.(string)
		if !known || isText && (len([]rune(text)) > most || text == "") {
			return nil, name
		}
	}
	if tags, _ := body["tags"].([]any); len(tags) > 20 {
		return nil, "tags"
	}
	sum := 0
	details, _ := body["details"].(map[string]any)
	for name, v := range details {
		text, ok := v.(string)
		if !ok {
			return nil, "details"
		}
		sum += len([]rune(name)) + len([]rune(text))
	}
	if sum > 8000 {
		return nil, "details"
	}
	return body, ""
}

// do does to alerts what a request asks; nil: there is no such request.
func (a *account) do(what string, path []string, body map[string]any) *outcome {
	alias := body["alias"]
	if len(path) == 3 {
		alias = path[1]
	}
	var is *alert // of an alias one is not closed
	for _, each := range a.alerts {
		if each.alias == alias && each.state != "closed" {
			is = each
		}
	}
	text := func(name string) string { v, _ := body[name].(string); return v }
	switch what {
	case "POST ":
		if a.last = body; is == nil {
			a.alerts = append(a.alerts, &alert{text("alias"), "open", text("priority"), ""})
		}
		return &outcome{ok: true, status: "Created alert"}
	case "POST close", "POST acknowledge", "POST unacknowledge", "POST notes", "PUT priority":
	default:
		return nil
	}
	if is == nil {
		return &outcome{status: "Alert does not exist"}
	}
	switch what {
	case "POST close":
		is.state = "closed"
	case "POST acknowledge":
		is.state = "acknowledged"
	case "POST unacknowledge":
		is.state = "open"
	case "POST notes":
		is.notes += text("note") + ";"
	case "PUT priority":
		is.priority = text("priority")
	}
	return &outcome{ok: true, status: "done"}
}

func (a *account) shows() string {
	var list []string
	for _, is := range a.alerts {
		list = append(list, strings.TrimSpace(is.state+" "+is.priority+" "+is.notes))
	}
	return strings.Join(list, ", ")
}

func (a *account) receiver(t *testing.T, k string) *opsgenie.Receiver {
	t.Helper()
	client, err := outbound.Client(outbound.Policy{AllowPrivate: true, Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return opsgenie.New(opsgenie.Options{
		Name: "genie", URL: a.URL + "/base", Client: client, Pause: time.Millisecond,
		Key: func(context.Context) (secret.Value, error) { return secret.New([]byte(k)), nil },
	})
}

// A finding's life is one alert, which is closed when the finding ends; a new one if it is found again. Sending it twice changes
// nothing.
func TestAlerts(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	r := a.receiver(t, key)
	told := notify.Receipt{}
	for _, step := range []struct {
		state    finding.State
		severity finding.Severity
		turn     string
		want     string
	}{
		{finding.Open, finding.Warning, "", "open P3"},
		{finding.Open, finding.Critical, "", "open P1"},
		{finding.Open, finding.Critical, "nobody looks", "open P1 nobody looks;"},
		{finding.Acknowledged, finding.Critical, "", "acknowledged P1 nobody looks;"},
		{finding.Open, finding.Critical, "", "open P1 nobody looks;"},
		{finding.Snoozed, finding.Critical, "", "acknowledged P1 nobody looks;"},
		{finding.Resolved, finding.Critical, "it is over", "closed P1 nobody looks;"},
		{finding.Open, finding.Critical, "", "closed P1 nobody looks;, open P1"},
		{finding.Resolved, finding.Critical, "", "closed P1 nobody looks;, closed P1"},
	} {
		m := notifytest.Message(finding.Revoked, step.state, told)
		m.Findings[0].Severity, m.Turn = step.severity, step.turn
		var err error
		if told, err = r.Send(t.Context(), m); err != nil {
			t.Fatalf("%v: %v", step, err)
		}
		if got := a.shows(); got != step.want {
			t.Errorf("%v: %s", step, got)
		}
		m.Turn, m.Unclear = "", true // an answer that was lost
		if again, err := r.Send(t.Context(), m); err != nil || again != told || a.shows() != step.want {
			t.Errorf("%v, again: %v, %v, %s", step, again, err, a.shows())
		}
		n := a.done
		m.Told, m.Unclear = told, false
		if _, err := r.Send(t.Context(), m); err != nil || step.state != finding.Resolved && a.done != n {
			t.Errorf("%v, as it is: %v, %d requests", step, err, a.done-n)
		}
	}
}

// What somebody looks after before Opsgenie knows of it pages nobody, and does when nobody does any more. What was closed by hand is
// an alert again when people are reminded.
func TestPeopleAct(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	r := a.receiver(t, key)
	told, err := r.Send(t.Context(), notifytest.Message(finding.Revoked, finding.Acknowledged, notify.Receipt{}))
	if err != nil || told == (notify.Receipt{}) || a.shows() != "" {
		t.Errorf("looked after: %v, %v, %s", told, err, a.shows())
	}
	if told, err = r.Send(t.Context(), notifytest.Message(finding.Revoked, finding.Open, told)); err != nil || a.shows() != "open P1" {
		t.Errorf("open again: %v, %s", err, a.shows())
	}
	a.alerts[0].state = "closed"
	m := notifytest.Message(finding.Revoked, finding.Open, told)
	m.Turn, m.Loud = "nobody looks", true
	if _, err = r.Send(t.Context(), m); err != nil || a.shows() != "closed P1, open P1 nobody looks;" {
		t.Errorf("reminded: %v, %s", err, a.shows())
	}
}

// Jira Service Management has no priorities to change, nothing to unacknowledge and no states of requests: alerts are told all the same.
func TestJiraServiceManagement(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.less = true
	r := a.receiver(t, key)
	told := notify.Receipt{}
	for _, step := range []struct {
		state    finding.State
		severity finding.Severity
		want     string
	}{
		{finding.Open, finding.Warning, "open P3"},
		{finding.Open, finding.Critical, "open P3"},
		{finding.Acknowledged, finding.Critical, "acknowledged P3"},
		{finding.Open, finding.Critical, "acknowledged P3"},
		{finding.Resolved, finding.Critical, "closed P3"},
	} {
		m := notifytest.Message(finding.Revoked, step.state, told)
		m.Findings[0].Severity = step.severity
		var err error
		if told, err = r.Send(t.Context(), m); err != nil || a.shows() != step.want {
			t.Errorf("%v: %v, %s", step, err, a.shows())
		}
	}
}

// Every kind is an alert that Opsgenie takes, however much it says.
func TestEveryKind(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	r := a.receiver(t, key)
	for i, k := range finding.Kinds() {
		for _, long := range []int{0, 3000} {
			m := notifytest.Message(k, finding.Open, notify.Receipt{})
			m.Key = fmt.Sprint(i, "-", long)
			m.Words.Title += strings.Repeat("ü", long)
			m.Words.Effect += strings.Repeat("ü", 10*long)
			m.Words.Link += strings.Repeat("x", long)
			m.Findings[0].About.Owner += strings.Repeat("x", long)
			if _, err := r.Send(t.Context(), m); err != nil {
				t.Errorf("%s: %v", k, err)
				continue
			}
			text, _ := a.last["message"].(string)
			details, _ := a.last["details"].(map[string]any)
			if !strings.HasPrefix(m.Words.Title, strings.TrimSuffix(text, "…")) || details["kind"] != string(k) ||
				details["finding"] == nil {
				t.Errorf("%s: %v", k, a.last)
			}
		}
	}
}

// What Opsgenie answers says whether it is sent again, also what it says later; the key is in no error.
func TestAnswers(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	open := func(k string) error {
		_, err := a.receiver(t, k).Send(t.Context(), notifytest.Open())
		return err
	}
	for status, want := range map[int]string{
		http.StatusBadRequest: notifytest.OnlyThis, http.StatusUnprocessableEntity: notifytest.OnlyThis,
		http.StatusUnauthorized: notifytest.Person,
		http.StatusForbidden:    notifytest.Person, http.StatusNotFound: notifytest.Person, http.StatusTooManyRequests: notifytest.Limited,
		http.StatusInternalServerError: notifytest.Again,
	} {
		a.status = status
		if err := open(key); notifytest.Asks(err) != want || strings.Contains(err.Error(), "c4n4ry") {
			t.Errorf("HTTP %d: %v, want %s", status, err, want)
		}
	}
	a.status = 0
	_, err := a.receiver(t, key).Send(t.Context(), notify.Message{Key: "l", Letter: &notify.Letter{Title: "The month"}})
	if notifytest.Asks(err) != notifytest.OnlyThis {
		t.Errorf("a letter: %v", err)
	}
	for _, bad := range []string{"", "c4n4ry-other"} {
		if err := open(bad); notifytest.Asks(err) != notifytest.Person || strings.Contains(err.Error(), "c4n4ry") {
			t.Errorf("%q: %v", bad, err)
		}
		if _, err := a.receiver(t, bad).Reach(t.Context()); notifytest.Asks(err) != notifytest.Person {
			t.Errorf("%q, reached: %v", bad, err)
		}
	}
	a.asked = nil
	if c, err := a.receiver(t, key).Reach(t.Context()); err != nil || c.Says == "" || len(a.asked) != 1 || a.done != 0 {
		t.Errorf("reached: %v, %v, asked %v", c, err, a.asked)
	}
	a.fails = true
	if err := open(key); notifytest.Asks(err) != notifytest.OnlyThis || strings.Contains(err.Error(), "c4n4ry") {
		t.Errorf("accepted, and not done: %v", err)
	}
	a.Close()
	if err := open(key); notifytest.Asks(err) != notifytest.Again || strings.Contains(err.Error(), "127.0.0.1") {
		t.Errorf("nobody there: %v", err)
	}
}
