package pages_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/test/lasting"
)

// Whoever opens the pages finds the refused credential, sees why, acknowledges it, and sees that in its story, in the record and on
// Slack; and the link still leads to it when it is over.
func TestFindAndAcknowledge(t *testing.T) {
	t.Parallel()
	lasting.Test(t, "it runs a browser")
	h := newHouse(t, names...)
	client := h.admin()
	h.checked(len(names))
	h.troubled()
	b := newBrowser(t, h.base, client)
	b.sized(1280, 900, "light")
	b.open("/")
	b.click("All ")
	b.awaitText("ats-sync (smartrecruiters)")
	b.click("ats-sync (smartrecruiters)")
	b.awaitText("What to do")
	b.awaitText("How keyrounds knows")
	b.click("Judge again")
	b.awaitText("it is opened as well")
	b.click("Acknowledge")
	b.awaitText("You look after it")
	b.awaitText("ann acknowledged it")
	b.fill("comment", "the provider's admin is asked")
	b.click("Comment")
	b.awaitText("the provider's admin is asked")
	b.click("Record")
	b.awaitText("finding.acknowledged")
	b.awaitText("finding.commented")
	h.await("Slack says who has it", func() bool { return strings.Contains(h.slackSays(), "ann") })
	b.open("/findings?state=mine")
	b.awaitText("ann has it")
	h.provider.Restore("id-ats-sync")
	h.checkNow("ats-sync")
	id := h.findingOf(finding.Revoked, "ats-sync")
	h.await("it is over", func() bool {
		f, err := h.app.Audit.Finding(t.Context(), id)
		return err == nil && f.State == finding.Resolved
	})
	b.open(fmt.Sprintf("/#finding-%d", id)) // as older messages say
	b.awaitText("It is over since")
	b.fine("the story")
}

// Several are selected, put aside until a time, and taken up again by Undo.
func TestSeveralArePutAside(t *testing.T) {
	t.Parallel()
	lasting.Test(t, "it runs a browser")
	h := newHouse(t, names...)
	client := h.admin()
	h.checked(len(names))
	h.lived()
	b := newBrowser(t, h.base, client)
	b.sized(360, 780, "dark")
	b.open("/findings")
	b.awaitText("4 credentials are accepted and refused in turn") // alike, so they are one row
	b.eval(`document.querySelector("[name=id]").click(); ""`)
	b.awaitText("4 selected")
	b.click("Put aside…")
	b.awaitText("Put 4 findings aside until when?")
	b.eval(`document.querySelector("main .btn.main").click(); ""`)
	b.awaitText("Put aside: 4 findings.")
	b.awaitText("Put aside 4")
	b.click("Undo")
	b.awaitText("Taken up again: 4 findings.")
	b.fine("the inbox")
}

// An owner is asked what becomes of his credentials, decides by the report of the last month, and signs it off.
func TestAnOwnerDecidesTheReport(t *testing.T) {
	t.Parallel()
	lasting.Test(t, "it runs a browser")
	h := newHouse(t, names...)
	admin := h.admin()
	h.checked(len(names))
	h.lived()
	owner := h.person("olga", access.Owner, "web")
	b := newBrowser(t, h.base, owner)
	b.sized(360, 780, "light")
	b.open("/")
	b.awaitText("Reports to go through")
	b.click("Report of ")
	b.awaitText("event-hooks")
	b.awaitText("0 of 1 decided by now")
	b.eval(`document.querySelector("[name='choice/event-hooks'][value=rotate]").click(); ""`)
	b.fill("why", "a new one is ordered")
	b.click("Save decisions")
	b.awaitText("Your decision about event-hooks is noted.")
	b.awaitText("1 of 1 decided by now")
	b.click("Sign off ")
	b.awaitText("You signed off")
	b.awaitText("Signed off by olga")
	b.open("/mine")
	b.awaitText("a new one is ordered")
	b.fine("the owner's story")
	_, body := h.ask(admin, "/record?"+url.Values{"actor": {"user olga"}}.Encode())
	for _, want := range []string{"report.signed_off", "credential/event-hooks"} {
		if !strings.Contains(body, want) {
			t.Errorf("the record does not say %q", want)
		}
	}
}

// slackSays is all that stands in Slack.
func (h *house) slackSays() string {
	var all strings.Builder
	for _, m := range h.slack.Messages() {
		fmt.Fprintf(&all, "%s %s\n", m.Text, m.Blocks)
	}
	return all.String()
}

// The inbox by keys: j goes to a row, x selects it, a acknowledges what is selected.
func TestTheInboxByKeys(t *testing.T) {
	t.Parallel()
	lasting.Test(t, "it runs a browser")
	h := newHouse(t, names...)
	client := h.admin()
	h.checked(len(names))
	h.lived()
	b := newBrowser(t, h.base, client)
	b.sized(1280, 900, "light")
	b.open("/findings?kind=flapping")
	b.awaitText("screening (smartrecruiters)")
	for _, key := range []string{"j", "x", "j", "x", "a"} {
		b.do(chromedp.KeyEvent(key))
	}
	b.awaitText("You look after 2 findings.")
	b.fine("the inbox")
}
