package pages

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"time"

	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/report"
)

// credentialsCSV is GET /credentials.csv: all pages of what the list shows.
func (p *Pages) credentialsCSV(w http.ResponseWriter, r *http.Request) {
	list, err := readList(r.URL.Query())
	if err != nil {
		p.Problem(w, r, http.StatusBadRequest, "This address asks for what no list has.", "Begin again at /credentials.")
		return
	}
	list.After = ""
	q, err := p.query(r.Context(), list)
	if err != nil {
		p.fail(w, r, err)
		return
	}
	q.Limit = 1000
	h := w.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8")
	h.Set("Content-Disposition", fmt.Sprintf(`attachment; filename="credentials-%s.csv"`, p.Now().UTC().Format(time.DateOnly)))
	out := csv.NewWriter(w)
	_ = out.Write([]string{
		"credential", "provider", "status", "status_since", "owner", "description", "client_id", "last_check_at", "last_success_at",
		"latency_ms", "expires_at", "message",
	})
	for {
		held, next, err := p.Audit.Page(r.Context(), q)
		if err == nil {
			err = p.writeCSV(r, out, held)
		}
		if err != nil { // the answer has begun: it is cut off, so that nobody takes it for whole
			p.Log.Error("a CSV could not be written", "error", err)
			panic(http.ErrAbortHandler)
		}
		if next == (audit.Cursor{}) {
			break
		}
		q.After = next
	}
	out.Flush()
}

func (p *Pages) writeCSV(r *http.Request, out *csv.Writer, held []audit.Standing) error {
	ids := make([]int64, len(held))
	for i, st := range held {
		ids[i] = st.CredentialID
	}
	registered, err := p.Registry.EvenRetired(r.Context(), ids)
	if err != nil {
		return err
	}
	for _, st := range held {
		j := api.NewCredentialJSON(registered[st.CredentialID], st)
		row := []string{
			st.Credential, st.Provider, string(st.Status), stamp(st.Since), j.Owner, j.Description, j.ClientID, stamp(st.LastCheck),
			stamp(st.LastSuccess), fmt.Sprint(j.LatencyMS), stamp(j.ExpiresAt), st.Message,
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

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
