package app_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/app"
	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/report"
	"github.com/keyrounds/keyrounds/sim"
	"github.com/keyrounds/keyrounds/test/lasting"
	"github.com/keyrounds/keyrounds/usage"
)

const pushToken = "c4n4ry-push-token"

// office is a daemon with a provider, a Slack, and a feed that others push to.
type office struct {
	*testing.T
	app   *app.App
	slack *sim.Slack
	now   atomic.Pointer[time.Time]
	log   buffer
	said  buffer // on standard error
}

func newOffice(t *testing.T, now time.Time, top string) *office {
	t.Helper()
	o := &office{T: t, slack: &sim.Slack{Token: "c4n4ry-slack"}}
	o.now.Store(&now)
	dir := t.TempDir()
	for name, text := range map[string]string{"push": pushToken, "slack": o.slack.Token, "secret": "s3cretvalue"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	slack := httptest.NewServer(o.slack)
	t.Cleanup(slack.Close)
	c, err := config.Parse("keyrounds.yaml", fmt.Appendf(nil, `
data_dir: %[1]s
database: %[2]s
listen: 127.0.0.1:0
providers: {idp: {token_url: "http://127.0.0.1:1/token", allow_private_networks: true, passive: true}}
credentials:
  - {name: a, provider: idp, client_id: a, secret: "file:%[1]s/secret", owner: web, created: 2024-01-01}
  - {name: b, provider: idp, client_id: b, secret: "file:%[1]s/secret", owner: web, created: 2024-01-01}
feeds: [{name: pushed, provider: idp, type: push, token: "file:%[1]s/push"}]
slack: {token: "file:%[1]s/slack", channel: "#x", api_url: "%[3]s/"}
%[4]s
`, dir, pgtest.Section(t), slack.URL, top))
	if err != nil {
		t.Fatal(err)
	}
	o.app, err = app.Open(t.Context(), app.Options{
		Config:  c,
		Version: "test",
		Log:     slog.New(slog.NewJSONHandler(&o.log, nil)),
		Daemon:  true,
		Stderr:  &o.said,
		Tick:    100 * time.Millisecond,
		Judge:   200 * time.Millisecond,
		Now:     func() time.Time { return *o.now.Load() },
	})
	if err == nil {
		err = o.app.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(o.app.Stop)
	o.await("it is ready", func() bool {
		status := o.get("/readyz")
		return status == http.StatusOK || status == http.StatusUnauthorized
	})
	return o
}

func (o *office) await(what string, cond func() bool) {
	o.Helper()
	for deadline := time.Now().Add(3 * time.Minute); !cond(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			o.Fatalf("after three minutes still not: %s", what)
		}
	}
}

func (o *office) get(path string) int {
	r, err := http.Get("http://" + o.app.Addr() + path)
	if err != nil {
		o.Fatal(err)
	}
	_ = r.Body.Close()
	return r.StatusCode
}

// push posts a body, and returns the status and what was answered.
func (o *office) push(body io.Reader, header ...string) (int, map[string]any) {
	o.Helper()
	resp, text := o.post("/api/v1/usage", body, append([]string{"Authorization", "Bearer " + pushToken}, header...)...)
	var answer map[string]any
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		o.Errorf("%d: %q: %v", resp.StatusCode, text, err)
	}
	return resp.StatusCode, answer
}

// post posts a body, and returns what was answered, in which no secret is.
func (o *office) post(path string, body io.Reader, header ...string) (*http.Response, string) {
	o.Helper()
	req, err := http.NewRequestWithContext(o.Context(), http.MethodPost, "http://"+o.app.Addr()+path, body)
	if err != nil {
		o.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		o.Fatal(err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	if strings.Contains(string(text), "c4n4ry") {
		o.Errorf("the answer shows a secret: %s", text)
	}
	return resp, string(text)
}

func (o *office) lines(n int, at time.Time) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(
			&b,
			`{"client_id":"a","at":%q,"source_ip":"203.0.113.7","user_agent":"job/1"}`+"\n",
			at.Add(time.Duration(i)*time.Second).Format(time.RFC3339),
		)
	}
	return b.String()
}

func (o *office) uses() (n int) {
	o.Helper()
	if err := o.app.Pool.QueryRow(o.Context(), `SELECT coalesce(sum(uses), 0)::int FROM usage_days`).Scan(&n); err != nil {
		o.Fatal(err)
	}
	return n
}

