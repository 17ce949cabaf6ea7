package demo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/keyrounds/keyrounds/sim"
)

// stage is what the demo simulates: a provider and a Slack, on loopback.
type stage struct {
	provider    *sim.Provider
	slack       *sim.Slack
	providerURL string
	slackURL    string
	dir         string
	config      string // the file that the daemon reads
	clients     []sim.Client
	servers     []*http.Server
	gateway     *gateway
	screening   *screening
}

// The cast: what a company might have registered.
var cast = []struct{ name, owner, purpose, scopes string }{
	{"ats-sync", "talent-platform", "nightly candidate sync to the warehouse", "company_read candidates_read"},
	{"careers-site", "web", "job list of the careers site", "company_read jobs_read"},
	{"hr-dashboard", "people-analytics", "headcount dashboard", "company_read reporting_read"},
	{"offer-letters", "people-operations", "offer documents", "company_read candidates_offers_read"},
	{"interview-bot", "recruiting", "books interview rooms", "company_read interview_types_read"},
	{"job-ads", "marketing", "posts to job boards", "company_read jobs_read"},
	{"background-checks", "compliance", "sends candidates to the screening partner", "company_read candidates_read"},
	{"onboarding", "it", "opens accounts for new colleagues", "company_read users_read"},
	{"salary-bands", "finance", "reads job grades", "company_read configuration_read"},
	{"event-hooks", "talent-platform", "subscribes to events", "company_read webhooks_read"},
	{"approvals", "finance", "reads approvals", "company_read approvals_read"},
	{"audit-export", "security", "exports audit events", "company_read audit_events_read"},
	{"honeypot", "security", "a canary in the wiki: nobody may ever use it", "company_read"},
	{"payroll", "finance", "reads grades from the second provider, which no feed watches", "company_read"},
	{"spreadsheet", "finance", "an API key in a spreadsheet, which may do everything", ""},
}

func setStage(ctx context.Context, dir string) (*stage, error) {
	s := &stage{
		slack:  &sim.Slack{Token: "xoxb-demo-" + rand.Text(), AppToken: "xapp-demo-" + rand.Text()},
		dir:    dir,
		config: filepath.Join(dir, "config.yaml"),
	}
	for _, c := range cast {
		s.clients = append(
			s.clients,
			sim.Client{
				ID: strings.ToLower(rand.Text()), Name: c.name, Secret: rand.Text(), Scopes: strings.Fields(c.scopes), Key: c.scopes == "",
			},
		)
	}
	var leaky sim.Client
	s.screening, leaky = newScreening(dir)
	s.provider = sim.NewProvider(append(s.clients, leaky)...)
	s.provider.TokenLag = 3 * time.Second
	var err1, err2, err3 error
	if s.gateway, err3 = newGateway(filepath.Join(dir, "gateway.json"), s.clients, time.Now()); err3 == nil {
		s.provider.AccessLog = s.gateway.request
	}
	s.providerURL, err1 = s.serve(ctx, s.provider)
	s.slackURL, err2 = s.serve(ctx, s.slack)
	return s, errors.Join(err1, err2, err3, s.write(dir), os.MkdirAll(s.screening.repository, 0o755))
}

func (s *stage) serve(ctx context.Context, h http.Handler) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	s.servers = append(s.servers, server)
	go func() { _ = server.Serve(l) }()
	return "http://" + l.Addr().String(), nil
}

func (s *stage) close() {
	for _, server := range s.servers {
		_ = server.Close()
	}
	if s.gateway != nil {
		s.gateway.close()
	}
}

