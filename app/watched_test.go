package app_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/keyrounds/keyrounds/app"
	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/sim"
	"github.com/keyrounds/keyrounds/test/lasting"
)

// watched is a daemon with everything by which those who run it watch it.
type watched struct {
	*office
	idp    *sim.Provider
	log    *buffer
	spans  *tracetest.InMemoryExporter
	beats  atomic.Int64
	status atomic.Int64 // of the answer to a heartbeat
	reload func(level string)
}

const beatPath = "/ping/c4n4ry-heartbeat"

func watch(t *testing.T) *watched {
	t.Helper()
	w := &watched{office: &office{T: t, slack: &sim.Slack{Token: "xoxb-c4n4ry"}}, log: &buffer{}, spans: tracetest.NewInMemoryExporter()}
	w.idp = sim.NewProvider(sim.Client{ID: "CLIENTID-a", Secret: "s3cretvalue"}, sim.Client{ID: "CLIENTID-b", Secret: "s3cretvalue"})
	w.status.Store(200)
	beats := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == beatPath {
			w.beats.Add(1)
		}
		rw.WriteHeader(int(w.status.Load()))
	})
	var urls []string
	for _, h := range []http.Handler{w.idp, w.slack, beats} {
		s := httptest.NewServer(h)
		t.Cleanup(s.Close)
		urls = append(urls, s.URL)
	}
	dir, database := t.TempDir(), pgtest.Section(t)
	for name, text := range map[string]string{"slack": w.slack.Token, "secret": "s3cretvalue", "beat": urls[2] + beatPath} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	parse := func(level string) *config.Config {
		c, err := config.Parse("keyrounds.yaml", fmt.Appendf(nil, `
data_dir: %[1]s
database: %[2]s
listen: 127.0.0.1:0
debug: {listen: 127.0.0.1:0}
heartbeat: {url: "file:%[1]s/beat", every: 1s}
log: {level: %[5]s}
metrics: {labels: [env], exemplars: true}
providers: {idp: {token_url: "%[3]s/identity/oauth/token", allow_private_networks: true, rate: 100/s, min_interval: 1s}}
verdict: {confirm: [200ms, 400ms], refusals_per_hour: 0}
defaults: {schedule: "@every 2s"}
notifications: {group_wait: 0s}
credentials:
  - {name: a, provider: idp, client_id: CLIENTID-a, secret: "file:%[1]s/secret", owner: web, labels: {env: prod}}
  - {name: b, provider: idp, client_id: CLIENTID-b, secret: "file:%[1]s/secret", owner: hr}
slack: {token: "file:%[1]s/slack", channel: "#x", api_url: "%[4]s/"}
`, dir, database, urls[0], urls[1], level))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	provider := sdk.NewTracerProvider(sdk.WithSyncer(w.spans))
	level := &slog.LevelVar{}
	a, err := app.Open(t.Context(), app.Options{
		Config: parse("info"), Version: "test", Log: slog.New(slog.NewJSONHandler(w.log, &slog.HandlerOptions{Level: level})), Level: level,
		Tracer: provider.Tracer("test"), Daemon: true, Tick: 200 * time.Millisecond,
	})
	if err == nil {
		err = a.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Stop)
	w.app = a
	w.reload = func(level string) {
		if err := a.Reload(t.Context(), parse(level)); err != nil {
			t.Fatal(err)
		}
	}
	w.await("all work", func() bool {
		list, err := a.Audit.Standings(t.Context(), false)
		return err == nil && len(list) == 2 && list[0].Status == "healthy" && list[1].Status == "healthy"
	})
	return w
}