// What is pushed is taken in once, whoever sends it again and however it is packed.
func TestPush(t *testing.T) {
	t.Parallel()
	now := time.Now().UTC().Truncate(time.Second)
	o := newOffice(t, now, "")
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write([]byte(o.lines(5, now.Add(-time.Hour))))
	_ = z.Close()
	for _, k := range []struct {
		body, key string
		duplicate bool
		uses      int
	}{
		{o.lines(3, now.Add(-time.Hour)), "batch-1", false, 3},
		{o.lines(3, now.Add(-time.Hour)), "batch-1", true, 3},
		{packed.String(), "", false, 8},
		{packed.String(), "", true, 8},
		{"", "heartbeat-1", false, 8},
		{`[{"client_id":"a","at":"` + now.Format(time.RFC3339) + `"}]`, "", false, 9},
	} {
		status, answer := o.push(strings.NewReader(k.body), "Idempotency-Key", k.key)
		if status != http.StatusOK || answer["duplicate"] != k.duplicate || o.uses() != k.uses {
			t.Errorf("%s %.40q: %d %v, and %d uses, not %d", k.key, k.body, status, answer, o.uses(), k.uses)
		}
	}
	status, answer := o.push(strings.NewReader(""), "Idempotency-Key", "batch-1")
	if status != http.StatusUnprocessableEntity || o.uses() != 9 {
		t.Errorf("another content under the same key: %d %v", status, answer)
	}
	feeds, err := o.app.Usage.Feeds(t.Context())
	if err != nil || len(feeds) != 1 || !feeds[0].LastSeen.Equal(now) || feeds[0].Counts[usage.ResultUse] != 9 {
		t.Errorf("%+v, error %v", feeds, err)
	}
	for _, path := range []string{"/api/v1/usage", "/api/v1/feeds", "/api/v1/reports", "/metrics"} {
		if status := o.get(path); status != http.StatusOK {
			t.Errorf("%s is %d", path, status)
		}
	}
}