// write makes the files that an installation would have.
func (s *stage) write(dir string) error {
	var b strings.Builder
	fmt.Fprintf(&b, `# The demo's configuration: an ordinary one but for its short times.
data_dir: %[1]s/data
listen: 127.0.0.1:0
access: {people: true}
providers:
  smartrecruiters:
    preset: smartrecruiters
    token_url: %[2]s/identity/oauth/token
    allow_private_networks: true
    rate: 50/s
    min_interval: 1s
    probes:
      - {scope: company_read, get: "%[2]s/configuration/company/my"}
      - {scope: jobs_read, get: "%[2]s/jobs?limit=1"}
  smartrecruiters-keys:
    preset: smartrecruiters-api-key
    allow_private_networks: true
    rate: 50/s
    min_interval: 1s
    probes: [{get: "%[2]s/configuration/company/my"}]
  hris: {token_url: "%[2]s/identity/oauth/token", allow_private_networks: true, rate: 50/s, min_interval: 1s}
  partners: {token_url: "%[2]s/identity/oauth/token", allow_private_networks: true, concurrency: 32, rate: 400/s}
feeds:
  - {name: gateway, provider: smartrecruiters, type: file, format: nginx-json, paths: ["%[1]s/gateway.json"]}
defaults: {schedule: "@every 4s", unused_after: 90d}
digest: "@every 20s"
verdict: {confirm: [3s, 8s], again: [12s, 24s], refusals_per_hour: 0, grace: 1m, unverifiable_after: 10m, incident: {within: 20s}}
slack: {token: "file:%[1]s/slack-token", app_token: "file:%[1]s/slack-app-token", `+
		`allow: [U01, U02], channel: "#credential-alerts", api_url: "%[3]s/"}
routes:
  - {kind: [canary_tripped, leaked], channel: "#security", mention: "<!subteam^SECURITY>"}
owners: {people-operations: {channel: "#people-operations"}}
notifications: {group_wait: 4s, remind_every: 25s}
leaks:
  try_every: 2s
  sources: [{name: wiki, path: "%[1]s/wiki", schedule: "@every 3s"}]
  webhooks: [{name: gitguardian, type: gitguardian, secret: "file:%[1]s/gitguardian-token"}]
credentials:
`, dir, s.providerURL, s.slackURL)
	secrets := map[string]string{"slack-token": s.slack.Token, "slack-app-token": s.slack.AppToken, "gitguardian-token": rand.Text()}
	for i, c := range s.clients {
		provider, client := "smartrecruiters", ", client_id: "+c.ID
		switch {
		case c.Name == "payroll":
			provider = "hris"
		case c.Key:
			provider, client = "smartrecruiters-keys", ""
		}
		fmt.Fprintf(
			&b,
			"  - {name: %s, provider: %s%s, secret: \"file:%s/%s.secret\", scopes: [%s], "+
				"owner: %s, description: %q, created: %s, canary: %t, max_age: %s%s}\n",
			c.Name,
			provider,
			client,
			dir,
			c.Name,
			strings.Join(c.Scopes, ", "),
			cast[i].owner,
			cast[i].purpose,
			time.Now().AddDate(0, -5*i-14, 0).Format(time.DateOnly),
			c.Name == "honeypot",
			map[bool]string{true: "365d", false: "0s"}[c.Name == "onboarding"],
			map[bool]string{true: ", expires: " + time.Now().AddDate(0, 0, 12).Format(time.DateOnly)}[c.Name == "event-hooks"],
		)
		secrets[c.Name+".secret"] = c.Secret
	}
	var errs []error
	for name, text := range secrets {
		errs = append(errs, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	return errors.Join(append(errs, os.WriteFile(s.config, []byte(b.String()), 0o600))...)
}

// lose moves the secrets of some credentials away, or back.
func (s *stage) lose(away bool, names ...string) {
	for _, name := range names {
		from, to := filepath.Join(s.dir, name+".secret"), filepath.Join(s.dir, name+".away")
		if !away {
			from, to = to, from
		}
		_ = os.Rename(from, to)
	}
}

// press presses a button of the message about a credential, as ann, as soon as it is there.
func (s *stage) press(about, action string) {
	go func() {
		for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
			for _, m := range s.slack.Messages() {
				if strings.Contains(m.Text, about) &&
					s.slack.Press(sim.Press{User: "U01", Name: "ann", Message: m, Action: action}) == nil {
					return
				}
			}
		}
	}()
}

func (s *stage) id(name string) string {
	for _, c := range s.clients {
		if c.Name == name {
			return c.ID
		}
	}
	return ""
}
