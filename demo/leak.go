package demo

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/keyrounds/keyrounds/action"
	"github.com/keyrounds/keyrounds/app"
	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/secret"
	"github.com/keyrounds/keyrounds/sim"
	"github.com/keyrounds/keyrounds/verdict"
)

// screening is the demo's credential that gets out. Its secret is sealed, as a command puts it, and not read from
// the host like those of the others.
type screening struct {
	id, old, new string
	repository   string
}

const screeningName = "screening"

func newScreening(dir string) (*screening, sim.Client) {
	s := &screening{id: strings.ToLower(rand.Text()), old: rand.Text(), new: rand.Text(), repository: filepath.Join(dir, "wiki")}
	return s, sim.Client{ID: s.id, Name: screeningName, Secret: s.old, Scopes: []string{"company_read", "candidates_read"}}
}

// register does what `keyrounds credentials add screening` does.
func (s *screening) register(ctx context.Context, a *app.App, actor string) error {
	return a.Actions.Add(ctx, actor, []credential.Credential{
		{
			Name:        screeningName,
			Provider:    "smartrecruiters",
			Subject:     s.id,
			Scopes:      []string{"company_read", "candidates_read"},
			Owner:       "compliance",
			Description: "sends candidates to the second screening partner",
			Schedule:    a.Config().Defaults.Schedule,
			UnusedAfter: a.Config().Defaults.UnusedAfter,
		},
	}, []secret.Value{secret.New([]byte(s.old))}, action.AtOnce, nil)
}

// plant commits the secret to a repository, in base64, and takes it out again. Without git it stays in a file.
func (s *screening) plant() error {
	name := filepath.Join(s.repository, "howto", "screening.md")
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	commit := func(date, message, text string) error {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			return err
		}
		for _, args := range [][]string{{"init", "-q"}, {"add", "-A"}, {"commit", "-q", "-m", message}} {
			cmd := exec.Command("git", append([]string{"-C", s.repository, "-c", "init.defaultBranch=main"}, args...)...)
			cmd.Env = append(
				os.Environ(),
				"GIT_CONFIG_GLOBAL=/dev/null",
				"GIT_AUTHOR_NAME=bob",
				"GIT_AUTHOR_EMAIL=bob@example.com",
				"GIT_COMMITTER_NAME=bob",
				"GIT_COMMITTER_EMAIL=bob@example.com",
				"GIT_AUTHOR_DATE="+date,
				"GIT_COMMITTER_DATE="+date,
			)
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("git %s: %w: %s", args[0], err, out)
			}
		}
		return nil
	}
	leak := fmt.Sprintf("# How to call the screening API\n\n    curl -u %s:%s …\n", s.id, s.old)
	if _, err := exec.LookPath("git"); err != nil {
		return os.WriteFile(name, []byte(leak), 0o644)
	}
	month := func(n int) string { return time.Now().AddDate(0, -n, 0).UTC().Format(time.RFC3339) }
	if err := commit(month(3), "how to call the screening API", leak); err != nil {
		return err
	}
	return commit(month(2), "no passwords here please", "# How to call the screening API\n\nAsk compliance for access.\n")
}

// leakScenes are what happens to it. Whatever cannot be done is told by fail.
func (t *teller) leakScenes() []scene {
	s := t.stage.screening
	do := func(what string, f func(context.Context) error) {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := f(ctx); err != nil {
			t.line("31", "story", what+": "+err.Error())
		}
	}
	return []scene{
		{1 * time.Second, nil, "keyrounds credentials add screening: its secret is sealed in the database", func(*sim.Provider) {
			do("add", func(ctx context.Context) error { return s.register(ctx, t.app, t.Actor) })
		}},
		{
			10 * time.Second, t.is(screeningName, verdict.Healthy),
			"bob committed the secret of screening to the wiki months ago, and took it out again; the daemon scans its history",
			func(*sim.Provider) {
				do("plant", func(context.Context) error { return s.plant() })
			},
		},
		{
			21 * time.Second, t.told("screening (smartrecruiters) has a secret that got out"),
			"screening gets a new secret at the provider: keyrounds credentials rotate screening",
			func(p *sim.Provider) {
				p.Renew(s.id, s.new)
				do("rotate", func(ctx context.Context) error {
					return t.app.Actions.Rotate(ctx, t.Actor, screeningName, "", time.Time{}, secret.New([]byte(s.new)), action.AtOnce)
				})
			},
		},
		{
			28 * time.Second, nil,
			"the old secret of screening is revoked at the provider; is it really dead?",
			func(p *sim.Provider) { p.RevokeSecret(s.id, s.old) },
		},
	}
}

// proofs prints the proofs of death that the demo came to.
func (t *teller) proofs(ctx context.Context) {
	all, err := t.app.Audit.Findings(ctx, audit.Filter{Kind: finding.Leaked, Resolved: true})
	if err != nil {
		return
	}
	for _, f := range all {
		if f.Evidence.Leak == nil {
			continue
		}
		for _, d := range f.Evidence.Leak.Deaths {
			fmt.Fprint(t.out, t.Proof(f.Subject.Name(), d))
		}
	}
}
