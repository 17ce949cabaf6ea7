package notify

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyrounds/keyrounds/finding"
)

var update = flag.Bool("update", false, "write the expected messages anew")

// What people read of each kind, in each state: as a mail has it, and the line that a thread, a push or a reminder has. Who
// is woken up by the first 80 characters alone knows which credential, which provider, and what.
func TestMessages(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	for _, k := range finding.Kinds() {
		var text strings.Builder
		one := Sample(k, now)
		one.ID, one.OpenedAt = 7, now.Add(-2*time.Minute)
		other := one
		if other.ID = 8; one.Subject.Credential != "" {
			other.Subject.Credential = "another-one"
		}
		ended := func(f finding.Finding, withdrawn bool) finding.Finding {
			f.State, f.ResolvedAt, f.ResolvedWhy, f.Withdrawn = finding.Resolved, now.Add(10*time.Minute), "the reason in words", withdrawn
			return f
		}
		before := ended(one, false)
		before.ID, before.ResolvedAt = 6, one.OpenedAt.Add(-14*time.Minute)
		knows := func(state finding.State) record {
			return record{digest: "x", was: map[int64]told{6: {state: finding.Resolved}, 7: {state, news(one)}}}
		}
		nudged := knows(finding.Open)
		nudged.nudge = nudgeRemind
		escalated := knows(finding.Open)
		escalated.nudge = nudgeEscalate
		fresh := knows("")
		fresh.was = map[int64]told{6: {state: finding.Resolved}}
		for _, c := range []struct {
			name    string
			r       record
			fs, all []finding.Finding
		}{
			{"open", record{}, []finding.Finding{one}, nil},
			{"burst", record{}, []finding.Finding{one, other}, nil},
			{"reminder", nudged, []finding.Finding{one}, nil},
			{"escalated", escalated, []finding.Finding{one}, nil},
			{"reopened", fresh, []finding.Finding{one}, []finding.Finding{one, before}},
			{"resolved", knows(finding.Open), []finding.Finding{ended(one, false)}, nil},
			{"withdrawn", knows(finding.Open), []finding.Finding{ended(one, true)}, nil},
		} {
			if c.name == "burst" && one.Subject.Credential == "" {
				continue // there is one of a provider
			}
			m := Message{Findings: c.fs, Words: DescribeAll(c.fs)}
			m.Turn, m.Loud = c.r.turn(c.fs, c.all, Traits{}, now.Add(4*time.Hour))
			m.Occasion = c.r.occasion(c.fs, c.all)
			title, body := m.Plain()
			fmt.Fprintf(&text, "=== %s\n%s\n%s\n\n", c.name, title, body)
			for _, line := range append(strings.Split(m.Turn, "\n"), title) {
				if line != "" && c.name != "burst" {
					standsAlone(t, k, c.name, line, one.Subject)
				}
			}
		}
		golden(t, string(k)+".txt", text.String())
	}
}

// standsAlone fails unless the first 80 characters of a line say who, and have room for what.
func standsAlone(t *testing.T, k finding.Kind, state, line string, s finding.Subject) {
	t.Helper()
	head := line[:min(len(line), 80)]
	for _, name := range []string{s.Credential, s.Provider} {
		if i := strings.Index(head, name); i < 0 || i > 55 {
			t.Errorf("%s, %s: %q does not name %q", k, state, head, name)
		}
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "messages", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s: -update writes it anew:\n%s", name, d)
	}
}

