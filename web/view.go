package web

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/verdict"
)

// view is what the page shows: the answer first, the worst on top.
type view struct {
	Answer      string
	Bad         bool
	Counts      []statusCount
	Findings    []row
	Low         []row // of low severity, in a line each
	MoreLow     int   // that are not listed
	Credentials []credentialRow
	Now         time.Time
	Version     string
	Report      string // the newest month whose report was made; "": none
}

// credentialRow is a credential with its status and last check, and its use as the feeds show it.
type credentialRow struct {
	audit.Standing
	Use  UsageJSON
	Ends credential.End
}

type statusCount struct {
	Status verdict.Status
	N      int
}

type row struct {
	finding.Finding
	Words notify.Words
}

var badness = map[verdict.Status]int{
	verdict.Revoked: 0, verdict.Suspect: 1, verdict.Degraded: 2, verdict.Pending: 3, verdict.Unknown: 4, verdict.Healthy: 5,
}

func newView(
	standings []audit.Standing,
	creds []credential.Credential,
	open []finding.Finding,
	uses []UsageJSON,
	now time.Time,
	version string,
) view {
	v := view{Now: now, Version: version}
	counts, use, registered := map[verdict.Status]int{}, map[string]UsageJSON{}, map[int64]credential.Credential{}
	for _, c := range creds {
		registered[c.ID] = c
	}
	for _, u := range uses {
		use[u.Credential] = u
	}
	for _, st := range standings {
		v.Credentials = append(v.Credentials, credentialRow{st, use[st.Credential], registered[st.CredentialID].End(st.Ends)})
		counts[st.Status]++
	}
	for _, s := range []verdict.Status{verdict.Revoked, verdict.Suspect, verdict.Degraded, verdict.Pending, verdict.Healthy} {
		v.Counts = append(v.Counts, statusCount{s, counts[s]})
	}
	slices.SortStableFunc(v.Credentials, func(a, b credentialRow) int { return cmp.Compare(badness[a.Status], badness[b.Status]) })
	low := 0
	for _, f := range open {
		switch {
		case f.Severity != finding.Info:
			v.Findings = append(v.Findings, row{f, notify.Describe(f)})
			continue
		case low < mostLow:
			v.Low = append(v.Low, row{f, notify.Words{Title: notify.Brief(f)}})
		default:
			v.MoreLow++
		}
		low++
	}
	urgent := len(open) - low
	switch n := len(standings); {
	case n == 0:
		v.Answer = "No credential is registered yet."
	case len(open) == 0 && counts[verdict.Healthy] == n:
		v.Answer = fmt.Sprintf("All %d credentials work.", n)
	case urgent == 0:
		v.Answer = fmt.Sprintf("%d of %d credentials work; nothing needs you now.", counts[verdict.Healthy], n)
	default:
		v.Answer = fmt.Sprintf("%d of %d credentials work; open findings: %d.", counts[verdict.Healthy], n, urgent)
		v.Bad = true
	}
	return v
}

const mostLow = 50

func at(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format("2006-01-02 15:04:05 MST")
}

func ago(now, t time.Time) string {
	switch d := now.Sub(t); {
	case t.IsZero():
		return ""
	case d < time.Second:
		return "now"
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s ago", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", int(d.Hours()))
	default:
		return fmt.Sprintf("%d days ago", int(d.Hours()/24))
	}
}