// What is too much, too slow or not allowed is refused, costs no memory, and changes nothing
// (docs/promises.md#a-push-that-is-too-much-changes-nothing). Not parallel: it measures the heap.
func TestPushIsBounded(t *testing.T) {
	lasting.Test(t, "it pushes for seconds")
	now := time.Now().UTC().Truncate(time.Second)
	o := newOffice(t, now, "")
	bomb := func(n int) []byte {
		var b bytes.Buffer
		z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
		zeros := make([]byte, 1<<20)
		for range n {
			_, _ = z.Write(zeros)
		}
		_ = z.Close()
		return b.Bytes()
	}
	var m0, m1 runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m0)
	for name, k := range map[string]struct {
		body   io.Reader
		header []string
		want   int
	}{
		"1 GB":             {io.LimitReader(endless{}, 1<<30), nil, http.StatusRequestEntityTooLarge},
		"a bomb of 64 MiB": {bytes.NewReader(bomb(64)), nil, http.StatusRequestEntityTooLarge},
		"a million records": {
			strings.NewReader(strings.Repeat("[]\n", 1000) + strings.Repeat("7\n", 20_000)),
			nil,
			http.StatusRequestEntityTooLarge,
		},
		"a broken gzip":  {strings.NewReader("\x1f\x8bnonsense"), nil, http.StatusBadRequest},
		"a strange key":  {strings.NewReader(""), []string{"Idempotency-Key", strings.Repeat("x", 201)}, http.StatusBadRequest},
		"deep JSON":      {strings.NewReader(strings.Repeat("[", 500_000)), nil, http.StatusUnprocessableEntity}, // a bad record
		"no token":       {strings.NewReader(""), []string{"Authorization", ""}, http.StatusUnauthorized},
		"another token":  {strings.NewReader(""), []string{"Authorization", "Bearer c4n4ry"}, http.StatusUnauthorized},
		"its beginning":  {strings.NewReader(""), []string{"Authorization", "Bearer " + pushToken[:10]}, http.StatusUnauthorized},
		"another header": {strings.NewReader(""), []string{"Authorization", "Basic eDp5", "X-Feed-Token", pushToken}, http.StatusOK},
	} {
		if status, answer := o.push(k.body, k.header...); status != k.want {
			t.Errorf("%s: %d %v", name, status, answer)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&m1)
	if grown := int64(m1.HeapAlloc) - int64(m0.HeapAlloc); grown > 20<<20 {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
	if o.uses() != 0 {
		t.Errorf("%d uses", o.uses())
	}
	// A slow client.
	conn, err := net.Dial("tcp", o.app.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /api/v1/usage HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 100\r\n\r\n{", pushToken)
	_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	if b, _ := io.ReadAll(conn); !bytes.HasPrefix(b, []byte("HTTP/1.1 408")) {
		t.Errorf("a slow client is answered %.60q", b)
	}
	// Whoever tries tokens is refused for a while (docs/promises.md#whoever-tries-tokens-is-refused-for-a-while).
	for range 10 {
		o.push(strings.NewReader(""), "Authorization", "Bearer wrong")
	}
	if status, _ := o.push(strings.NewReader(""), "Authorization", "Bearer wrong"); status != http.StatusTooManyRequests {
		t.Errorf("after ten wrong tokens: %d", status)
	}
	if status, answer := o.push(strings.NewReader("")); status != http.StatusOK {
		t.Errorf("a right token after ten wrong ones: %d %v", status, answer)
	}
	// A report's name is a month, and nothing else (docs/promises.md#a-reports-name-is-a-month-and-nothing-else).
	for _, path := range []string{
		"/api/v1/reports/..%2f..%2fetc%2fpasswd",
		"/api/v1/reports/2026-13",
		"/api/v1/reports/2026-10?owner=../..",
		"/api/v1/reports/2026-10?format=exe",
	} {
		if status := o.get(path); status != http.StatusNotFound && status != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d", path, status)
		}
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// At the beginning of a month the daemon makes the report of the last one, once, and posts it with its file;
// low severities come in a digest, not one message each; a use ends a finding by itself.
func TestTheMonthTurns(t *testing.T) {
	lasting.Test(t, "it runs a whole daemon for long")
	t.Parallel()
	year := time.Now().UTC().Year()
	o := newOffice(t, time.Date(year, 10, 20, 12, 0, 0, 0, time.UTC), "digest: \"0 9 * * *\"\n")
	set := func(month time.Month, day, hour int) time.Time {
		at := time.Date(year, month, day, hour, 0, 0, 0, time.UTC)
		o.now.Store(&at)
		return at
	}
	for day := range 110 {
		at := time.Date(year, 10, 20, 11, 0, 0, 0, time.UTC).AddDate(0, 0, -day)
		if status, answer := o.push(strings.NewReader(o.lines(1, at))); status != http.StatusOK {
			t.Fatal(status, answer)
		}
	}
	set(10, 20, 13)
	o.await("b is found never used", func() bool {
		fs, err := o.app.Audit.Findings(t.Context(), auditOf(finding.NeverUsed))
		return err == nil && len(fs) == 1 && fs[0].Subject.Credential == "b"
	})
	if n := len(o.slack.Messages()); n != 0 {
		t.Errorf("it was told before its digest: %d messages", n)
	}
	set(10, 21, 9)
	o.await("the digest is posted", func() bool { return len(o.slack.Messages()) == 1 })
	text := strings.Join(o.slack.Messages()[0].Lines(), "\n")
	if !strings.Contains(text, "Digest: 1 new finding") || !strings.Contains(text, "• b: no use was ever seen") {
		t.Errorf("the digest says %s", text)
	}
	for day := 21; day <= 31; day++ {
		at := set(10, day, 12)
		if status, _ := o.push(strings.NewReader(o.lines(1, at))); status != http.StatusOK {
			t.Fatal(status)
		}
	}
	set(11, 1, 7)
	looked := func() (n int) {
		err := o.app.Pool.QueryRow(t.Context(), `
			SELECT count(*) FROM river_job WHERE kind = 'monthly' AND state = 'completed'`).Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := looked()
	o.await("the daemon looked twice", func() bool { return looked() >= before+2 })
	if n := len(o.slack.Messages()); n != 1 {
		t.Errorf("%d messages an hour before the report's time", n)
	}
	set(11, 1, 8)
	o.await("the report is posted", func() bool { ms := o.slack.Messages(); return len(ms) == 2 && len(ms[1].Files) == 1 })
	m := o.slack.Messages()[1]
	text = strings.Join(m.Lines(), "\n")
	if !strings.Contains(text, "1 of 2 credentials are not used.") || !strings.Contains(text, "• REVOKE: b, no use was ever seen") {
		t.Errorf("it says %s", text)
	}
	month, _ := report.ParseMonth(fmt.Sprintf("%d-10", year))
	page, ok, err := o.app.Reports.Stored(t.Context(), month, "", 0, report.HTML)
	if err != nil || !ok || m.Files[0].Content != string(page) || m.Files[0].Name != fmt.Sprintf("unused-credentials-%d-10.html", year) {
		t.Errorf("the file %s of %d bytes, the report of %d bytes, error %v", m.Files[0].Name, len(m.Files[0].Content), len(page), err)
	}
	if status := o.get(fmt.Sprintf("/api/v1/reports/%d-10?owner=web&format=csv", year)); status != http.StatusOK {
		t.Errorf("the extract of an owner is %d", status)
	}
	at := set(11, 1, 10)
	if status, _ := o.push(strings.NewReader(strings.ReplaceAll(o.lines(1, at), `"a"`, `"b"`))); status != http.StatusOK {
		t.Fatal(status)
	}
	fs, err := o.app.Audit.Findings(t.Context(), auditOf(finding.NeverUsed))
	if err != nil || len(fs) != 1 || fs[0].State != finding.Resolved {
		t.Errorf("%+v, error %v", fs, err)
	}
	if n := len(o.slack.Messages()); n != 2 {
		t.Errorf("%d messages at the end", n)
	}
}

func auditOf(k finding.Kind) audit.Filter { return audit.Filter{Kind: k, Resolved: true} }

// A log API is asked on schedule, as a registered credential; what it answers is use, and so is asking.
func TestPolledOnSchedule(t *testing.T) {
	lasting.Test(t, "it runs a whole daemon for long")
	t.Parallel()
	idp := sim.NewProvider(sim.Client{ID: "reader", Secret: "s3cretvalue"})
	server := httptest.NewServer(idp)
	t.Cleanup(server.Close)
	now := time.Now().UTC()
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !slices.Contains(idp.Tokens(), token) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprintf(w, `{"events":[{"id":"e1","who":"a","when":%q}]}`, now.Add(-time.Hour).Format(time.RFC3339))
	}))
	t.Cleanup(api.Close)
	dir := t.TempDir()
	database := pgtest.Section(t)
	if err := os.WriteFile(filepath.Join(dir, "s"), []byte("s3cretvalue"), 0o600); err != nil {
		t.Fatal(err)
	}
	parse := func(secret string) *config.Config {
		c, err := config.Parse("keyrounds.yaml", fmt.Appendf(nil, `
data_dir: %[1]s
database: %[2]s
listen: 127.0.0.1:0
providers: {idp: {token_url: "%[3]s/identity/oauth/token", allow_private_networks: true, passive: true}}
credentials:
  - {name: a, provider: idp, client_id: a, secret: "file:%[1]s/s"}
  - {name: reader, provider: idp, client_id: reader, secret: "file:%[1]s/%[5]s"}
feeds: [{name: api, provider: idp, type: http, url: "%[4]s/log?since={since}", credential: reader, items: .events, every: 1s,
  jq: "{event_id: .id, client_id: .who, at: .when}"}]
`, dir, database, server.URL, api.URL, secret))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	a, err := app.Open(
		t.Context(),
		app.Options{Config: parse("s"), Version: "test", Log: slog.New(slog.DiscardHandler), Daemon: true, Tick: 100 * time.Millisecond},
	)
	if err == nil {
		err = a.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Stop)
	o := &office{T: t, app: a}
	feed := func() usage.FeedStatus {
		fs, err := a.Usage.Feeds(t.Context())
		if err != nil || len(fs) != 1 {
			return usage.FeedStatus{Counts: usage.Counts{}}
		}
		return fs[0]
	}
	o.await("it was polled twice", func() bool { return feed().Counts[usage.ResultDuplicate] > 0 })
	if f := feed(); f.Counts[usage.ResultUse] != 1 || f.Error != "" || len(f.Coverage) != 1 {
		t.Errorf("%+v", f)
	}
	idp.Revoke("reader")
	o.await(
		"it says why it cannot be polled",
		func() bool { return strings.Contains(feed().Error, `credential "reader" got no token: rejected`) },
	)
	idp.Restore("reader")
	o.await("it can be polled again", func() bool { return feed().Error == "" })
	if err := a.Reload(t.Context(), parse("nothere")); err != nil {
		t.Fatal(err)
	}
	o.await("it says that the secret is gone", func() bool { return feed().Error != "" && !strings.Contains(feed().Error, "s3cret") })
}