func (w *watched) ask(method, url, body string, edit ...func(*http.Request)) (int, string) {
	w.Helper()
	req, err := http.NewRequestWithContext(w.Context(), method, url, strings.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	for _, f := range edit {
		f(req)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.Fatal(err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text)
}

func (w *watched) debugURL() string {
	m := regexp.MustCompile(`"profiles and the log level are served","listen":"([^"]+)"`).FindStringSubmatch(w.log.String())
	if m == nil {
		w.Fatal("the log does not name the debug listener")
	}
	return "http://" + m[1]
}

// One trace goes from the claim to the message on Slack, and names no secret and no client.
func TestTrace(t *testing.T) {
	lasting.Test(t, "it runs a whole daemon for long")
	t.Parallel()
	w := watch(t)
	w.idp.Revoke("CLIENTID-a")
	var told tracetest.SpanStub
	w.await("a message is sent within a trace", func() bool {
		spans := w.spans.GetSpans()
		i := slices.IndexFunc(spans, func(s tracetest.SpanStub) bool { return s.Name == "notify" })
		if i >= 0 {
			told = spans[i]
		}
		return i >= 0
	})
	byID := map[string]tracetest.SpanStub{}
	for _, s := range w.spans.GetSpans() {
		byID[s.SpanContext.SpanID().String()] = s
	}
	var names []string
	for s, ok := told, true; ok; s, ok = byID[s.Parent.SpanID().String()] {
		names = append(names, s.Name)
	}
	if got := strings.Join(names, " < "); got != "notify < batch < round" {
		t.Errorf("the message's trace is %s", got)
	}
	checked := slices.ContainsFunc(w.spans.GetSpans(), func(s tracetest.SpanStub) bool {
		return s.Name == "check" && s.SpanContext.TraceID() == told.SpanContext.TraceID() && s.Parent.SpanID() == told.Parent.SpanID()
	})
	if !checked {
		t.Error("the check that found it is not in the trace")
	}
	id := told.SpanContext.TraceID().String()
	if !strings.Contains(w.log.String(), `"trace_id":"`+id+`"`) {
		t.Errorf("no line of the log names the trace %s", id)
	}
	for _, s := range w.spans.GetSpans() {
		text := fmt.Sprintf("%+v", s)
		for _, never := range []string{"s3cretvalue", "xoxb-", "CLIENTID", "invalid_client", "tok-"} {
			if strings.Contains(text, never) {
				t.Errorf("the span %s holds %s", s.Name, never)
			}
		}
	}
	for _, s := range w.spans.GetSpans() { // a sweep that finds nothing due leaves none
		if s.Name == "round" && (len(s.Attributes) != 1 || s.Attributes[0].Value.AsInt64() < 1) {
			t.Errorf("a round of nothing: %+v", s.Attributes)
		}
	}
	_, metrics := w.ask("GET", "http://"+w.app.Addr()+"/metrics", "", func(r *http.Request) {
		r.Header.Set("Accept", "application/openmetrics-text;version=1.0.0")
	})
	if !regexp.MustCompile(`keyrounds_check_duration_seconds_bucket\{[^}]*\} \d+ # \{trace_id="[0-9a-f]{32}"\}`).MatchString(metrics) {
		t.Error("no exemplar names a trace")
	}
}

// Profiles are on a loopback listener of their own, and nowhere else; health names nobody
// (docs/promises.md#profiles-are-on-a-loopback-listener-of-their-own).
func TestDebugListener(t *testing.T) {
	lasting.Test(t, "it runs a whole daemon for long")
	t.Parallel()
	w := watch(t)
	main, debug := "http://"+w.app.Addr(), w.debugURL()
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/cmdline", "/debug/vars", "/log-level"} {
		if code, _ := w.ask("GET", main+path, ""); code != http.StatusNotFound {
			t.Errorf("%s answers %d where others reach it", path, code)
		}
	}
	for _, path := range []string{"/debug/pprof/cmdline", "/debug/vars", "/metrics"} {
		if code, _ := w.ask("GET", debug+path, ""); code != http.StatusNotFound {
			t.Errorf("%s answers %d on the debug listener", path, code)
		}
	}
	code, text := w.ask("GET", debug+"/debug/pprof/goroutine?debug=1", "")
	if code != http.StatusOK || !strings.Contains(text, "goroutine profile") {
		t.Errorf("%d %.200s", code, text)
	}
	elsewhere := func(r *http.Request) { r.Host = "evil.example" }
	if code, text := w.ask("GET", debug+"/debug/pprof/heap", "", elsewhere); code != http.StatusMisdirectedRequest {
		t.Errorf("under another name: %d %s", code, text)
	}
	if code, text := w.ask("GET", debug+"/readyz", ""); code != http.StatusOK || text != "ready\n" {
		t.Errorf("%d %s", code, text)
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if code, text := w.ask("GET", main+path, ""); code != http.StatusOK || len(text) > 10 {
			t.Errorf("%s: %d %q", path, code, text)
		}
	}
}

// The level of the log is changed while the daemon runs: by hand, and by a reload.
func TestLogLevel(t *testing.T) {
	lasting.Test(t, "it runs a whole daemon for long")
	t.Parallel()
	w := watch(t)
	url := w.debugURL() + "/log-level"
	if strings.Contains(w.log.String(), `"level":"DEBUG"`) {
		t.Error("the log begins at debug")
	}
	held := func(r *http.Request) {
		token, err := os.ReadFile(filepath.Join(w.app.Config().DataDir, "debug-token"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	}
	if st, err := os.Stat(filepath.Join(w.app.Config().DataDir, "debug-token")); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st, err)
	}
	if code, text := w.ask("PUT", url, "debug"); code != http.StatusUnauthorized || !strings.Contains(text, "debug-token") {
		t.Errorf("without the token: %d %s", code, text)
	}
	if code, text := w.ask("PUT", url, "loud", held); code != http.StatusBadRequest ||
		!strings.Contains(text, "debug, info, warn or error") {
		t.Errorf("%d %s", code, text)
	}
	crossSite := func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }
	if code, _ := w.ask("PUT", url, "debug", held, crossSite); code != http.StatusForbidden {
		t.Errorf("from a web page: %d", code)
	}
	if code, text := w.ask("PUT", url, "debug\n", held); code != http.StatusOK || text != "debug\n" {
		t.Errorf("%d %q", code, text)
	}
	w.await("each check is logged", func() bool { return strings.Contains(w.log.String(), `"msg":"checked"`) })
	w.reload("error")
	if code, text := w.ask("GET", url, ""); code != http.StatusOK || text != "error\n" {
		t.Errorf("after a reload: %d %q", code, text)
	}
}

