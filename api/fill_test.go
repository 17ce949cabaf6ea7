package api_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/decision"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
)

// exec writes what nothing here does: what feeds, scans and receivers bring.
func (h *house) exec(sql string, args ...any) {
	h.Helper()
	if _, err := h.Pool.Exec(h.Context(), sql, args...); err != nil {
		h.Fatal(err)
	}
}

// fill makes something of each sort, for a credential of web and for one of ops, and returns the findings' ids.
func (h *house) fill() (ids []int64) {
	h.Helper()
	both := []string{"web-a", "ops-a"}
	for _, name := range both {
		do[api.CheckJSON](h, http.StatusOK, "POST", "/v1/credentials/"+name+"/check", ``)
	}
	ids = h.open(finding.Revoked, both...)
	for i, name := range both {
		do[api.FindingJSON](h, http.StatusOK, "POST", fmt.Sprintf("/v1/findings/%d/comment", ids[i]), `{"text": "`+name+` is being moved"}`)
		do[map[string]any](h, http.StatusCreated, "POST", "/v1/silences", `{"credential": "`+name+`", "for": "1h", "why": "it is moved"}`)
		do[decision.Decision](h, http.StatusOK, "POST", "/v1/credentials/"+name+"/decide", `{"choice": "keep", "why": "seasonal"}`)
		h.exec(`INSERT INTO usage_days (credential_id, day, network, user_agent, uses, failures, first_at, last_at)
			SELECT id, now()::date, '203.0.113.0/24', 'curl ' || name, 1, 2, now(), now() FROM credentials WHERE name = $1`, name)
		h.exec(`INSERT INTO leak_sightings (credential_id, sort, key, happened_at, seen_at, sighting)
			SELECT id, 'secret', $2, now(), now(), $3 FROM credentials WHERE name = $1`, name, []byte(name),
			finding.Sighting{At: time.Now(), Seen: time.Now(), How: "scan", What: "the secret of " + name, Path: "a.env", Line: 7})
		h.exec(`INSERT INTO leak_secrets (credential_id, client_id, fingerprint, first_at, replaced_at, dead_at, death)
			SELECT id, client_id, $2, now(), now(), now(), $3 FROM credentials WHERE name = $1`, name, []byte(name+"-old"),
			finding.Death{Refused: []time.Time{time.Now()}, Outcome: "rejected", Control: "others", Token: "none", At: time.Now()})
		h.exec(`WITH m AS (INSERT INTO notify_messages (receiver, made_at, told_digest, sent_at)
				VALUES ('pager', now(), 'x', now()) RETURNING id)
			INSERT INTO notify_members (message_id, finding_id) SELECT id, $1 FROM m`, ids[i])
	}
	h.exec(`WITH m AS (INSERT INTO notify_messages (receiver, made_at, told_digest, sent_at)
			VALUES ('pager', now(), 'x', now()) RETURNING id)
		INSERT INTO notify_members (message_id, finding_id) SELECT id, f FROM m, unnest($1::bigint[]) f`, ids) // one message of several
	h.exec(`INSERT INTO usage_unregistered (provider, client_id, events, first_at, last_at, last_address)
		VALUES ('idp', 'stranger', 3, now(), now(), '203.0.113.7')`)
	h.exec(`WITH p AS (INSERT INTO access_people (name, role, added_at, added_by) VALUES ('ann', 'admin', now(), 'x') RETURNING id),
		t AS (INSERT INTO access_tokens (name, hash, hint, role, made_at, made_by) VALUES ('t', 'x', 'kr_', 'viewer', now(), 'x'))
		INSERT INTO access_sessions (person_id, hash, began_at, renewed_at, used_at, ends_at, address, agent)
		SELECT id, 'x', now(), now(), now(), now() + interval '1 hour', '203.0.113.7', 'curl' FROM p`)
	do[api.Frozen](h, http.StatusCreated, "POST", "/v1/reports", `{"month": "2026-01", "anyway": true}`)
	return ids
}

// of fills in the path of an operation with what fill made of a credential.
func of(path, name string, finding int64) string {
	if strings.Contains(path, "/providers/") {
		name = "idp"
	}
	return strings.NewReplacer("{name}", name, "{id}", fmt.Sprint(finding), "{month}", "2026-01").Replace(path)
}

// Every operation that reads answers with something, as the document says.
func TestEveryOperationAnswers(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ids := h.fill()
	h.operations(func(method, path string, _ operation) {
		if method != http.MethodGet || strings.HasSuffix(path, "/events") {
			return
		}
		a := h.ask(method, of(path, "web-a", ids[0]), "")
		if a.StatusCode != http.StatusOK || strings.Contains(string(a.body), `"total":0`) {
			t.Errorf("%s: HTTP %d: %s", path, a.StatusCode, a.body)
		}
	})
	for path, want := range map[string]int{
		"/v1/reports/2026-01?format=csv": 200, "/v1/reports/2026-01?format=json&owner=web": 200, "/v1/reports/2026-01?edition=7": 404,
		"/v1/credentials/web-a/history?by=hour": 200, "/v1/credentials/web-a/history?since=2001-01-01T00:00:00Z": 422,
		"/v1/proofs?dead=true&credential=ops-a": 200, "/v1/notifications?receiver=nobody": 422, "/v1/notifications?state=sent": 200,
		"/v1/notifications?finding=999": 422, "/v1/audit?since=2026-01-01T00:00:00Z": 200, "/v1/audit?since=yesterday": 422,
		"/v1/audit?subject=provider/idp": 200, "/v1/audit?subject=report/2020-01": 200, "/v1/audit?subject=provider/nope": 422,
		"/v1/audit?actor=nobody-at-all": 422, "/v1/audit?action=nope.": 422,
		"/v1/attempts?credential=web-a&since=2026-01-01T00:00:00Z": 200, "/v1/providers/nobody": 404,
	} {
		if a := h.ask(http.MethodGet, path, ""); a.StatusCode != want {
			t.Errorf("%s: HTTP %d, want %d: %s", path, a.StatusCode, want, a.body)
		}
	}
}

