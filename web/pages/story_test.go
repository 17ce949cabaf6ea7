package pages_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/heapprofiler"
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/chromedp"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/sim"
	"github.com/keyrounds/keyrounds/test/lasting"
)

// Somebody finds the one that is refused, sees why, takes it on, and takes that back; Slack's message says the same.
func TestStoryOfARefusedCredential(t *testing.T) {
	t.Parallel()
	lasting.Test(t, "it runs a browser")
	h := newHouse(t, names[:4]...)
	client := h.admin()
	h.checked(4)
	h.troubled()
	b := newBrowser(t, h.base, client)
	b.sized(1280, 900, "light")
	b.open("/")
	b.awaitText("1 of 4 credentials does not work: 1 revoked")
	b.click("1 revoked")
	b.awaitText("ats-sync")
	b.click("ats-sync")
	b.awaitText("Revoked for")
	b.awaitText("The provider refused it 3 times")
	b.click("Acknowledge")
	b.awaitText("You look after it: ats-sync (smartrecruiters) is refused.")
	b.awaitText("ann has it")
	h.await("Slack says so", func() bool {
		for _, m := range h.slack.Messages() {
			if text := strings.Join(m.Lines(), " "); strings.Contains(text, "ats-sync") && strings.Contains(text, "ann") {
				return true
			}
		}
		return false
	})
	b.fine("the story")
	entries, err := h.app.Audit.Log(t.Context(), audit.Record{Action: "finding.", Actor: "ann"})
	if err != nil || len(entries) == 0 {
		t.Errorf("the record says nothing of ann: %v", err)
	}
	b.click("Undo")
	b.awaitText("Nobody looks after it now")
	open, err := h.app.Audit.Found(t.Context(), audit.Filter{Kind: finding.Revoked, State: finding.Open})
	if err != nil || open != 1 {
		t.Errorf("%d open: %v", open, err)
	}
}

