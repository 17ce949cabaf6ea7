package api

import (
	"context"
	"encoding/json"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/keyrounds/keyrounds/audit"
)

// RecordFilter chooses entries of the record.
type RecordFilter struct {
	Actor   string    `query:"actor" maxLength:"200" doc:"Only what this actor did: daemon, or user ann."`
	Action  string    `query:"action" maxLength:"100" doc:"Only these: finding.opened; with a dot at the end, all that begin so."`
	Subject string    `query:"subject" maxLength:"200" doc:"Only those about this: credential/NAME, provider/NAME, report/MONTH."`
	Since   time.Time `query:"since" doc:"Only those from this time on."`
	Until   time.Time `query:"until" doc:"Only those before this time."`
}

func (f RecordFilter) record() audit.Record {
	return audit.Record{Actor: f.Actor, Action: f.Action, Subject: f.Subject, Since: f.Since, Until: f.Until}
}

type recordIn struct {
	Paged
	RecordFilter
}

// EntryJSON is a line of the record of who did what.
type EntryJSON struct {
	ID      int64          `json:"id"`
	At      time.Time      `json:"at"`
	Actor   string         `json:"actor"`
	Action  string         `json:"action"`
	Subject string         `json:"subject"`
	Detail  map[string]any `json:"detail"`
}

func newEntryJSON(e audit.Entry) EntryJSON {
	j := EntryJSON{e.ID, e.At.UTC(), e.Actor, e.Action, e.Subject, map[string]any{}}
	_ = json.Unmarshal(e.Detail, &j.Detail) // an object, as everything that is written into it
	return j
}

// listRecord lists who did what, the newest first.
func (s *server) listRecord(ctx context.Context, in *recordIn) (*listed[EntryJSON], error) {
	q := in.record()
	q.Limit = in.Limit + 1
	if err := in.after(&q.After); err != nil {
		return nil, err
	}
	total, err := s.Audit.CountEntries(ctx, q)
	if err != nil {
		return nil, err
	}
	var all []audit.Entry
	err = s.Audit.Entries(ctx, q, func(e audit.Entry) error {
		all = append(all, copyOf(e))
		return nil
	})
	return &listed[EntryJSON]{*pageOf(all, in.Limit, total, newEntryJSON, func(e audit.Entry) any { return e.ID })}, err
}

func copyOf(e audit.Entry) audit.Entry {
	e.Detail = append(json.RawMessage{}, e.Detail...)
	return e
}

type exported struct{ Body func(huma.Context) }

// exportRecord writes all of it as JSON Lines, the oldest first, as it is read.
func (s *server) exportRecord(ctx context.Context, in *RecordFilter) (*exported, error) {
	q := in.record()
	q.Oldest = true
	return &exported{func(w huma.Context) {
		w.SetHeader("Content-Type", "application/jsonl")
		w.SetHeader("Content-Disposition", `attachment; filename="keyrounds-record.jsonl"`)
		out := json.NewEncoder(w.BodyWriter())
		if err := s.Audit.Entries(ctx, q, func(e audit.Entry) error { return out.Encode(newEntryJSON(e)) }); err != nil {
			s.Log.Error("an export of the record broke off", "error", err)
			panic(errBrokenOff) // an answer that breaks off is none that is whole
		}
	}}, nil
}