// Whoever sees the credentials of some owners sees nothing of others, whatever is asked for: not in lists, not in totals, and by
// name or number there is no such thing.
func TestNoOperationShowsOthers(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ids := h.fill()
	h.operations(func(method, path string, op operation) {
		if strings.HasSuffix(path, "/events") || !(access.Who{Role: access.Owner}).May(op.Deed) {
			return
		}
		theirs := of(path, "ops-a", ids[1])
		if strings.Contains(path, "/providers/") {
			theirs = "/v1/providers/other"
		}
		body := ""
		if op.RequestBody != nil {
			body = map[string]string{
				"snoozeFinding": `{"for": "1h"}`, "callFalseAlarm": `{"why": "x"}`, "assignFinding": `{"to": "x"}`,
				"commentFinding":    `{"text": "x"}`,
				"respondToFindings": fmt.Sprintf(`{"do": "acknowledge", "ids": [%d]}`, ids[1]),
				"addSilence":        `{"credential": "ops-a", "for": "1h", "why": "x"}`,
				"decideCredential":  `{"choice": "revoke", "why": "x"}`, "signOffReport": `{"owner": "ops"}`,
			}[op.ID]
		}
		if op.ID == "endSilence" {
			theirs = "/v1/silences/2"
		}
		a := h.ask(method, theirs, body, "Ask", "owner web")
		shows := strings.Contains(string(a.body), "ops-")
		switch {
		case strings.Contains(path, "{") && a.StatusCode != http.StatusNotFound:
			t.Errorf("%s %s: HTTP %d, want 404: %s", method, theirs, a.StatusCode, a.body)
		case a.StatusCode == http.StatusOK && shows:
			t.Errorf("%s %s: %s", method, theirs, a.body)
		}
	})
	for _, m := range into[api.Page[notify.Delivery]](h, "/v1/notifications", "Ask", "owner web").Items {
		if slices.Contains(m.Findings, ids[1]) || strings.Contains(m.About, "more") {
			t.Errorf("a message shows what it says of others: %+v", m)
		}
	}
	for _, who := range []string{"owner web", "owner nobody-has"} {
		name := strings.TrimPrefix(who, "owner ")
		for _, path := range []string{"/v1/trial?", "/v1/reports/2026-01?", "/v1/reports/2026-02?trial=true&"} {
			path += "owner=" + name
			if a := h.ask("GET", path, "", "Ask", who); strings.Contains(string(a.body), "ops") {
				t.Errorf("%s as %s names another owner: %.300s", path, who, a.body)
			}
		}
	}
	for path, want := range map[string]int{
		"/v1/credentials": 2, "/v1/findings": 1, "/v1/usage": 2, "/v1/attempts": 1, "/v1/unregistered": 0, "/v1/leaks": 1, "/v1/proofs": 1,
		"/v1/sources": 0, "/v1/silences": 1, "/v1/notifications": 2, "/v1/providers": 1, "/v1/feeds": 1, "/v1/reports": 3,
		"/v1/decisions": 1,
	} {
		if p := into[page](h, path, "Ask", "owner web"); p.Total != want || len(p.Items) != want {
			t.Errorf("%s: %d of %d, want %d: %v", path, len(p.Items), p.Total, want, p.Items)
		}
	}
	if f := into[api.FindingJSON](h, fmt.Sprintf("/v1/findings/%d", ids[1])); f.State != finding.Open || f.AssignedTo != "" {
		t.Errorf("it was changed: %+v", f)
	}
}

// A secret is in no table but where it is sealed: not by what was answered, kept or written down.
func TestNoTableHasASecret(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	do[api.CredentialJSON](h, http.StatusCreated, "POST", "/v1/credentials", aNew, "Idempotency-Key", "k-1")
	do[api.CheckJSON](h, 200, "POST", "/v1/credentials/new/try", `{"client_secret": "`+canary+`2"}`, "Idempotency-Key", "k-2")
	do[api.CheckJSON](h, 200, "POST", "/v1/credentials/new/check", ``)
	do[told](h, 422, "POST", "/v1/credentials", strings.Replace(aNew, "idp", "nobody", 1))
	do[told](h, 422, "POST", "/v1/credentials/new/rotate", `{"client_secret": "file:/`+canary+`"}`)
	do[api.CredentialJSON](h, 200, "POST", "/v1/credentials/new/rotate", `{"client_secret": "`+canary+`3"}`)
	h.inNoTable(canary)
}

// inNoTable looks for a text in every row, as it is and in hex.
func (h *house) inNoTable(text string) {
	h.Helper()
	rows, err := h.Pool.Query(h.Context(), `SELECT tablename FROM pg_tables WHERE schemaname = current_schema()`)
	if err != nil {
		h.Fatal(err)
	}
	var tables []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			h.Fatal(err)
		}
		tables = append(tables, name)
	}
	if len(tables) < 20 {
		h.Fatalf("the tables are %v", tables)
	}
	for _, table := range tables {
		var n int
		sql := fmt.Sprintf(`SELECT count(*) FROM %q t WHERE position($1 IN t::text) + position($2 IN t::text) > 0`, table)
		err := h.Pool.QueryRow(h.Context(), sql, text, fmt.Sprintf("%x", text)).Scan(&n)
		if err != nil && !strings.Contains(err.Error(), "permission denied") || n > 0 {
			h.Errorf("%s: %d rows, %v", table, n, err)
		}
	}
}
