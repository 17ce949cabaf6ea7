package api

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/report"
)

// RecordFilter chooses entries of the record.
type RecordFilter struct {
	Actor   string    `query:"actor" maxLength:"200" doc:"Only what who has this in his name did, in any case: daemon, ann."`
	Action  string    `query:"action" maxLength:"100" doc:"Only this action, or those that begin so: finding.opened, finding."`
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
	Before int64 `query:"before" minimum:"1" doc:"Only those before the entry of this number."`
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
	q.Limit, q.After = in.Limit+1, in.Before
	if err := in.after(&q.After); err != nil {
		return nil, err
	}
	total, err := s.Audit.CountEntries(ctx, q)
	if err == nil && total == 0 {
		err = s.recorded(ctx, in.RecordFilter)
	}
	if err != nil {
		return nil, err
	}
	all, err := s.Audit.Log(ctx, q)
	return &listed[EntryJSON]{*pageOf(all, in.Limit, total, newEntryJSON, func(e audit.Entry) any { return e.ID })}, err
}

// recorded says which filter no entry of the record fits by itself: it may have been mistyped.
func (s *server) recorded(ctx context.Context, f RecordFilter) error {
	for _, k := range []struct {
		name, value, none string
		by                audit.Record
	}{
		{"actor", f.Actor, "Nobody in the record has %q in his name.", audit.Record{Actor: f.Actor}},
		{"action", f.Action, "No action in the record is or begins with %q.", audit.Record{Action: f.Action}},
		{"subject", f.Subject, "Nothing in the record is about %q.", audit.Record{Subject: f.Subject}},
	} {
		if k.value == "" || k.name == "subject" && s.isSubject(ctx, k.value) {
			continue
		}
		n, err := s.Audit.CountEntries(ctx, k.by)
		if err != nil {
			return err
		}
		if n == 0 {
			p := unknown(k.name, k.value, k.none)
			p.Hint = "such as actor ann, action finding., subject credential/ats-sync; without a filter all is shown"
			return p
		}
	}
	return nil
}

// isSubject says whether there is such a thing, of which the record may have nothing yet.
func (s *server) isSubject(ctx context.Context, subject string) bool {
	kind, name, _ := strings.Cut(subject, "/")
	switch kind {
	case "provider":
		_, configured := s.Config().Providers[name]
		return configured
	case "credential":
		_, err := s.Registry.Get(ctx, name)
		return err == nil
	case "report":
		_, err := report.ParseMonth(name)
		return err == nil
	case "receiver":
		return slices.Contains(s.Config().ReceiverNames(), name)
	}
	return false
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
