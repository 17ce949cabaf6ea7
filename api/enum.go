package api

import (
	"github.com/danielgtaylor/huma/v2"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/decision"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/usage"
	"github.com/keyrounds/keyrounds/verdict"
)

// The values of filters, by the catalogue that each is of. An empty one filters nothing.
type (
	aStatus   string
	anOutcome string
	aKind     string
	aSeverity string
	aState    string
	aUsage    string
	aChoice   string
)

// Schema has the document list the values, as those below.
func (aStatus) Schema(huma.Registry) *huma.Schema { return enum(verdict.Statuses()) }

// Schema lists the outcomes.
func (anOutcome) Schema(huma.Registry) *huma.Schema { return enum(checker.Outcomes()) }

// Schema lists the kinds of findings.
func (aKind) Schema(huma.Registry) *huma.Schema { return enum(finding.Kinds()) }

// Schema lists the severities, the most urgent first.
func (aSeverity) Schema(huma.Registry) *huma.Schema {
	return enum([]finding.Severity{finding.Critical, finding.Warning, finding.Info})
}

// Schema lists the states of findings.
func (aState) Schema(huma.Registry) *huma.Schema {
	return enum([]finding.State{finding.Open, finding.Acknowledged, finding.Snoozed, finding.Resolved})
}

// Schema lists the answers to whether a credential is used.
func (aUsage) Schema(huma.Registry) *huma.Schema { return enum(usage.States()) }

// Schema lists what may be decided of a credential.
func (aChoice) Schema(huma.Registry) *huma.Schema { return enum(decision.Choices()) }

func enum[T ~string](values []T) *huma.Schema {
	s := &huma.Schema{Type: huma.TypeString}
	for _, v := range values {
		s.Enum = append(s.Enum, string(v))
	}
	s.PrecomputeMessages()
	return s
}
