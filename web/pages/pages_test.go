package pages_test

import (
	"fmt"
	"testing"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/rounds"
	"github.com/keyrounds/keyrounds/test/lasting"
)

// everyPage is each page once, as it is with fifteen credentials of which some do not work.
var everyPage = []struct{ name, path string }{
	{"overview", "/"},
	{"credentials", "/credentials"},
	{"credential", "/credentials/ats-sync"},
	{"credential-healthy", "/credentials/payroll"},
	{"new", "/credentials/-/new"},
	{"edit", "/credentials/made-here/edit"},
	{"rotate", "/credentials/made-here/rotate"},
	{"rotate-host", "/credentials/payroll/rotate"},
	{"retire", "/credentials/-/retire?id=made-here&id=payroll"},
	{"credentials-none", "/credentials?q=nothing&owner=web"},
	{"findings", "/findings"},
	{"findings-kind", "/findings?kind=flapping"},
	{"findings-none", "/findings?kind=leaked&owner=web"},
	{"findings-resolved", "/findings?state=resolved"},
	{"finding", "/findings/1"},
	{"finding-again", "/findings/2?judge=again"},
	{"snooze", "/findings/act?do=snooze&id=1&id=2&back=/findings"},
	{"false-alarm", "/findings/act?do=false_alarm&id=flapping/warning&back=/findings"},
	{"mine", "/mine?owner=web"},
	{"mine-whose", "/mine"},
	{"reports", "/reports"},
	{"report", "/reports/unused/" + lastMonth().String()},
	{"record", "/record"},
	{"record-none", "/record?actor=nobody"},
	{"settings", "/settings"},
	{"providers", "/providers"},
	{"provider", "/providers/smartrecruiters"},
	{"usage", "/usage"},
	{"attempts", "/usage/attempts"},
	{"unregistered", "/usage/unregistered"},
	{"feeds", "/feeds"},
	{"leaks", "/leaks"},
	{"proofs", "/leaks/proofs"},
	{"sources", "/leaks/sources"},
	{"account", "/account"},
	{"people", "/people"},
	{"problem", "/nothing"},
}

// Every page, narrow and light, wide and dark: axe-core finds nothing, the console is empty, the policy is kept, nothing is asked of
// anybody else, and nothing scrolls sideways, down to 320 px (docs/promises.md#pages-load-and-ask-nothing-elsewhere).
func TestEveryPage(t *testing.T) {
	t.Parallel()
	lasting.Test(t, "it runs a browser")
	h := newHouse(t, names...)
	client := h.admin()
	h.checked(len(names))
	h.aged()
	h.troubled()
	h.add("made-here")
	h.lived()
	for _, look := range looks() {
		t.Run(look.name, func(t *testing.T) {
			t.Parallel()
			b := newBrowser(t, h.base, client)
			b.sized(look.width, look.height, look.theme)
			for _, p := range everyPage {
				where := fmt.Sprintf("%s, %d px, %s", p.name, look.width, look.theme)
				b.open(p.path)
				b.shoot(p.name + "-" + look.name)
				b.accessible(where)
				b.noSideways(where)
				if look.width == 360 {
					b.sized(320, look.height, look.theme)
					b.noSideways(p.name + ", 320 px")
					b.sized(look.width, look.height, look.theme)
				}
				if p.path == "/nothing" { // the browser says that it got a 404
					b.mu.Lock()
					b.wrong = nil
					b.mu.Unlock()
				}
				if p.name == "credential-healthy" && b.eval(`String(document.querySelectorAll("[data-chart] canvas").length)`) != "1" {
					b.Errorf("%s: no chart is drawn", where)
				}
				b.fine(where)
			}
		})
	}
	t.Run("login", func(t *testing.T) {
		t.Parallel()
		b := newBrowser(t, h.base, nil)
		b.sized(360, 780, "light")
		for _, path := range []string{"/login", "/first-run"} {
			b.open(path)
			b.shoot("gate" + path[1:])
			b.accessible(path)
			b.noSideways(path)
		}
	})
}

// troubled has one refused, one with a scope less, and one whose secret is lost.
func (h *house) troubled() {
	h.Helper()
	h.provider.Revoke("id-ats-sync")
	h.provider.Cut("id-careers-site", "jobs_read")
	h.checkNow("ats-sync", "careers-site", "payroll")
	h.await("findings are open", func() bool {
		n, err := h.app.Audit.Found(h.Context(), audit.Filter{Kind: finding.Revoked, State: finding.Open, Severity: finding.Critical})
		if err != nil {
			h.Fatal(err)
		}
		return n > 0
	})
}

// checkNow has credentials checked.
func (h *house) checkNow(names ...string) {
	h.Helper()
	creds, err := h.app.Registry.Named(h.Context(), names)
	if err == nil {
		err = h.app.Actions.Check(h.Context(), creds, func([]rounds.Judged) {})
	}
	if err != nil {
		h.Fatal(err)
	}
}
