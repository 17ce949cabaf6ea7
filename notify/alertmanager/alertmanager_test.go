package alertmanager_test

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

	"github.com/google/go-cmp/cmp"

	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/notify/alertmanager"
	"github.com/keyrounds/keyrounds/outbound"
	"github.com/keyrounds/keyrounds/secret"
	"github.com/keyrounds/keyrounds/test/promtest"
)

var now = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

type server struct {
	status int
	header http.Header
	body   string
	sent   []map[string]any
	auth   string
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	_ = json.Unmarshal(b, &s.sent)
	s.auth = r.Header.Get("Authorization")
	if r.URL.Path != "/prefix/api/v2/alerts" || r.Method != http.MethodPost {
		s.status = http.StatusNotFound
	}
	for k := range s.header {
		w.Header().Set(k, s.header.Get(k))
	}
	w.WriteHeader(s.status)
	_, _ = io.WriteString(w, s.body)
}

func give(text string) func(context.Context) (secret.Value, error) {
	return func(context.Context) (secret.Value, error) { return secret.New([]byte(text)), nil }
}

func newServer(t *testing.T, s *server) *alertmanager.Receiver {
	t.Helper()
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	client, err := outbound.Client(outbound.Policy{AllowPrivate: true, Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return alertmanager.New(
		alertmanager.Options{
			Name:   "am",
			URL:    h.URL + "/prefix",
			Token:  give("c4n4ry-token"),
			Client: client,
			Now:    func() time.Time { return now },
		},
	)
}

func message(change func(*finding.Finding)) notify.Message {
	f := notify.Sample(finding.ScopeLost, now)
	f.About.Labels = map[string]string{"env": "prod", "cost-center": "7"}
	if change != nil {
		change(&f)
	}
	return notify.Message{Key: "1-1", Findings: []finding.Finding{f}, Words: notify.Words{Link: "https://keyrounds.example/findings/1"}}
}

// An alert keeps its labels while it is open, so that Alertmanager knows it again; it ends when the finding
// does, and rests while it is snoozed.
func TestAlerts(t *testing.T) {
	t.Parallel()
	s := &server{status: http.StatusOK}
	r := newServer(t, s)
	labels := map[string]any{
		"alertname":         "KeyroundsScopeLost",
		"severity":          "warning",
		"kind":              "scope_lost",
		"provider":          "sample-provider",
		"credential":        "sample-credential",
		"owner":             "nobody: a test",
		"label_env":         "prod",
		"label_cost_center": "7",
	}
	for name, k := range map[string]struct {
		change func(*finding.Finding)
		ends   time.Time
	}{
		"open": {nil, now.Add(24 * time.Hour)},
		"acknowledged": {func(f *finding.Finding) {
			f.State, f.AcknowledgedBy = finding.Acknowledged, "ann"
		}, now.Add(24 * time.Hour)},
		"snoozed": {func(f *finding.Finding) { f.State = finding.Snoozed }, now.Add(-time.Minute)},
		"resolved": {func(f *finding.Finding) {
			f.State, f.ResolvedAt = finding.Resolved, now.Add(-time.Minute)
		}, now.Add(-time.Minute)},
	} {
		if _, err := r.Send(t.Context(), message(k.change)); err != nil || len(s.sent) != 1 {
			t.Fatalf("%s: %v, error %v", name, s.sent, err)
		}
		if d := cmp.Diff(labels, s.sent[0]["labels"]); d != "" {
			t.Errorf("%s: labels %s", name, d)
		}
		if got := s.sent[0]["endsAt"]; got != k.ends.Format(time.RFC3339) || s.sent[0]["startsAt"] != now.Format(time.RFC3339) {
			t.Errorf("%s: ends at %v", name, got)
		}
		notes := s.sent[0]["annotations"].(map[string]any)
		what, evidence := "has lost sample_write", "Scopes missing: sample_write"
		if name == "resolved" {
			what, evidence = "could do less than it needs", "It lasted:"
		}
		if !strings.Contains(notes["summary"].(string), what) || !strings.Contains(notes["description"].(string), evidence) {
			t.Errorf("%s: annotations %v", name, notes)
		}
	}
	if s.auth != "Bearer c4n4ry-token" {
		t.Errorf("signed in with %s", s.auth)
	}
}

// A finding whose labels change is another alert to Alertmanager: the old one is ended when the new one is told, and
// only then.
func TestAnAlertIsReplaced(t *testing.T) {
	t.Parallel()
	s := &server{status: http.StatusOK}
	r := newServer(t, s)
	send := func(told notify.Receipt, change func(*finding.Finding)) notify.Receipt {
		t.Helper()
		m := message(change)
		m.Told = told
		receipt, err := r.Send(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		return receipt
	}
	critical := func(f *finding.Finding) { f.Severity = finding.Critical }
	first := send(notify.Receipt{}, nil)
	if again := send(first, nil); len(s.sent) != 1 || again != first {
		t.Errorf("told again as it is: %v, receipt %v", s.sent, again)
	}
	raised := send(first, critical)
	ended := map[string]string{}
	for _, a := range s.sent {
		ended[a["labels"].(map[string]any)["severity"].(string)] = a["endsAt"].(string)
	}
	want := map[string]string{
		"critical": now.Add(24 * time.Hour).Format(time.RFC3339),
		"warning":  now.Add(-time.Minute).Format(time.RFC3339),
	}
	if d := cmp.Diff(want, ended); d != "" {
		t.Errorf("the severity is raised: ends (-want +got) %s", d)
	}
	if send(raised, critical); len(s.sent) != 1 {
		t.Errorf("told again: %v", s.sent)
	}
	if send(notify.Receipt{Channel: "alerts"}, critical); len(s.sent) != 1 {
		t.Errorf("told by an older version before: %v", s.sent)
	}
}

// A real Alertmanager, whose clock is half a minute behind: an alert holds for a day without another word, so that a
// keyrounds that is away resolves nothing, and ends at once when the finding does (docs/promises.md#every-page-ends).
func TestAway(t *testing.T) {
	t.Parallel()
	url := promtest.Alertmanager(t, "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
	client, err := outbound.Client(outbound.Policy{AllowPrivate: true, Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	ahead := func() time.Time { return time.Now().Add(30 * time.Second) }
	r := alertmanager.New(alertmanager.Options{Name: "am", URL: url, Client: client, Now: ahead})
	send := func(told notify.Receipt, change func(*finding.Finding)) notify.Receipt {
		t.Helper()
		m := message(change)
		m.Findings[0].OpenedAt, m.Told = began.Add(-time.Hour), told
		receipt, err := r.Send(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		return receipt
	}
	active := func() map[string]time.Time {
		t.Helper()
		resp, err := http.Get(url + "/api/v2/alerts")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var all []struct {
			Labels map[string]string
			EndsAt time.Time
		}
		if err := json.NewDecoder(resp.Body).Decode(&all); err != nil {
			t.Fatal(err)
		}
		ends := map[string]time.Time{}
		for _, a := range all {
			ends[a.Labels["severity"]] = a.EndsAt
		}
		return ends
	}
	told := send(notify.Receipt{}, nil)
	if ends := active(); len(ends) != 1 || ends["warning"].Before(began.Add(23*time.Hour)) {
		t.Errorf("open: it ends %v", ends)
	}
	told = send(told, func(f *finding.Finding) { f.Severity = finding.Critical })
	if ends := active(); len(ends) != 1 || ends["critical"].IsZero() {
		t.Errorf("the severity is raised: %v", ends)
	}
	send(told, func(f *finding.Finding) {
		f.Severity, f.State, f.ResolvedAt = finding.Critical, finding.Resolved, ahead()
	})
	if ends := active(); len(ends) != 0 {
		t.Errorf("resolved: %v", ends)
	}
}

// What Alertmanager answers tells whether to wait, to call a person, or to give up the alert; and the token
// is in none of it.
func TestAnswers(t *testing.T) {
	t.Parallel()
	for name, k := range map[string]struct {
		status int
		want   func(error) bool
	}{
		"limited": {429, func(err error) bool { var e *notify.RetryError; return errors.As(err, &e) && e.After == 7*time.Second }},
		"forbidden": {403, func(err error) bool {
			var e *notify.RefusedError
			return errors.As(err, &e) && e.NeedsPerson && e.Fix != ""
		}},
		"bad":    {400, func(err error) bool { var e *notify.RefusedError; return errors.As(err, &e) && e.OnlyThis }},
		"moved":  {301, func(err error) bool { var e *notify.RefusedError; return errors.As(err, &e) && e.NeedsPerson }},
		"broken": {503, func(err error) bool { var e *notify.RefusedError; return err != nil && !errors.As(err, &e) }},
	} {
		s := &server{
			status: k.status,
			header: http.Header{"Retry-After": {"7"}, "Location": {"http://127.0.0.1:1/"}},
			body:   "no: c4n4ry-token",
		}
		_, err := newServer(t, s).Send(t.Context(), message(nil))
		if !k.want(err) || strings.Contains(err.Error(), "c4n4ry") {
			t.Errorf("%s: %v", name, err)
		}
	}
	r := alertmanager.New(alertmanager.Options{Name: "am", URL: "http://127.0.0.1:1", Client: &http.Client{}, Now: time.Now})
	if _, err := r.Send(t.Context(), message(nil)); err == nil || err.Error() != "am: could not be reached" {
		t.Errorf("nobody there: %v", err)
	}
}
