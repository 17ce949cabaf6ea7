package pagerduty_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	events "github.com/PagerDuty/go-pagerduty"

	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/notify/notifytest"
	"github.com/keyrounds/keyrounds/notify/pagerduty"
	"github.com/keyrounds/keyrounds/outbound"
	"github.com/keyrounds/keyrounds/secret"
)

const key = "c4n4ry78901234567890123456789012"

// service stands in for PagerDuty as developer.pagerduty.com/docs/events-api-v2 describes it: what it takes, and what becomes of
// incidents. It reads events by PagerDuty's own library, and refuses what is not in it.
type service struct {
	*httptest.Server
	mu        sync.Mutex
	status    int // instead of taking events; 0: none
	events    []events.V2Event
	incidents []string // dedup_key and state, the oldest first
	asked     []string
}

func newService(t *testing.T) *service {
	s := &service{}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, r.Method+" "+r.URL.Path)
	w.Header().Set("Content-Type", "application/json")
	if s.status != 0 {
		w.Header().Set("Retry-After", notifytest.RetryAfter)
		w.Header().Set("Location", "http://127.0.0.1:1/")
		w.WriteHeader(s.status)
		_, _ = w.Write([]byte(`{"status":"no","message":"` + key + `"}`))
		return
	}
	if r.Method != http.MethodPost || r.URL.Path != "/v2/enqueue" {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	var e events.V2Event
	in := json.NewDecoder(r.Body)
	in.DisallowUnknownFields()
	wrong := []string{}
	if err := in.Decode(&e); err != nil {
		wrong = append(wrong, err.Error())
	}
	if wrong = append(wrong, mistakes(e)...); len(wrong) > 0 {
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]any{"status": "invalid event", "message": "Event object is invalid", "errors": wrong})
		return
	}
	s.take(e)
	w.WriteHeader(http.StatusAccepted)
	_ = json.NewEncoder(w).Encode(events.V2EventResponse{Status: "success", Message: "Event processed", DedupKey: e.DedupKey})
}

func mistakes(e events.V2Event) (list []string) {
	check := func(ok bool, what string) {
		if !ok {
			list = append(list, what)
		}
	}
	check(len(e.RoutingKey) == 32, "routing_key")
	check(e.DedupKey != "" && len(e.DedupKey) <= 255, "dedup_key")
	check(slices.Contains([]string{"trigger", "acknowledge", "resolve"}, e.Action), "event_action")
	check(e.Action != "trigger" || e.Payload != nil, "payload")
	if p := e.Payload; p != nil {
		check(p.Summary != "" && len([]rune(p.Summary)) <= 1024, "summary")
		check(p.Source != "", "source")
		check(slices.Contains([]string{"critical", "error", "warning", "info"}, p.Severity), "severity")
		_, err := time.Parse(time.RFC3339, p.Timestamp)
		check(err == nil, "timestamp")
	}
	for _, l := range e.Links {
		link, _ := l.(map[string]any)
		href, _ := link["href"].(string)
		u, err := url.Parse(href)
		check(err == nil && u.Scheme == "https", "links")
	}
	return list
}

// take does to incidents what an event does: of a dedup_key whose incident is resolved a trigger makes a new one, and the others are
// dropped.
func (s *service) take(e events.V2Event) {
	s.events = append(s.events, e)
	i := slices.IndexFunc(s.incidents, func(in string) bool {
		return strings.HasPrefix(in, e.DedupKey+" ") && !strings.HasSuffix(in, " resolved")
	})
	switch {
	case i < 0 && e.Action == "trigger":
		s.incidents = append(s.incidents, e.DedupKey+" triggered")
	case i >= 0 && e.Action != "trigger":
		s.incidents[i] = e.DedupKey + " " + e.Action + "d"
	}
}

