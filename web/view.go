package web

import (
	"fmt"
	"net/url"
	"time"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/verdict"
)

// view is what the page shows: the answer first, the worst on top. Lists are of one page each; numbers count all.
type view struct {
	Answer      string
	Bad         bool
	Counts      []statusCount
	Findings    []row
	MoreUrgent  int   // that are not listed
	Low         []row // of low severity, in a line each
	MoreLow     int   // that are not listed
	Credentials []credentialRow
	Asked       asked
	Chosen      int    // credentials that were asked for
	First, Next string // links to pages; "": this is it
	Now         time.Time
	Version     string
	Report      string // the newest month whose report was made; "": none
	Who         access.Visit
}

// asked is which credentials the page is to show.
type asked struct {
	Provider, Status, Search string
	After                    audit.Cursor
}

// Some reports whether only some credentials are asked for.
func (a asked) Some() bool { return a.Provider != "" || a.Status != "" || a.Search != "" }

// link is the address of the page after a place.
func (a asked) link(after audit.Cursor) string {
	q := url.Values{}
	for key, value := range map[string]string{"provider": a.Provider, "status": a.Status, "q": a.Search, "after": after.String()} {
		if value != "" {
			q.Set(key, value)
		}
	}
	if len(q) == 0 {
		return "/"
	}
	return "/?" + q.Encode()
}

// held is what the database holds for a view.
type held struct {
	counts     map[string]map[verdict.Status]int // by provider, of all credentials
	severities []audit.Count                     // of all findings that are not resolved
	urgent     []finding.Finding
	low        []finding.Finding
	page       []audit.Standing
	next       audit.Cursor
	chosen     int
	creds      []credential.Credential // of page
	uses       []api.UsageJSON         // likewise
}

// credentialRow is a credential with its status and last check, and its use as the feeds show it.
type credentialRow struct {
	audit.Standing
	Use  api.UsageJSON
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

func newView(h held, a asked, now time.Time, version string) view {
	v := view{Now: now, Version: version, Asked: a, Chosen: h.chosen}
	counts, all := map[verdict.Status]int{}, 0
	for _, byStatus := range h.counts {
		for status, n := range byStatus {
			counts[status] += n
			all += n
		}
	}
	for _, s := range []verdict.Status{verdict.Revoked, verdict.Suspect, verdict.Degraded, verdict.Pending, verdict.Healthy} {
		v.Counts = append(v.Counts, statusCount{s, counts[s]})
	}
	use, registered := map[string]api.UsageJSON{}, map[int64]credential.Credential{}
	for _, c := range h.creds {
		registered[c.ID] = c
	}
	for _, u := range h.uses {
		use[u.Credential] = u
	}
	for _, st := range h.page {
		v.Credentials = append(v.Credentials, credentialRow{st, use[st.Credential], registered[st.CredentialID].End(st.Ends)})
	}
	if a.After != (audit.Cursor{}) {
		v.First = a.link(audit.Cursor{})
	}
	if h.next != (audit.Cursor{}) {
		v.Next = a.link(h.next)
	}
	urgent, low := 0, 0
	for _, c := range h.severities {
		if c.Severity == finding.Info {
			low += c.N
		} else {
			urgent += c.N
		}
	}
	for _, f := range h.urgent {
		v.Findings = append(v.Findings, row{f, notify.Describe(f)})
	}
	for _, f := range h.low {
		v.Low = append(v.Low, row{f, notify.Words{Title: notify.Brief(f)}})
	}
	v.MoreUrgent, v.MoreLow = max(0, urgent-len(v.Findings)), max(0, low-len(v.Low))
	v.Answer = verdict.Sentence(counts, audit.Waiting(h.severities))
	v.Bad = urgent > 0 || counts[verdict.Revoked]+counts[verdict.Suspect] > 0
	return v
}

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
