package api

import (
	"time"

	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
)

// FindingJSON is a finding in JSON, here and in the commands. Its names are a promise: scripts of users depend on
// them.
type FindingJSON struct {
	ID             int64            `json:"id"`
	Kind           finding.Kind     `json:"kind"`
	Severity       finding.Severity `json:"severity"`
	State          finding.State    `json:"state"`
	Credential     string           `json:"credential"`
	Provider       string           `json:"provider"`
	Title          string           `json:"title"`
	OpenedAt       time.Time        `json:"opened_at"`
	UpdatedAt      time.Time        `json:"updated_at"`
	ResolvedAt     time.Time        `json:"resolved_at,omitzero"`
	ResolvedWhy    string           `json:"resolved_why,omitempty"`
	Withdrawn      bool             `json:"withdrawn,omitempty"` // it should not have been told, by resolved_why
	AcknowledgedBy string           `json:"acknowledged_by,omitempty"`
	SnoozedUntil   time.Time        `json:"snoozed_until,omitzero"`
	FalseAlarmBy   string           `json:"false_alarm_by,omitempty"`
	FalseAlarmWhy  string           `json:"false_alarm_why,omitempty"`
	AssignedTo     string           `json:"assigned_to,omitempty"` // who is to look after it
	Evidence       finding.Evidence `json:"evidence"`
	Words          *WordsJSON       `json:"words,omitempty"           doc:"What messages say of it; of one finding only, not in lists."`
}

// WordsJSON is a finding in the words of messages.
type WordsJSON struct {
	State  string     `json:"state,omitempty"  doc:"Where it stands; absent while it is open."`
	Effect string     `json:"effect,omitempty" doc:"What it does to those who use the credential."`
	Owner  string     `json:"owner,omitempty"  doc:"Who is asked."`
	Steps  []string   `json:"steps"            doc:"What to do, the first thing first; none when it is over." nullable:"false"`
	Facts  []FactJSON `json:"facts"            doc:"The evidence."                                            nullable:"false"`
	Guide  string     `json:"guide,omitempty"  doc:"The runbook."`
}

// FactJSON is a line of the evidence.
type FactJSON struct {
	Label string `json:"label,omitempty" doc:"What it is about; absent: it says so itself."`
	Text  string `json:"text"`
}

// NewFindingJSON makes the JSON of a finding, with the title that messages have.
func NewFindingJSON(f finding.Finding) FindingJSON {
	return FindingJSON{
		f.ID, f.Kind, f.Severity, f.State, f.Subject.Credential, f.Subject.Provider, notify.Describe(f).Title,
		f.OpenedAt, f.UpdatedAt, f.ResolvedAt, f.ResolvedWhy, f.Withdrawn, f.AcknowledgedBy, f.SnoozedUntil,
		f.FalseAlarmBy, f.FalseAlarmWhy, f.AssignedTo, f.Evidence, nil,
	}
}

// NewFindingInWords is NewFindingJSON with what messages say. f has what is registered of its credential.
func NewFindingInWords(f finding.Finding) FindingJSON {
	j, w := NewFindingJSON(f), notify.Describe(f)
	facts := w.Facts
	if f.State == finding.Resolved { // a message says no more of what is over, and here it is the record
		facts = append(facts, notify.Evidence(f)...)
	}
	j.Words = &WordsJSON{State: w.State, Effect: w.Effect, Owner: w.Owner, Steps: orEmpty(w.Steps), Facts: []FactJSON{}, Guide: w.Guide}
	if f.State == finding.Resolved {
		j.Words.Steps = []string{}
	}
	for _, fact := range facts {
		j.Words.Facts = append(j.Words.Facts, FactJSON(fact))
	}
	return j
}
