package pages

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"time"

	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/report"
)

// findingsCSV is GET /findings.csv: all pages of what the inbox shows, also what is one row there.
func (p *Pages) findingsCSV(w http.ResponseWriter, r *http.Request) {
	a, ok := readAsked(r, findingsKnow...)
	if !ok {
		p.oddAddress(w, r)
		return
	}
	filter, err := p.findingFilter(r.Context(), visit(r), a.q)
	if err != nil {
		p.fail(w, r, err)
		return
	}
	filter.Limit = 1000
	h := w.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8")
	h.Set("Content-Disposition", fmt.Sprintf(`attachment; filename="findings-%s.csv"`, p.Now().UTC().Format(time.DateOnly)))
	out := csv.NewWriter(w)
	_ = out.Write([]string{
		"id", "severity", "kind", "credential", "provider", "owner", "state", "title", "message", "opened_at", "assigned_to",
		"acknowledged_by",
		"snoozed_until", "resolved_at", "resolved_why", "false_alarm_by", "false_alarm_why",
	})
	for {
		all, err := p.Audit.Findings(r.Context(), filter)
		if err == nil {
			all, err = p.aboutAll(r.Context(), all)
		}
		if err == nil {
			err = writeFindings(out, all)
		}
		if err != nil { // the answer has begun: it is cut off, so that nobody takes it for whole
			p.Log.Error("a CSV could not be written", "error", err)
			panic(http.ErrAbortHandler)
		}
		if len(all) < filter.Limit {
			return
		}
		filter.After = all[len(all)-1].ID
	}
}

func writeFindings(out *csv.Writer, all []finding.Finding) error {
	for _, f := range all {
		row := []string{
			fmt.Sprint(f.ID), string(f.Severity), string(f.Kind), f.Subject.Credential, f.Subject.Provider, f.About.Owner, string(f.State),
			f.Headline(), f.Evidence.Message, stamp(f.OpenedAt), f.AssignedTo, f.AcknowledgedBy, stamp(f.SnoozedUntil), stamp(f.ResolvedAt),
			f.ResolvedWhy, f.FalseAlarmBy, f.FalseAlarmWhy,
		}
		for i := range row {
			row[i] = report.Cell(row[i])
		}
		if err := out.Write(row); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}
