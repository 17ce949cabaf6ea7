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
}

// NewFindingJSON makes the JSON of a finding, with the title that messages have.
func NewFindingJSON(f finding.Finding) FindingJSON {
	return FindingJSON{
		f.ID, f.Kind, f.Severity, f.State, f.Subject.Credential, f.Subject.Provider, notify.Describe(f).Title,
		f.OpenedAt, f.UpdatedAt, f.ResolvedAt, f.ResolvedWhy, f.Withdrawn, f.AcknowledgedBy, f.SnoozedUntil,
		f.FalseAlarmBy, f.FalseAlarmWhy, f.AssignedTo, f.Evidence,
	}
}
