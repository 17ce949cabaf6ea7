package pages_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/keyrounds/keyrounds/sim/authserver"
)

// With -shots a picture of every page that is opened is left in that directory.
var shots = flag.String("shots", "", "a directory for pictures of the pages")

// browser is a real Chromium, which keeps whatever goes wrong in it.
type browser struct {
	*testing.T
	ctx  context.Context
	base string

	mu    sync.Mutex
	wrong []string
}

// newBrowser opens one that is signed in as client is.
func newBrowser(t *testing.T, base string, client *http.Client) *browser {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Fatal("there is no Chromium here: make setup installs it")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Headless,
		chromedp.Flag("force-color-profile", "srgb"), chromedp.Flag("lang", "en-GB"))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &browser{T: t, ctx: ctx, base: base}
	if err := chromedp.Listen(ctx, b.hear); err != nil {
		t.Fatal(err)
	}
	call(b, network.Enable, network.EnableParams{})
	call(b, log.Enable, cdp.Empty{})
	if client != nil {
		u, _ := url.Parse(base)
		yes := true
		for _, c := range client.Jar.Cookies(u) {
			call(b, network.SetCookie, network.SetCookieParams{Name: c.Name, Value: c.Value, URL: base, HTTPOnly: &yes})
		}
	}
	return b
}

// call runs a command of the browser's protocol.
func call[P, R any](b *browser, cmd cdp.Command[P, R], params P) R {
	b.Helper()
	r, err := chromedp.Call(b.ctx, cmd, params)
	if err != nil {
		b.Fatal(err)
	}
	return r
}

// hear notes what the console says, what the policy forbids, and what is asked of somebody else.
func (b *browser) hear(event any) {
	what := ""
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		what = fmt.Sprintf("the console: %s", e.Type)
		for _, a := range e.Args {
			what += " " + string(a.Value)
		}
	case *runtime.EventExceptionThrown:
		what = fmt.Sprintf("a script fails: %s %+v", e.ExceptionDetails.Text, e.ExceptionDetails.Exception)
	case *log.EventEntryAdded:
		what = fmt.Sprintf("the log: %s %s %s", e.Entry.Level, e.Entry.Text, e.Entry.URL)
	case *network.EventRequestWillBeSent:
		if u := e.Request.URL; !strings.HasPrefix(u, b.base) && !strings.HasPrefix(u, "data:") {
			what = "a request elsewhere: " + u
		}
	}
	if what != "" {
		b.mu.Lock()
		b.wrong = append(b.wrong, what)
		b.mu.Unlock()
	}
}

// fine fails where something went wrong since it was last asked.
func (b *browser) fine(where string) {
	b.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, w := range b.wrong {
		b.Errorf("%s: %s", where, w)
	}
	b.wrong = nil
}

func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.Fatal(err)
	}
}

// sized makes it so wide, in a theme.
func (b *browser) sized(width, height int64, theme string) {
	b.Helper()
	call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: width, Height: height, DeviceScaleFactor: 1, Mobile: width < 600,
	})
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: theme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
}

func (b *browser) open(path string) {
	b.Helper()
	b.do(chromedp.Navigate(b.base+path), chromedp.WaitReady("main"))
}

// eval runs a script and returns the text that it says.
func (b *browser) eval(script string) string {
	b.Helper()
	text, err := b.evalOnce(script)
	if err != nil {
		b.Fatal(err)
	}
	return text
}

func (b *browser) evalOnce(script string) (string, error) {
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[string](script, chromedp.EvalAwaitPromise))
}

// now is what a script says, "" where it says nothing yet: one page is going, and the next one has no body.
func (b *browser) now(script string) string {
	text, err := b.evalOnce("(async () => { try { return await (" + script + ") } catch { return '' } })()")
	if err != nil {
		return ""
	}
	return text
}

// click presses the first link or button that is seen and has this text.
func (b *browser) click(text string) {
	b.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		done := b.eval(fmt.Sprintf(`(() => { const all = [...document.querySelectorAll("a, button, summary, label")];
			const e = all.find(e => e.checkVisibility() && e.textContent.replace(/\s+/g, " ").includes(%q));
			if (!e) return "";
			e.click();
			return "yes"; })()`, text))
		if done == "yes" {
			return
		}
		if time.Now().After(deadline) {
			b.Fatalf("there is nothing to press that says %q", text)
		}
	}
}

// fill types into a field, by its name.
func (b *browser) fill(field, text string) {
	b.Helper()
	b.do(chromedp.SetValue(fmt.Sprintf(`main [name=%q]`, field), text))
}

// awaitText waits until the page says something.
func (b *browser) awaitText(text string) {
	b.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		got := b.now(`document.body?.innerText ?? ""`)
		if strings.Contains(strings.Join(strings.Fields(got), " "), text) {
			return
		}
		if time.Now().After(deadline) {
			b.Fatalf("the page does not say %q:\n%s", text, got)
		}
	}
}

// awaitEval waits until a script says something.
func (b *browser) awaitEval(script, want string) {
	b.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		got := b.now(script)
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			b.Fatalf("%s says %q, want %q", script, got, want)
		}
	}
}

// shoot leaves a picture of the whole page, if that is wanted.
func (b *browser) shoot(name string) {
	b.Helper()
	if *shots == "" {
		return
	}
	beyond := true
	picture := call(b, page.CaptureScreenshot, page.CaptureScreenshotParams{CaptureBeyondViewport: &beyond}).Data
	if err := os.WriteFile(filepath.Join(*shots, name+".png"), picture, 0o644); err != nil {
		b.Fatal(err)
	}
}

var axe = sync.OnceValues(func() (string, error) {
	dir, err := filepath.Abs("axe")
	if err != nil {
		return "", err
	}
	home, err := authserver.Packages(dir, filepath.Join(dir, "..", "..", "..", "bin", "npm"))
	if err != nil {
		return "", err
	}
	b, err := os.ReadFile(filepath.Join(home, "node_modules", "axe-core", "axe.min.js"))
	return string(b), err
})

// accessible asks axe-core, and fails for what it finds.
func (b *browser) accessible(where string) {
	b.Helper()
	source, err := axe()
	if err != nil {
		b.Fatal(err)
	}
	b.eval(source + `;""`)
	var found []struct {
		ID, Help string
		Nodes    []struct{ HTML, FailureSummary string }
	}
	text := b.eval(`axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]})
		.then(r => JSON.stringify(r.violations))`)
	if err := json.Unmarshal([]byte(text), &found); err != nil {
		b.Fatal(err)
	}
	for _, f := range found {
		for _, n := range f.Nodes {
			b.Errorf("%s: axe: %s (%s): %s\n%s", where, f.ID, f.Help, n.HTML, n.FailureSummary)
		}
	}
}

// noSideways fails where the page is wider than the window.
func (b *browser) noSideways(where string) {
	b.Helper()
	wide := b.eval(`(() => { const w = document.documentElement.clientWidth, over = document.documentElement.scrollWidth - w;
		if (over <= 0) return "";
		return over + " px: " + [...document.querySelectorAll("main *")].filter(e => e.getBoundingClientRect().right > w + 1).slice(0, 3)
			.map(e => e.outerHTML.slice(0, 160)).join(" | "); })()`)
	if wide != "" {
		b.Errorf("%s scrolls sideways: %s", where, wide)
	}
}
