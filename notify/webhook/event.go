package webhook

import (
	"cmp"
	"encoding/json"
	"time"

	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
)

// Version is that of Event. What is added later, such as a member or a type, changes it not.
const Version = 1

// Event is the body of a webhook: what happened, as JSON. Schema publishes it.
type Event struct {
	Type      Type      `json:"type"      jsonschema:"description=What happened."`
	Timestamp time.Time `json:"timestamp" jsonschema:"description=When it happened."`
	Data      Data      `json:"data"`
}

// Type says what happened.
type Type string

// The types of events.
const (
	Opened   Type = "finding.opened"   // something is told for the first time
	Changed  Type = "finding.changed"  // more is known of it, somebody acts on it, or it is told again
	Resolved Type = "finding.resolved" // all that it tells of is over
	Letter   Type = "letter"           // a digest or a report
)

// Data is what an event is about.
type Data struct {
	Version  int       `json:"version"            jsonschema:"description=Of this document: 1.,minimum=1"`
	Message  string    `json:"message"            jsonschema:"description=The same for all events of what is told together."`
	Title    string    `json:"title"              jsonschema:"description=In a sentence."`
	Text     string    `json:"text"               jsonschema:"description=In words, as a mail has it."`
	Link     string    `json:"link,omitempty"     jsonschema:"description=The page about it."`
	Happened string    `json:"happened,omitempty" jsonschema:"description=What happened since the event before."`
	Findings []Finding `json:"findings"           jsonschema:"description=What it tells of; none in a letter."`
}

// Finding is one of an event.
type Finding struct {
	ID           int64             `json:"id"                        jsonschema:"description=0 of a sample, and of what no database knows."`
	Kind         string            `json:"kind"                      jsonschema:"description=Such as revoked."`
	Severity     string            `json:"severity"                  jsonschema:"enum=critical,enum=warning,enum=info"`
	State        string            `json:"state"                     jsonschema:"enum=open,enum=acknowledged,enum=snoozed,enum=resolved"`
	Before       string            `json:"state_before,omitempty"    jsonschema:"description=Its state in the event before."`
	Credential   string            `json:"credential,omitempty"`
	Provider     string            `json:"provider,omitempty"`
	Owner        string            `json:"owner,omitempty"`
	Labels       map[string]string `json:"labels,omitempty"`
	Title        string            `json:"title"`
	Effect       string            `json:"effect,omitempty"          jsonschema:"description=What it does to those who use the credential."`
	Steps        []string          `json:"steps,omitempty"           jsonschema:"description=What to do."`
	Facts        []Fact            `json:"facts,omitempty"           jsonschema:"description=What it rests on."`
	OpenedAt     time.Time         `json:"opened_at"`
	ResolvedAt   *time.Time        `json:"resolved_at,omitempty"`
	ResolvedWhy  string            `json:"resolved_why,omitempty"`
	Acknowledged string            `json:"acknowledged_by,omitempty"`
	Runbook      string            `json:"runbook,omitempty"`
}

// Fact is a line of what a finding rests on.
type Fact struct {
	Label string `json:"label,omitempty"`
	Text  string `json:"text"`
}

// told is what the receiver keeps of the last event of a message: the states of its findings.
type told map[int64]finding.State

func readTold(r notify.Receipt) told {
	t := told{}
	_ = json.Unmarshal([]byte(r.Ref), &t) // what is none is of another receiver that had this name
	return t
}

// eventOf is what a message is as an event, and what is kept of it.
func eventOf(m notify.Message) (Event, told) {
	title, text := m.Plain()
	e := Event{Letter, m.Made, Data{Version: Version, Message: m.Key, Title: title, Text: text, Link: m.Words.Link, Findings: []Finding{}}}
	if m.Letter != nil {
		return e, told{}
	}
	before, now := readTold(m.Told), told{}
	switch {
	case m.Over():
		e.Type = Resolved
	case m.Told == notify.Receipt{}:
		e.Type = Opened
	default:
		e.Type = Changed
	}
	e.Data.Happened = m.Turn
	for _, f := range m.Findings {
		now[f.ID] = f.State
		e.Data.Findings = append(e.Data.Findings, findingOf(f, before[f.ID]))
		if at := cmp.Or(f.UpdatedAt, f.OpenedAt); at.After(e.Timestamp) {
			e.Timestamp = at
		}
	}
	e.Timestamp = e.Timestamp.UTC()
	return e, now
}

func findingOf(f finding.Finding, before finding.State) Finding {
	w := notify.Describe(f)
	out := Finding{
		ID: f.ID, Kind: string(f.Kind), Severity: string(f.Severity), State: string(f.State), Before: string(before),
		Credential: f.Subject.Credential, Provider: f.Subject.Provider, Owner: f.About.Owner, Labels: f.About.Labels,
		Title: w.Title, Effect: w.Effect, Steps: w.Steps, OpenedAt: f.OpenedAt.UTC(), ResolvedWhy: f.ResolvedWhy,
		Acknowledged: f.AcknowledgedBy, Runbook: w.Guide,
	}
	for _, fact := range w.Facts {
		out.Facts = append(out.Facts, Fact{fact.Label, fact.Text})
	}
	if f.State == finding.Resolved {
		at := f.ResolvedAt.UTC()
		out.ResolvedAt = &at
	}
	return out
}
