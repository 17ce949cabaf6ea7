package finding_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/finding"
)

// Of each kind all is known that somebody who is told of one needs, and the pages that it names are there.
func TestCatalogue(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	for _, k := range finding.Kinds() {
		e := k.Of()
		f := finding.Finding{Kind: k, Severity: e.Severity, Subject: finding.Subject{Credential: "c", Provider: "p"}, OpenedAt: now}
		if e.Sample != nil {
			e.Sample(&f, now)
		}
		if e.Kind != k || e.Means == "" || e.Says(f) == "" || e.Was+e.Over == "" || e.Many(f) == "" || len(e.Steps(f, "c")) == 0 {
			t.Errorf("%s: %+v", k, e)
		}
		if e.Severity != finding.Info && k != finding.UsedAfterRevocation &&
			(e.Effect == nil || e.Effect(f, 1) == "" || e.Effect(f, 2) == "") {
			t.Errorf("%s: it is no mere information, and has no effect", k)
		}
		pages := []string{filepath.Join("..", "docs", e.Page)}
		if e.Alert != "" {
			pages = append(pages, filepath.Join("..", "docs", "runbooks", e.Alert+".md"))
		}
		for _, page := range pages {
			if _, err := os.Stat(page); err != nil {
				t.Errorf("%s: %v", k, err)
			}
		}
	}
	if k := finding.Kind("made_up").Of(); k.Severity != finding.Warning || k.Says(finding.Finding{}) == "" {
		t.Errorf("%+v", k)
	}
}

// What people are told to do can be done: a secret that the host keeps is changed there, and what the configuration file registers
// is taken out of it.
func TestStepsFitHowTheSecretIsKept(t *testing.T) {
	t.Parallel()
	for _, k := range finding.Kinds() {
		e := k.Of()
		if e.Steps == nil {
			continue
		}
		f := finding.Finding{Kind: k}
		sealed := strings.Join(e.Steps(f, "ats-sync"), "\n")
		f.About.Kept, f.About.InFile = "file:/run/ats", true
		kept := strings.Join(e.Steps(f, "ats-sync"), "\n")
		if strings.Contains(kept, "credentials rotate") || strings.Contains(kept, "credentials retire") {
			t.Errorf("%s: it is kept by the host, and its steps say:\n%s", k, kept)
		}
		where := "where it is kept (file:/run/ats). Then try it: keyrounds check ats-sync"
		if strings.Contains(sealed, "credentials rotate") && !strings.Contains(kept, where) {
			t.Errorf("%s: its steps do not say where its secret is kept:\n%s", k, kept)
		}
	}
}

func TestSpan(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0 s", 59 * time.Second: "59 s", time.Minute: "1 min", 14*time.Minute + 40*time.Second: "14 min",
		4*time.Hour + 2*time.Minute: "4 h 2 min", 5 * time.Hour: "5 h", 72 * time.Hour: "3 days",
	} {
		if got := finding.Span(d); got != want {
			t.Errorf("%s: %s, want %s", d, got, want)
		}
	}
}

// What is said of an API key is not about tokens, which it has none of; alone or with other keys.
func TestNothingIsSaidOfAKeysTokens(t *testing.T) {
	t.Parallel()
	for _, kind := range []finding.Kind{finding.Revoked, finding.ProviderIncident, finding.ScopeLost} {
		for _, suspected := range []bool{false, true} {
			f := finding.Finding{Kind: kind, Severity: finding.Critical, About: finding.About{Key: true}}
			f.Evidence.Suspected, f.Evidence.NoToken = suspected, true
			for n := 1; n <= 2; n++ {
				if text := kind.Of().Says(f) + kind.Of().Effect(f, n); strings.Contains(text, "token") {
					t.Errorf("%s of %d: %s", kind, n, text)
				}
			}
		}
	}
}