// Several findings in one message speak of several: what is not confirmed is said so, and what became of it; what belongs to an
// incident says that, without the evidence that is stale by then.
func TestWordsOfSeveral(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	a, b := Sample(finding.Revoked, now), Sample(finding.Revoked, now)
	a.ID, a.Subject.Credential, b.ID, b.Subject.Credential = 1, "sil-01", 2, "sil-02"
	a.Evidence.Suspected, b.Evidence.Suspected = true, true
	early := DescribeAll([]finding.Finding{a, b})
	want := "2 credentials of sample-provider are refused, which is not confirmed yet: sil-01, sil-02"
	if !strings.HasSuffix(early.Title, want) ||
		!strings.HasPrefix(early.Effect, "If that is confirmed, whoever uses them") {
		t.Errorf("early: %s\n%s", early.Title, early.Effect)
	}
	r := record{digest: "x", was: map[int64]told{1: knownOf(a), 2: knownOf(b)}, holds: map[int64]hold{}, unsaid: map[int64]bool{}}
	a.Evidence.Suspected = false
	text, loud := r.turn([]finding.Finding{a, b}, nil, Traits{Edits: true}, now)
	if want := "sil-01 (sample-provider): revoked, and that is confirmed now"; text != want || !loud {
		t.Errorf("confirmed: %q, loud %t", text, loud)
	}
	for _, f := range []*finding.Finding{&a, &b} {
		f.State, f.Withdrawn, f.ResolvedAt = finding.Resolved, true, now
		f.ResolvedWhy = "it belongs to the incident of sample-provider, and nobody blames it alone any more"
	}
	w := DescribeAll([]finding.Finding{a, b})
	if want := "WITHDRAWN: 2 credentials of sample-provider belong to the incident of sample-provider: sil-01, sil-02"; w.Title != want ||
		w.State != "all withdrawn" || len(w.Facts) != 1 {
		t.Errorf("withdrawn: %+v", w)
	}
	want = "WITHDRAWN: sil-01 (sample-provider) belongs to the incident of sample-provider, and nobody blames it alone any more"
	if w := Describe(a); w.Title != want {
		t.Errorf("one is withdrawn: %s", w.Title)
	}
}

// Who gets no token for want of scopes hears which ones the provider named, and until when its last token works.
func TestWordsOfRefusedScopes(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	f := Sample(finding.ScopeLost, now)
	f.Severity = finding.Critical
	f.Evidence.NoToken, f.Evidence.MissingScopes, f.Evidence.UsualLife = true, []string{"a_read", "b_read"}, 30*time.Minute
	f.Evidence.Outcome, f.Evidence.HTTPStatus, f.Evidence.ErrorCode = "scope_denied", 400, "invalid_scope"
	w := Describe(f)
	if want := "CRITICAL: sample-credential (sample-provider) gets no token: a_read b_read are refused"; w.Title != want {
		t.Error(w.Title)
	}
	if !strings.HasSuffix(w.Effect, "stops when its last token ends, within 30 min.") {
		t.Error(w.Effect)
	}
	other := f
	other.ID, other.Subject.Credential = 2, "another-one"
	w = DescribeAll([]finding.Finding{f, other})
	want := "CRITICAL: 2 credentials of sample-provider get no token for want of scopes or the grant: sample-credential, another-one"
	if w.Title != want || !strings.HasPrefix(w.Effect, "Whoever uses one of them gets no new token.") {
		t.Errorf("%s\n%s", w.Title, w.Effect)
	}
	// A token came, and a probe was refused: what the token endpoint said is no answer to that.
	f.Evidence.NoToken, f.Evidence.HTTPStatus, f.Evidence.ErrorCode, f.Evidence.Message = false, 200, "", "GET /jobs was refused: HTTP 403"
	for _, fact := range Describe(f).Facts {
		if fact.Label == "The provider said" {
			t.Errorf("%s: %s", fact.Label, fact.Text)
		}
	}
}

// An incident of several providers names each of them once, and its commands name a credential that it is about.
func TestAJointIncident(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	f := Sample(finding.ProviderIncident, now)
	f.ID, f.Subject.Provider, f.Evidence.Providers = 1, "sr", []string{"hris", "sr"}
	w := Describe(f)
	if want := "CRITICAL: hris and sr refuse 3 of 4 credentials at once; they share a server"; w.Title != want {
		t.Errorf("open: %s", w.Title)
	}
	if steps := strings.Join(w.Steps, "\n"); !strings.Contains(steps, "keyrounds check sample-one") || strings.Contains(steps, "NAME") {
		t.Errorf("its steps:\n%s", steps)
	}
	r := record{digest: "x", was: map[int64]told{1: knownOf(f)}, holds: map[int64]hold{}, unsaid: map[int64]bool{}}
	f.State, f.ResolvedAt, f.ResolvedWhy = finding.Resolved, now, "all are accepted again"
	text, _ := r.turn([]finding.Finding{f}, nil, Traits{Edits: true}, now)
	if !strings.HasPrefix(text, "hris and sr refused many credentials at once for") {
		t.Errorf("over: %s", text)
	}
}
