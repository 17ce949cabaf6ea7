package pages_test

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/report"
	"github.com/keyrounds/keyrounds/test/lasting"
)

// person adds somebody with a role, and returns a client that is signed in as him.
func (h *house) person(name string, role access.Role, owners ...string) *http.Client {
	h.Helper()
	temporary, err := h.app.Access.AddPerson(h.Context(), "test", name, access.Grant{Role: role, Owners: owners})
	if err != nil {
		h.Fatal(err)
	}
	first := temporary.Reveal()
	jar, _ := cookiejar.New(nil)
	client := &http.Client{Jar: jar}
	for _, form := range []struct {
		path   string
		values url.Values
	}{
		{"/login", url.Values{"name": {name}, "password": {first}}},
		{"/account/password", url.Values{"present": {first}, "password": {password}, "again": {password}}},
	} {
		if status, body := h.post(client, form.path, form.values); status != http.StatusOK {
			h.Fatalf("%s of %s: HTTP %d\n%s", form.path, name, status, body)
		}
	}
	return client
}

// post sends a form, follows where it leads to, and returns that.
func (h *house) post(client *http.Client, path string, values url.Values) (int, string) {
	h.Helper()
	req, err := http.NewRequestWithContext(h.Context(), http.MethodPost, h.base+path, strings.NewReader(values.Encode()))
	if err != nil {
		h.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "text/html")
	resp, err := client.Do(req)
	if err != nil {
		h.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b)
}

// lastMonth is the month before this one.
func lastMonth() report.Month { return report.MonthOf(time.Now(), time.UTC).Add(-1) }

// evil is what a stranger writes where he can.
const evil = `<script>alert(1)</script><img src=x onerror=alert(1)>`

// lived has the house be as one is that was used: a report is frozen, something is silenced, and hostile texts stand where they can.
func (h *house) lived() {
	h.Helper()
	must := func(_ any, err error) {
		h.Helper()
		if err != nil {
			h.Fatal(err)
		}
	}
	ctx, a := h.Context(), h.app.Actions
	must(nil, a.Freeze(ctx, "user ann", lastMonth(), true))
	must(a.Silence(ctx, "user ann", notify.Silence{Credential: "approvals", Until: time.Now().Add(time.Hour), Why: evil}))
	must(nil, pgx.BeginFunc(ctx, h.app.Pool, func(tx pgx.Tx) error {
		var events []finding.Event
		// job-ads is finance's, onboarding talent-platform's
		for _, name := range []string{"job-ads", "onboarding", "salary-bands", "screening"} {
			c, err := h.app.Registry.Get(ctx, name)
			if err != nil {
				return err
			}
			events = append(events, finding.Event{
				Op: finding.OpOpen, Kind: finding.Flapping, Subject: finding.Subject{
					Credential: name, CredentialID: c.ID, Provider: c.Provider,
				},
				At: time.Now(), Evidence: finding.Evidence{Answer: finding.Answer{Message: evil, ErrorDescription: evil}},
			})
		}
		_, err := h.app.Audit.Publish(ctx, tx, events)
		return err
	}))
}

// findingOf is the id of the finding of a kind about a credential that was found last.
func (h *house) findingOf(kind finding.Kind, name string) int64 {
	h.Helper()
	all, err := h.app.Audit.Findings(h.Context(), audit.Filter{Kind: kind, Credential: name, Resolved: true, Newest: true, Limit: 1})
	if err != nil || len(all) == 0 {
		h.Fatalf("there is no finding %s of %s: %v", kind, name, err)
	}
	return all[0].ID
}