// Somebody adds a credential with mistakes, then with a wrong secret, sees that it does not work, and mends it. No page, nothing in
// the record and no log has a secret.
func TestStoryOfAWrongSecret(t *testing.T) {
	t.Parallel()
	lasting.Test(t, "it runs a browser")
	h := newHouse(t)
	client := h.admin()
	h.provider.Add(sim.Client{ID: "id-warehouse", Name: "warehouse", Secret: "c4n4ry-right", Scopes: []string{"company_read"}})
	b := newBrowser(t, h.base, client)
	b.sized(360, 780, "dark")
	b.open("/")
	b.awaitText("Register the first credential")
	b.accessible("the overview without credentials")
	b.click("Add a credential")
	b.awaitText("Add the first")
	b.fill("name", "Ware House")
	b.fill("client_id", "id-warehouse")
	b.fill("secret", "env:HOME")
	b.click("Add it and check it")
	b.awaitText("References are named in the configuration file only")
	b.accessible("a form with mistakes")
	b.noSideways("a form with mistakes")
	b.fill("name", "warehouse")
	b.fill("secret", "c4n4ry-wrong")
	b.click("Add it and check it")
	b.awaitText("warehouse is added, and does not work")
	b.awaitText("never worked") // yet, or with its present secret, where the machine is slow
	b.shoot("story-wrong-secret")
	b.click("Rotate…")
	b.awaitText("The new secret is tried at once")
	b.fill("secret", "c4n4ry-wrong-too")
	b.click("Only try it")
	b.awaitText("It does not work")
	b.fill("secret", "c4n4ry-right")
	b.click("Rotate it")
	b.awaitText("warehouse is rotated, and works.")
	b.awaitText("Healthy")
	html := b.eval(`document.documentElement.outerHTML`)
	if strings.Contains(html, "c4n4ry") {
		t.Error("a secret is on the page")
	}
	if err := h.app.Audit.Entries(t.Context(), audit.Record{}, func(e audit.Entry) error {
		if strings.Contains(string(e.Detail), "c4n4ry") {
			t.Errorf("a secret is in the record: %s", e.Action)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	b.open("/credentials/-/retire?id=warehouse")
	b.click("Retire it")
	b.awaitText("1 credential retired.")
	if status, _ := h.ask(client, "/credentials/warehouse"); status != http.StatusOK {
		t.Errorf("a retired one has no page: %d", status)
	}
}

// What changes moves without a reload, and what is selected is not lost by it.
// (docs/promises.md#a-page-that-is-left-open-stays-true-and-small).
func TestLive(t *testing.T) {
	t.Parallel()
	lasting.Test(t, "it runs a browser")
	h := newHouse(t, names[:4]...)
	client := h.admin()
	h.checked(4)
	b := newBrowser(t, h.base, client)
	b.sized(1280, 900, "light")
	b.open("/")
	b.awaitText("All 4 credentials work; nothing needs you now.")
	b.eval(`window.stays = "yes"; ""`)
	h.troubled()
	b.awaitText("1 of 4 credentials does not work: 1 revoked")
	b.awaitText("ats-sync (smartrecruiters) is refused")
	if got := b.eval(`window.stays ?? ""`); got != "yes" {
		t.Error("the page was loaded again")
	}
	if title := b.eval(`document.title`); !strings.Contains(title, "1 of 4 credentials does not work") {
		t.Errorf("the title is %q", title)
	}
	b.open("/credentials?sort=name")
	b.do(chromedp.Click(`input[value="hr-dashboard"]`))
	h.provider.Revoke("id-hr-dashboard")
	h.checkNow("hr-dashboard")
	b.awaitText("Revoked 2")
	if got := b.eval(`String(document.querySelector('input[value="hr-dashboard"]').checked)`); got != "true" {
		t.Error("what was selected is not any more")
	}
	b.awaitEval(`document.activeElement.value`, "hr-dashboard")
	b.awaitEval(`String(document.querySelector("#c-hr-dashboard").textContent.includes("Revoked"))`, "true")
	b.open("/credentials")
	b.do(chromedp.Click(`input[value="careers-site"]`))
	h.provider.Revoke("id-offer-letters")
	h.checkNow("offer-letters")
	b.awaitText("changed, show") // nothing moves under the hand
	first := `document.querySelectorAll("[data-rows] > tr")[2].id`
	b.awaitEval(first, "c-careers-site")
	b.click("changed, show")
	b.awaitEval(first, "c-offer-letters")
	b.fine("live")
	h.app.Stop()
	b.awaitText("Not live since")
	b.shoot("story-not-live")
}

// Names, purposes and answers that are meant to do harm are text (docs/promises.md#pages-load-and-ask-nothing-elsewhere).
func TestHostileTextIsText(t *testing.T) {
	t.Parallel()
	lasting.Test(t, "it runs a browser")
	h := newHouse(t, "victim")
	client := h.admin()
	h.checked(1)
	const harm = `"><script>document.title="owned"</script><img src=x onerror="document.title='owned'">{{.}}&lt;b&gt;`
	evil := harm + strings.Repeat("W", 200)
	_, err := h.app.Pool.Exec(t.Context(),
		`UPDATE credentials SET description = $1, owner = $2, labels = jsonb_build_object('env', $1::text)`,
		evil, strings.Repeat("W", 200)+harm)
	if err == nil {
		_, err = h.app.Pool.Exec(t.Context(), `UPDATE credential_state SET message = $1, status = 'degraded'`, evil)
	}
	if err != nil {
		t.Fatal(err)
	}
	h.provider.Revoke("id-victim")
	h.checkNow("victim")
	resp, err := client.PostForm(h.base+"/silences", url.Values{"credential": {"victim"}, "why": {strings.Repeat("w", 300)}, "for": {"1h"}})
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	b := newBrowser(t, h.base, client)
	b.sized(360, 780, "light")
	for _, path := range []string{
		"/", "/findings/1", "/credentials", "/credentials/victim", "/credentials/victim/edit", "/credentials/victim/rotate",
		"/findings", "/usage", "/providers", "/record",
		"/credentials/-/retire?id=victim",
		"/credentials?q=%3Cscript%3E&owner=%22%3E%3Cscript%3Ealert(1)%3C/script%3E",
		"/credentials/-/new?client_id=%22%3E%3Cscript%3Ealert(1)%3C/script%3E",
	} {
		b.open(path)
		if title := b.eval(`document.title`); strings.Contains(title, "owned") {
			t.Errorf("%s runs what others wrote", path)
		}
		b.noSideways(path)
		b.fine(path)
	}
	b.sized(1280, 900, "dark")
	for _, path := range []string{"/", "/findings", "/findings/1", "/credentials", "/credentials/victim", "/usage", "/settings", "/mine"} {
		b.open(path)
		b.noSideways(path)
	}
}

// An address or a form with signs that no text has, or a filter with a value that it cannot have, is refused, and is no fault of the
// database.
func TestWhatIsNoText(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "a")
	client := h.admin()
	for _, path := range []string{
		"/credentials/%00", "/credentials/%ff", "/credentials?q=%ff", "/findings?q=%00", "/usage?owner=%fe", "/record?actor=%ff",
		"/providers/%00",
		"/findings?severity=nope", "/findings?kind=nope", "/findings?state=nope", "/findings.csv?kind=nope", "/record?since=nope",
		"/record?until=2026-13-01", "/credentials?status=nope",
	} {
		resp, err := client.Get(h.base + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
	resp, err := client.PostForm(h.base+"/silences", url.Values{"credential": {"a"}, "why": {"a\x00b"}, "for": {"1h"}})
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("a form with NUL: %d", resp.StatusCode)
	}
}

// The list answers while somebody types, without a reload, and its address says what is asked for; back leads back.
func TestSearchWhileTyping(t *testing.T) {
	t.Parallel()
	lasting.Test(t, "it runs a browser")
	h := newHouse(t, names...)
	client := h.admin()
	h.checked(len(names))
	b := newBrowser(t, h.base, client)
	b.sized(1280, 900, "dark")
	b.open("/credentials")
	b.eval(`window.stays = "yes"; ""`)
	b.do(chromedp.Focus("#q"))
	b.do(chromedp.KeyEvent("sync"))
	b.awaitEval(`[window.stays, location.search, document.activeElement.id, document.querySelector("#q").value].join(" ")`,
		"yes ?q=sync q sync")
	b.awaitText("1 credential")
	b.click("Healthy")
	b.awaitEval(`location.search`, "?q=sync&status=healthy")
	b.click("Sort")
	b.click("Name")
	b.awaitText("Sort: name")
	b.do(chromedp.NavigateBack())
	b.awaitEval(`location.search`, "?q=sync&status=healthy")
	b.awaitText("Sort: worst first")
	b.fine("searching")
}

// The theme that somebody chose is the server's from the next page on; keys are explained by one, and can be switched off.
func TestThemeAndKeys(t *testing.T) {
	t.Parallel()
	lasting.Test(t, "it runs a browser")
	h := newHouse(t, "a")
	client := h.admin()
	b := newBrowser(t, h.base, client)
	b.sized(1280, 900, "dark")
	b.open("/")
	b.click("Light")
	b.awaitEval(`document.documentElement.dataset.theme`, "light")
	b.awaitEval(`fetch("/").then(r => r.text()).then(t => String(t.includes('<html lang="en" data-theme="light">')))`, "true")
	b.do(chromedp.KeyEvent("?"))
	open := `String(document.querySelector("#keys").matches(":popover-open"))`
	b.awaitEval(open, "true")
	b.click("Switch single keys off")
	b.awaitEval(`String(document.body.hasAttribute("data-no-keys"))`, "true")
	b.do(chromedp.KeyEvent("?"))
	b.awaitEval(open, "false")
	b.fine("theme and keys")
}

// A page that is left open stays as small as it was, however often it changes.
// (docs/promises.md#a-page-that-is-left-open-stays-true-and-small).
func TestAPageLeftOpenStaysSmall(t *testing.T) {
	t.Parallel()
	lasting.Test(t, "it runs a browser")
	h := newHouse(t, names...)
	client := h.admin()
	h.checked(len(names))
	b := newBrowser(t, h.base, client)
	b.sized(1280, 900, "light")
	b.open("/credentials/ats-sync")
	call(b, performance.Enable, performance.EnableParams{})
	measure := func(times int) (nodes, heap float64) {
		b.eval(fmt.Sprintf(`(async () => { for (let i = 0; i < %d; i++) await refresh(); return ""; })()`, times))
		call(b, heapprofiler.CollectGarbage, cdp.Empty{})
		for _, m := range call(b, performance.GetMetrics, cdp.Empty{}).Metrics {
			switch m.Name {
			case "Nodes":
				nodes = m.Value
			case "JSHeapUsedSize":
				heap = m.Value
			}
		}
		return nodes, heap
	}
	nodes, heap := measure(10)
	laterNodes, laterHeap := measure(100)
	if laterNodes > nodes*1.2 || laterHeap > heap*1.2+200_000 {
		t.Errorf("after 100 refreshes: %.0f nodes and %.0f bytes, before %.0f and %.0f", laterNodes, laterHeap, nodes, heap)
	}
	b.fine("left open")
}
