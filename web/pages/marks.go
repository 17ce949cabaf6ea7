package pages

import (
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/usage"
	"github.com/keyrounds/keyrounds/verdict"
)

// Mark is a state as it is shown, by the part "state": a shape, a word and a colour, which each alone would do.
type Mark struct {
	Class string // the colour: ok, info, less, sus, bad; "": none
	Icon  string // a symbol of static/icons.svg
	Word  string
}

// statusMark is the mark of a credential's status.
func statusMark(s verdict.Status) Mark {
	m, ok := map[verdict.Status]Mark{
		verdict.Healthy:  {"ok", "healthy", "Healthy"},
		verdict.Degraded: {"less", "degraded", "Degraded"},
		verdict.Suspect:  {"sus", "suspect", "Suspect"},
		verdict.Revoked:  {"bad", "revoked", "Revoked"},
		verdict.Pending:  {"", "pending", "Pending"},
		verdict.Retired:  {"", "retired", "Retired"},
	}[s]
	if !ok {
		return Mark{"", "unknown", "Unknown"}
	}
	return m
}

// severityMark is the mark of a finding that is not over.
func severityMark(s finding.Severity) Mark {
	switch s {
	case finding.Critical:
		return Mark{"bad", "critical", "Critical"}
	case finding.Info:
		return Mark{"info", "low", "Low severity"}
	}
	return Mark{"less", "warning", "Warning"}
}

// usageMark is the mark of whether a credential is used. It has no colour: unused is no fault.
func usageMark(s string) Mark {
	switch usage.State(s) {
	case usage.Used:
		return Mark{"", "used", "Used"}
	case usage.Unused:
		return Mark{"", "unused", "Unused"}
	case usage.NeverUsed:
		return Mark{"", "never", "Never used"}
	}
	return Mark{"", "notknown", "Not known"}
}

// Of says the same of several.
func (m Mark) Of(word string) Mark {
	m.Word = word
	return m
}