func (s *service) receiver(t *testing.T, k string) *pagerduty.Receiver {
	t.Helper()
	client, err := outbound.Client(outbound.Policy{AllowPrivate: true, Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return pagerduty.New(pagerduty.Options{
		Name: "pager", URL: s.URL, Client: client,
		Key: func(context.Context) (secret.Value, error) { return secret.New([]byte(k)), nil },
	})
}

// A finding's life is one incident: triggered, acknowledged while somebody looks after it, resolved; and a new one if it is found
// again.
func TestIncidents(t *testing.T) {
	t.Parallel()
	s := newService(t)
	r := s.receiver(t, key)
	told := notify.Receipt{}
	for _, step := range []struct {
		state finding.State
		want  string
	}{
		{finding.Open, "keyrounds-7-1 triggered"},
		{finding.Acknowledged, "keyrounds-7-1 acknowledged"},
		{finding.Snoozed, "keyrounds-7-1 acknowledged"},
		{finding.Resolved, "keyrounds-7-1 resolved"},
		{finding.Open, "keyrounds-7-1 resolved,keyrounds-7-1 triggered"},
		{finding.Resolved, "keyrounds-7-1 resolved,keyrounds-7-1 resolved"},
	} {
		m := notifytest.Message(finding.Revoked, step.state, told)
		var err error
		if told, err = r.Send(t.Context(), m); err != nil {
			t.Fatalf("%s: %v", step.state, err)
		}
		m.Unclear = true // an answer that was lost
		if again, err := r.Send(t.Context(), m); err != nil || again != told {
			t.Errorf("%s, again: %v, %v", step.state, again, err)
		}
		if got := strings.Join(s.incidents, ","); got != step.want {
			t.Errorf("%s: %s, want %s", step.state, got, step.want)
		}
		n := len(s.events)
		if again, err := r.Send(t.Context(), notifytest.Message(finding.Revoked, step.state, told)); err != nil || again != told ||
			len(s.events) != n {
			t.Errorf("%s, as it is: %v, %v, %d events more", step.state, again, err, len(s.events)-n)
		}
	}
	n := len(s.events)
	m := notifytest.Message(finding.Revoked, finding.Open, notify.Receipt{Channel: "incidents", Ref: "trigger critical"})
	m.Turn = "sample is refused; open for 4 h"
	if _, err := r.Send(t.Context(), m); err != nil || len(s.events) != n+1 {
		t.Errorf("a reminder: %v, %d events", err, len(s.events)-n)
	}
}

// Of a burst the incident stays until the last has ended, and is acknowledged when somebody looks after each that is left.
func TestBurst(t *testing.T) {
	t.Parallel()
	s := newService(t)
	r := s.receiver(t, key)
	of := func(states ...finding.State) notify.Message {
		m := notifytest.Message(finding.Revoked, states[0], notify.Receipt{})
		for i, state := range states[1:] {
			f := notifytest.Message(finding.Revoked, state, notify.Receipt{}).Findings[0]
			f.ID += int64(i) + 1
			m.Findings = append(m.Findings, f)
		}
		m.Words = notify.DescribeAll(m.Findings)
		return m
	}
	for _, c := range []struct {
		m    notify.Message
		want string
	}{
		{of(finding.Open, finding.Open), "triggered"},
		{of(finding.Open, finding.Acknowledged), "triggered"},
		{of(finding.Acknowledged, finding.Resolved), "acknowledged"},
		{of(finding.Resolved, finding.Resolved), "resolved"},
	} {
		if _, err := r.Send(t.Context(), c.m); err != nil || strings.Join(s.incidents, ",") != "keyrounds-7-1 "+c.want {
			t.Errorf("%v, %v; want %s", s.incidents, err, c.want)
		}
	}
}

// Every kind is an event that PagerDuty takes, however much it says, with what people need: who and what, how urgent, links.
func TestEveryKind(t *testing.T) {
	t.Parallel()
	s := newService(t)
	r := s.receiver(t, key)
	for _, k := range finding.Kinds() {
		for _, long := range []int{0, 3000} {
			m := notifytest.Message(k, finding.Open, notify.Receipt{})
			m.Words.Title += strings.Repeat("ü", long)
			m.Words.Effect += strings.Repeat("ü", 100*long)
			if _, err := r.Send(t.Context(), m); err != nil {
				t.Errorf("%s: %v", k, err)
				continue
			}
			e := s.events[len(s.events)-1]
			f := m.Findings[0]
			if !strings.HasPrefix(m.Words.Title, strings.TrimSuffix(e.Payload.Summary, "…")) || e.Payload.Severity != string(f.Severity) ||
				e.Payload.Source != f.Who() || e.Payload.Class != string(k) || e.ClientURL != m.Words.Link || e.Client != "keyrounds" {
				t.Errorf("%s: %+v, %+v", k, e, e.Payload)
			}
			links := 1
			if m.Words.Guide != "" {
				links = 2
			}
			if len(e.Links) != links || e.Links[0].(map[string]any)["href"] != m.Words.Link {
				t.Errorf("%s: links %v", k, e.Links)
			}
		}
	}
}

// What PagerDuty answers says whether it is sent again; the key is in no error, and what is no key is not sent.
func TestAnswers(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for status, want := range map[int]string{
		http.StatusBadRequest: notifytest.OnlyThis, http.StatusForbidden: notifytest.Person, http.StatusNotFound: notifytest.Person,
		http.StatusFound:           notifytest.Person,
		http.StatusTooManyRequests: notifytest.Limited, http.StatusInternalServerError: notifytest.Again,
	} {
		s.status = status
		_, err := s.receiver(t, key).Send(t.Context(), notifytest.Open())
		if got := notifytest.Asks(err); got != want || strings.Contains(err.Error(), "c4n4ry") {
			t.Errorf("HTTP %d: %s (%v), want %s", status, got, err, want)
		}
	}
	s.status = 0
	_, err := s.receiver(t, key).Send(t.Context(), notify.Message{Key: "l", Letter: &notify.Letter{Title: "The month"}})
	if notifytest.Asks(err) != notifytest.OnlyThis {
		t.Errorf("a letter: %v", err)
	}
	for _, bad := range []string{"", "c4n4ry", key + "1", key[:31] + "/"} {
		_, err := s.receiver(t, bad).Send(t.Context(), notifytest.Open())
		_, reached := s.receiver(t, bad).Reach(t.Context())
		if notifytest.Asks(err) != notifytest.Person || notifytest.Asks(reached) != notifytest.Person ||
			strings.Contains(err.Error()+reached.Error(), "c4n4ry") {
			t.Errorf("%q: %v, %v", bad, err, reached)
		}
	}
	if len(s.events) != 0 {
		t.Errorf("%d events were taken", len(s.events))
	}
	s.asked = nil
	if c, err := s.receiver(t, key).Reach(t.Context()); err != nil || c.Says == "" || strings.Join(s.asked, ",") != "HEAD /" {
		t.Errorf("reached: %v, %v; asked %v", c, err, s.asked)
	}
	s.Close()
	_, err = s.receiver(t, key).Send(t.Context(), notifytest.Open())
	_, reached := s.receiver(t, key).Reach(t.Context())
	if notifytest.Asks(err) != notifytest.Again || notifytest.Asks(reached) != notifytest.Again ||
		strings.Contains(err.Error()+reached.Error(), "127.0.0.1") {
		t.Errorf("nobody there: %v, %v", err, reached)
	}
}
