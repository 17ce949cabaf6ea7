package api

import (
	"context"

	"github.com/keyrounds/keyrounds/finding"
)

// PrecisionJSON says how many findings of a kind, about credentials of a provider, were false alarms.
type PrecisionJSON struct {
	Provider    string       `json:"provider"`
	Kind        finding.Kind `json:"kind"`
	Found       int          `json:"found"`
	FalseAlarms int          `json:"false_alarms"`
	Precision   float64      `json:"precision"    doc:"1: none was false."`
}

// listPrecision counts by what people said. It is about everybody's credentials, so who sees his own only sees none.
func (s *server) listPrecision(ctx context.Context, in *Paged) (*listed[PrecisionJSON], error) {
	values := []PrecisionJSON{}
	if owners(ctx) != nil {
		return whole(*in, values)
	}
	list, err := s.Audit.Precisions(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range list {
		values = append(values, PrecisionJSON{p.Provider, p.Kind, p.Found, p.FalseAlarms, 1 - float64(p.FalseAlarms)/float64(p.Found)})
	}
	return whole(*in, values)
}