// Each role sees what it may, and finds nothing to press that it may not press; an owner sees only what is his; nobody sees a secret,
// and what strangers wrote stays text (docs/promises.md#a-role-sees-and-is-offered-what-it-may-and-no-more).
func TestRolesOfThePages(t *testing.T) {
	t.Parallel()
	lasting.Test(t, "it runs a daemon")
	h := newHouse(t, names...)
	clients := map[access.Role]*http.Client{access.Admin: h.admin()}
	h.checked(len(names))
	h.troubled()
	h.lived()
	clients[access.Viewer] = h.person("vic", access.Viewer)
	clients[access.Responder] = h.person("rob", access.Responder)
	clients[access.Owner] = h.person("olga", access.Owner, "web")
	his := h.findingOf(finding.Revoked, "ats-sync")       // of web
	others := h.findingOf(finding.Flapping, "onboarding") // of talent-platform
	unused := "/reports/unused/" + lastMonth().String()
	const all, notOwner, admin = "all", "all but owners", "admins"
	for path, who := range map[string]string{
		"/findings": all, "/findings?state=resolved": all, "/findings?kind=flapping&severity=warning": all,
		"/findings?q=ats": all, "/findings.csv": all,
		fmt.Sprintf("/findings/%d", his): all, fmt.Sprintf("/findings/%d?judge=again", his): all, "/mine": all, "/reports": all,
		fmt.Sprintf("/findings/%d", others): notOwner, unused: notOwner, unused + "?owner=web": all, unused + "?owner=finance": notOwner,
		"/settings": notOwner, "/providers": notOwner, "/providers/smartrecruiters": notOwner, "/usage": notOwner,
		"/usage/attempts":     notOwner,
		"/usage/unregistered": notOwner, "/feeds": notOwner, "/leaks": notOwner, "/leaks/sources": notOwner, "/leaks/proofs": notOwner,
		"/record": admin, "/record?action=finding.&since=2026-01-01": admin, "/mine?owner=web": all,
	} {
		for _, role := range access.Roles() {
			status, body := h.ask(clients[role], path)
			may := who == all || who == notOwner && role != access.Owner || role == access.Admin
			if path == unused && role == access.Owner {
				may = true // it leads to his extract
			}
			if (status == http.StatusOK) != may {
				t.Errorf("%s as %s: HTTP %d, and %s may see it\n%s", path, role, status, who, firstLine(body))
			}
			markup := !strings.HasSuffix(path, ".csv") && (strings.Contains(body, "<script>alert") || strings.Contains(body, "<img src=x"))
			if markup || strings.Contains(body, "c4n4ry") {
				t.Errorf("%s as %s has a secret, or takes a stranger's text for markup", path, role)
			}
			if len(body) > 200_000 {
				t.Errorf("%s as %s: %d bytes", path, role, len(body))
			}
			if _, main, _ := strings.Cut(body, "<main"); role == access.Owner && strings.Contains(cmp.Or(main, body), "onboarding") {
				t.Errorf("%s shows an owner what is another's", path)
			}
			if forms := formsOf(body); role == access.Viewer && status == http.StatusOK && len(forms) > 0 {
				t.Errorf("%s shows a viewer what he may not send: %q", path, forms)
			}
		}
	}
	for path, form := range map[string]url.Values{
		"/findings/bulk":                         {"do": {"acknowledge"}, "id": {fmt.Sprint(his)}},
		"/findings/act":                          {"do": {"snooze"}, "for": {"4h"}, "id": {fmt.Sprint(his)}},
		fmt.Sprintf("/findings/%d/comment", his): {"comment": {"x"}},
		"/silences":                              {"credential": {"ats-sync"}, "for": {"1h"}, "why": {"x"}},
		"/silences/1/end":                        {},
		"/receivers/slack/test":                  {"kind": {"revoked"}},
		"/decide":                                {"choice/ats-sync": {"keep"}, "why": {"x"}},
		unused + "/freeze":                       {},
		unused + "/amend":                        {"why": {"x"}},
		unused + "/sign-off":                     {"undecided": {"1"}},
	} {
		if status, body := h.post(clients[access.Viewer], path, form); status != http.StatusForbidden {
			t.Errorf("POST %s as a viewer: HTTP %d, want 403\n%s", path, status, firstLine(body))
		}
	}
}

// An owner does nothing about what is not his, by whatever form.
func TestAnOwnerActsOnHisOnly(t *testing.T) {
	t.Parallel()
	lasting.Test(t, "it runs a daemon")
	h := newHouse(t, names...)
	admin := h.admin()
	h.checked(len(names))
	h.troubled()
	h.lived()
	owner := h.person("olga", access.Owner, "web")
	his, others := h.findingOf(finding.Revoked, "ats-sync"), h.findingOf(finding.Flapping, "onboarding")
	for _, form := range []url.Values{
		{"do": {"acknowledge"}, "id": {fmt.Sprint(his), fmt.Sprint(others)}},
		{"do": {"acknowledge"}, "id": {"flapping/warning"}},
		{"do": {"acknowledge"}, "id": {"flapping/warning"}, "list": {"owner=talent-platform"}},
	} {
		h.post(owner, "/findings/bulk", form)
	}
	h.post(owner, fmt.Sprintf("/findings/%d/comment", others), url.Values{"comment": {"mine now"}})
	h.post(owner, "/findings/act", url.Values{"do": {"false_alarm"}, "why": {"no"}, "id": {fmt.Sprint(others)}})
	h.post(owner, "/decide", url.Values{"choice/onboarding": {"revoke"}, "why": {"it is not mine"}})
	h.post(owner, "/reports/unused/"+lastMonth().String()+"/sign-off", url.Values{"owner": {""}, "undecided": {"1"}})
	state := func(id int64) finding.State {
		f, err := h.app.Audit.Finding(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return f.State
	}
	if got := state(his); got != finding.Acknowledged {
		t.Errorf("his own is %s, want it acknowledged", got)
	}
	if got := state(others); got != finding.Open {
		t.Errorf("another's is %s by what an owner sent", got)
	}
	_, body := h.ask(admin, "/record?actor="+url.QueryEscape("user olga"))
	for _, wrong := range []string{"onboarding", "mine now", "report.signed_off", "decision."} {
		if _, table, _ := strings.Cut(body, "<table"); strings.Contains(table, wrong) || table == "" {
			t.Errorf("the record says that an owner did something of others: %q", wrong)
		}
	}
}

// formsOf are where the forms of a page's main part go that change something, but for what everybody may.
func formsOf(body string) (all []string) {
	_, main, _ := strings.Cut(body, "<main")
	main, _, _ = strings.Cut(main, "</main>")
	for _, part := range strings.Split(main, `method="post" action="`)[1:] {
		action, _, _ := strings.Cut(part, `"`)
		if action != "/keys" && strings.Contains(part, "<button") {
			all = append(all, action)
		}
	}
	return all
}

func firstLine(body string) string {
	_, main, _ := strings.Cut(body, "<h1")
	line, _, _ := strings.Cut(main, "</h1>")
	return line
}