// Another monitor hears of the daemon as long as the rounds go on, and learns no more
// (docs/promises.md#another-monitor-hears-of-the-daemon-as-long-as-the-rounds-go-on).
func TestHeartbeat(t *testing.T) {
	lasting.Test(t, "it runs a whole daemon for long")
	t.Parallel()
	w := watch(t)
	w.await("two heartbeats", func() bool { return w.beats.Load() >= 2 })
	w.status.Store(500)
	w.await("a failure is logged", func() bool { return strings.Contains(w.log.String(), "heartbeat.url: HTTP 500") })
	w.status.Store(200)
	// The rounds stand still: nobody sweeps, the last sweep grows old.
	ctx := t.Context()
	for _, sql := range []string{
		`ALTER TABLE river_job ADD CONSTRAINT no_sweep CHECK (kind <> 'sweep') NOT VALID`,
		`UPDATE river_queue SET paused_at = now()`,
		`DELETE FROM river_job WHERE kind = 'sweep'`,
	} {
		if _, err := pgtest.Owner(t, w.app.Pool).Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	withheld := func() (n int) {
		_, text := w.ask("GET", "http://"+w.app.Addr()+"/metrics", "")
		if m := regexp.MustCompile(`keyrounds_heartbeats_total\{result="withheld"\} (\d+)`).FindStringSubmatch(text); m != nil {
			n, _ = strconv.Atoi(m[1])
		}
		return n
	}
	w.await("one is withheld", func() bool { return withheld() > 0 })
	before := w.beats.Load()
	w.await("and the next", func() bool { return withheld() > 2 })
	if after := w.beats.Load(); after != before {
		t.Errorf("%d heartbeats while the rounds stand still", after-before)
	}
	if bytes.Contains([]byte(w.log.String()), []byte("c4n4ry-heartbeat")) {
		t.Error("the log holds the heartbeat's URL")
	}
}
