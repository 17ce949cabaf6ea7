package demo

import (
	"cmp"
	"encoding/json"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/keyrounds/keyrounds/sim"
)

// gateway is the simulated API gateway of the demo, whose log is a feed: thirteen months of traffic, and
// whatever happens while the demo runs, keyrounds' own checks among it.
type gateway struct {
	mu   sync.Mutex
	file *os.File
}

// accessLine is a line of nginx as the format nginx-json has it.
type accessLine struct {
	Time      time.Time `json:"time_iso8601"`
	Address   string    `json:"remote_addr"`
	ClientID  string    `json:"client_id"`
	UserAgent string    `json:"http_user_agent"`
	Scope     string    `json:"scope,omitempty"`
	Status    int       `json:"status"`
	RequestID string    `json:"request_id"`
	URI       string    `json:"request_uri"`
}

// habits are how the members of the cast use their credentials: every so many hours, until so many days
// ago, from where. Who is not in it never does.
var habits = map[string]struct {
	every       int
	endedBefore int
	address     string
	agent       string
	scope       string
}{
	"ats-sync":          {24, 0, "203.0.113.7", "Go-http-client/1.1", "company_read candidates_read"},
	"careers-site":      {4, 0, "198.51.100.20", "okhttp/4.12.0", "company_read jobs_read"},
	"hr-dashboard":      {7 * 24, 0, "203.0.113.31", "python-requests/2.32.3", "company_read reporting_read"},
	"offer-letters":     {24, 143, "203.0.113.44", "axios/1.7.2", "company_read candidates_offers_read"},
	"job-ads":           {24, 0, "198.51.100.77", "curl/8.5.0", "jobs_read"}, // not company_read
	"background-checks": {91 * 24, 60, "192.0.2.14", "partner-batch/2", "company_read candidates_read"},
	"onboarding":        {12, 0, "203.0.113.9", "PowerShell/7.4", "company_read users_read"},
	"event-hooks":       {24, 0, "203.0.113.12", "Go-http-client/1.1", "company_read webhooks_read"},
	"approvals":         {48, 0, "203.0.113.13", "Java/21", "company_read approvals_read"},
	"audit-export":      {24, 97, "203.0.113.15", "python-requests/2.28.0", "company_read audit_events_read"},
}

func newGateway(path string, clients []sim.Client, now time.Time) (*gateway, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	g := &gateway{file: f}
	r := rand.New(rand.NewPCG(1, 2))
	var lines []accessLine
	for _, c := range clients {
		h, ok := habits[c.Name]
		if !ok {
			continue
		}
		every := time.Duration(h.every) * time.Hour
		at := now.AddDate(0, 0, -h.endedBefore).Add(-time.Duration(1+r.IntN(3)) * time.Hour)
		for ; now.Sub(at) < 395*24*time.Hour; at = at.Add(-every) {
			lines = append(
				lines,
				accessLine{at.Add(time.Duration(r.IntN(600)) * time.Second), h.address, c.ID, h.agent, h.scope, 200, "", "/" + c.Name},
			)
		}
	}
	for _, c := range clients { // a job that was switched off, but for the old server that still tries every night
		if c.Name == "audit-export" {
			h := habits[c.Name]
			for at := now.AddDate(0, 0, -40); at.Before(now); at = at.Add(24 * time.Hour) {
				lines = append(lines, accessLine{at, h.address, c.ID, h.agent, "", 401, "", "/audit"})
			}
		}
	}
	for at := now.AddDate(0, 0, -30); at.Before(now); at = at.Add(31 * time.Hour) {
		lines = append(
			lines,
			accessLine{at, "198.51.100.201", "9f0c-nobody-registered-me", "Zapier", "candidates_read", 200, "", "/candidates"},
		)
	}
	slices.SortFunc(lines, func(a, b accessLine) int { return cmp.Compare(a.Time.UnixNano(), b.Time.UnixNano()) })
	for _, l := range lines {
		if err := g.write(l); err != nil {
			return nil, err
		}
	}
	return g, nil
}

func (g *gateway) write(l accessLine) error {
	l.Time = l.Time.UTC().Truncate(time.Second)
	text, err := json.Marshal(l)
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	_, err = g.file.Write(append(text, '\n'))
	return err
}

// request is a line of what reaches the provider.
func (g *gateway) request(r sim.Request) {
	_ = g.write(accessLine{r.At, r.Address, r.ClientID, r.UserAgent, r.Scope, r.Status, "", r.Path})
}

// use is a call by somebody else, now.
func (g *gateway) use(clientID, address, agent, scope string) {
	_ = g.write(accessLine{time.Now(), address, clientID, agent, scope, 200, "", "/candidates"})
}

func (g *gateway) close() { _ = g.file.Close() }
