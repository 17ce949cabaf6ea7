package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/sim"
	"github.com/keyrounds/keyrounds/test/lasting"
)

// Secrets and tokens are planted everywhere, the provider echoes them, and then every place is searched for them
// in every usual encoding (docs/promises.md#no-secret-is-in-any-place-that-was-searched).
func TestNoSecretIsAnywhere(t *testing.T) {
	t.Parallel()
	s := newSite(t, 12)
	const pushed = "c4n4ry-push/t0ken+val"
	const pager, alerts = "c4n4ry-pager-path", "c4n4ry-alertmanager"
	const hook = "c4n4ry-webhook-key"
	const flow, posting, genie = "c4n4ry-sig_workflow", "c4n4ry-mail-passw0rd", "c4n4ry-genie-key"
	const paging = "c4n4ry7890123456789012pagerduty0"
	const beat, asked, traced = "c4n4ry-heartbeat", "c4n4ry-promql-token", "c4n4ry-otlp-key"
	const passphrase, wrongPhrase = "c4n4ry-passphrase", "c4n4ry-wr0ng-phrase"
	const apiKey, signing = "c4n4ry-ap1+key/val", "c4n4ry-standard-webhooks-key"
	spans, delivered := &syncBuffer{}, &syncBuffer{}
	soc := s.serve(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(delivered, r.Body) }))
	echo := s.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // an API that shows what it refuses
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		_ = json.NewEncoder(w).Encode(map[string]any{"message": fmt.Sprint("invalid key ", apiKey, r.URL, r.Header)})
	}))
	mirror := s.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // a receiver's server that shows what it refuses
		w.WriteHeader(http.StatusForbidden)
		_, _ = fmt.Fprint(w, r.URL, r.Header)
		_, _ = io.Copy(w, r.Body)
	}))
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(spans, r.Body) }))
	defer collector.Close()
	s.env = append(
		s.env,
		"OTEL_EXPORTER_OTLP_ENDPOINT="+collector.URL,
		"OTEL_EXPORTER_OTLP_HEADERS=x-key="+traced,
		"OTEL_BSP_SCHEDULE_DELAY=200",
	)
	s.configure(fmt.Sprintf(
		`debug: {listen: 127.0.0.1:0}
heartbeat: {url: "file:%s", every: 1s}
feeds:
  - {name: pushed, provider: idp, type: push, keep: true, token: "file:%s"}
  - {name: asked, provider: idp, type: prometheus, url: "http://127.0.0.1:1", metric: requests_total, token: "file:%s", every: 1s}
receivers:
  - {name: pager, url: "file:%s"}
  - {name: soc, type: webhook, url: "%s", secret: "file:%s"}
  - {name: am, type: alertmanager, url: "http://127.0.0.1:1", token: "file:%s"}
  - {name: teams, type: teams, url: "file:%s"}
  - {name: genie, type: opsgenie, url: "%s", api_key: "file:%s"}
  - {name: duty, type: pagerduty, url: "%s", routing_key: "file:%s"}
  - {name: mail, type: mail, url: "smtp://%s", plain: true, from: a@example.com, to: [b@example.com], username: u, password: "file:%s"}
leaks:
  try_every: 1s
  webhooks: [{name: hook, type: gitguardian, secret: "file:%s"}]
  transmitters:
    - name: idp-signals
      provider: idp
      issuer: x
      audience: y
      jwks_url: "http://127.0.0.1:1/"
      allow_private_networks: true`,
		s.write("beat", "http://127.0.0.1:1/"+beat),
		s.write("push-token", pushed),
		s.write("promql-token", asked),
		s.write("pager-url", "generic://127.0.0.1:1/"+pager+"?disabletls=yes&@authorization="+pager),
		soc, s.write("signing", "whsec_"+base64.StdEncoding.EncodeToString([]byte(signing))),
		s.write("am-token", alerts),
		s.write("flow", mirror+"/workflows/x?sig="+flow),
		mirror, s.write("genie", genie),
		mirror, s.write("duty", paging),
		s.echoingMailServer(), s.write("posting", posting),
		s.write("hook-key", hook),
	), s.lockedKeys(passphrase, wrongPhrase)+s.apiKeys(apiKey), 12)
	s.replace("providers:\n", "providers:\n"+echoing(echo))
	const sealed, rotated = "c4n4ry-sealed/s3cret+val", "c4n4ry-rotated/s3cret+val"
	add := exec.Command("keyrounds", "-c", s.config(), "credentials", "add", "sealed-one", "--provider", "idp", "--client-id", "id-05")
	add.Stdin = strings.NewReader(sealed)
	if out, err := add.CombinedOutput(); !strings.Contains(string(out), "sealed-one is registered") ||
		strings.Contains(string(out), "c4n4ry") {
		t.Fatalf("%v: %s", err, out)
	}
	d := s.run()
	d.awaitReady(http.StatusOK)
	var outputs []string
	command := func(args ...string) string {
		out, _ := s.command(args...)
		outputs = append(outputs, out)
		return out
	}
	command("check", "-v")
	s.idp.BreakFor("id-01", sim.Echo)
	s.idp.BreakFor("id-02", sim.Hostile)
	s.idp.Cut("id-04", "company_read")
	s.idp.Revoke("id-03")
	s.await("three revocations and a lost scope are told", func() bool {
		command("check", "-v")
		calls := strings.Join(s.slack.Calls(), "\n")
		return !slices.ContainsFunc([]string{"c01", "c02", "c03", "c04"}, func(name string) bool { return !strings.Contains(calls, name) })
	})
	token := s.idp.TokensOf("id-06")[0] // one of id-01, whose use is pushed, would be known for our own
	d.push(pushed, strings.Join([]string{
		`{"client_id":"id-01","at":"` + time.Now().Format(
			time.RFC3339,
		) + `","token_id":"` + token + `","source_ip":"203.0.113.7","user_agent":"job/1 ` + token + `"}`,
		`{"client_id":"id-02","at":"soon","authorization":"Bearer ` + token + `"}`,
		`not json: client_secret=` + goodSecret + ` token=` + token + ` ` + sealed,
		`{"client_id":"stranger","at":"` + time.Now().Format(time.RFC3339) + `"}`,
	}, "\n"))
	d.push("wrong "+pushed, "")
	if _, err := s.slack.Command("U01", "ann "+token, "check c01 "+goodSecret); err != nil {
		t.Error(err)
	}
	if _, err := s.slack.Command("U01", "ann", "check c01"); err != nil {
		t.Error(err)
	}
	command("doctor", "--timeout", "5s")
	command("doctor", "-o", "json")
	command("notify", "test")
	command("notifications")
	command("notifications", "-o", "json")
	command("findings", "precision")
	command("usage", "status")
	command("usage", "list", "-o", "json")
	command("usage", "unregistered")
	command("usage", "show", "c01", "-o", "json")
	for _, format := range []string{"html", "csv", "json"} {
		command("report", "unused", "--as-of", time.Now().Format(time.DateOnly), "-o", format)
	}
	command("report", "unused", "-o", "html")
	leaked := t.TempDir()
	planted := goodSecret + "\n" + base64.StdEncoding.EncodeToString([]byte("x"+sealed)) + "\nbeside " + traced + "\n"
	if err := os.WriteFile(filepath.Join(leaked, "dir-"+goodSecret), []byte(planted), 0o600); err != nil {
		t.Fatal(err)
	}
	report := s.write("gitleaks.json", `[{"RuleID":"x `+sealed+`","File":"`+goodSecret+`.env","Secret":"`+goodSecret+`",`+
		`"Match":"`+goodSecret+`","Link":"https://x/`+goodSecret+`","StartLine":1}]`)
	for _, format := range []string{"table", "json", "sarif"} {
		command("leaks", "scan", leaked, "-o", format)
	}
	command("leaks", "scan", leaked, filepath.Join(leaked, "nothing-"+goodSecret))
	command("leaks", "import", report)
	command("leaks", "import", report, "--format", "sarif")
	rotate := exec.Command("keyrounds", "-c", s.config(), "credentials", "rotate", "sealed-one", "--verify-revoked", "--timeout", "1s")
	rotate.Stdin = strings.NewReader(rotated)
	out, _ := rotate.CombinedOutput()
	outputs = append(outputs, string(out))
	d.post("/api/v1/leaks/hook", "sha256="+goodSecret, `{"secret":"`+goodSecret+`"}`)
	d.post("/api/v1/leaks/idp-signals", "", goodSecret+"."+sealed+".x")
	command("leaks", "list", "-o", "json")
	command("leaks", "status", "-o", "json")
	command("check", "-o", "json")
	command("credentials", "list", "-o", "json")
	command("credentials", "show", "c01", "-o", "json")
	command("findings", "list", "-o", "json")
	command("findings", "show", "1")
	command("audit", "log", "-o", "json")
	command("config", "check")

	s.await("a heartbeat was tried", func() bool { return strings.Contains(d.log.String(), "heartbeat.url could not be reached") })

	places := map[string]string{
		"the daemon's log":          d.log.String(),
		"what the commands print":   strings.Join(outputs, "\n"),
		"what Slack was sent":       strings.Join(s.slack.Calls(), "\n"),
		"what the webhook was sent": delivered.String(),
		"what Slack shows decoded":  unescape(strings.Join(s.slack.Calls(), "\n")),
	}
	for _, path := range []string{
		"/", "/metrics", "/api/v1/credentials", "/api/v1/findings?resolved=true", "/api/v1/usage", "/api/v1/feeds",
		"/api/v1/reports", "/readyz", "/healthz", "/credentials", "/credentials.csv", "/credentials/c03", "/credentials/sealed-one",
	} {
		status, body := d.get(path)
		if status != http.StatusOK {
			t.Errorf("%s is %d", path, status)
		}
		places[path] = body
	}
	s.await("spans came", func() bool { return strings.Contains(spans.String(), "notify") })
	places["traces"] = spans.String()
	if m := regexp.MustCompile(`"profiles and the log level are served","listen":"([^"]+)"`).FindStringSubmatch(d.log.String()); m != nil {
		_, places["goroutines"] = fetch("http://" + m[1] + "/debug/pprof/goroutine?debug=2")
	}
	pool := s.database()
	rows, err := pool.Query(t.Context(), `
		SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_tables
		WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(tables) < 10 {
		t.Fatalf("tables %v, error %v", tables, err)
	}
	for _, table := range tables {
		var text *string
		if err := pool.QueryRow(t.Context(), `SELECT string_agg(t::text, E'\n') FROM `+table+` t`).Scan(&text); err != nil {
			t.Fatal(err)
		}
		if text != nil {
			places["table "+table] = *text
		}
	}

	for place, part := range map[string]string{
		"what Slack was sent":         "c03",
		"table public.credentials":    "sealed-one",
		"table public.usage_events":   "job/1",
		"/api/v1/feeds":               "it is not JSON",
		"what the commands print":     "its secret got out, and it works",
		"table public.leak_sightings": "*****",
		"table public.leak_secrets":   "id-05",
		"goroutines":                  "goroutine ",
		"the daemon's log":            "heartbeat.url could not be reached",
		"traces":                      "keyrounds.receiver",
		"what the webhook was sent":   "c03",
		"/credentials.csv":            "keyed-query",
		"/api/v1/credentials":         "its passphrase does not open",
		"/credentials/sealed-one":     "sealed in the database",
	} {
		if !strings.Contains(places[place], part) {
			t.Errorf("the search does not see %q in %s: %.300s", part, place, places[place])
		}
	}
	if !strings.Contains(places["what the commands print"], "am: could not be reached") {
		t.Error("no receiver was tried in vain")
	}
	for _, refused := range []string{"teams", "genie", "duty"} {
		if !strings.Contains(places["the daemon's log"]+places["what the commands print"], refused+": it answers HTTP 403") {
			t.Errorf("the receiver %s was not refused", refused)
		}
	}
	if !strings.Contains(places["the daemon's log"], "mail: the server answers 535 5.7.8 to the sign-in") {
		t.Error("no mail was refused")
	}
	canaries := append(s.idp.Tokens(), goodSecret, sealed, rotated, hook, slackToken, appToken, pushed, pager, alerts, beat, asked, traced,
		passphrase, wrongPhrase, apiKey, signing, flow, posting, genie, paging)
	if len(canaries) < 6 {
		t.Errorf("only %d canaries", len(canaries))
	}
	for _, canary := range canaries {
		for encoding, form := range map[string]string{
			"plain": canary, "url": url.QueryEscape(canary), "hex": hex.EncodeToString([]byte(canary)),
			"base64": base64.RawStdEncoding.EncodeToString([]byte(canary))[:len(canary)*8/6],
		} {
			for place, text := range places {
				if i := strings.Index(strings.ToLower(text), strings.ToLower(form)); i >= 0 {
					t.Errorf("%s shows a secret (%s): …%s…", place, encoding, text[max(0, i-60):min(len(text), i+60)])
				}
			}
		}
	}
}

// lockedKeys are credentials whose key OpenSSL encrypted, with its passphrase and with another one.
func (s *site) lockedKeys(right, wrong string) string {
	s.t.Helper()
	key, phrase := filepath.Join(s.dir, "locked.pem"), s.write("phrase", right)
	args := []string{"genpkey", "-algorithm", "ed25519", "-aes-256-cbc", "-pass", "file:" + phrase, "-out", key}
	if out, err := exec.Command("openssl", args...).CombinedOutput(); err != nil {
		s.t.Fatalf("openssl: %v: %s", err, out)
	}
	const line = "  - {name: %s, provider: keyed, client_id: id-07, secret: \"file:%s\", key_passphrase: \"file:%s\"}\n"
	return fmt.Sprintf(line, "opened", key, phrase) + fmt.Sprintf(line, "not-opened", key, s.write("wrong-phrase", wrong))
}

// echoing are providers whose API shows what it refuses, one for each way to send a key.
func echoing(url string) (text string) {
	for name, way := range map[string]string{"query": "query: key", "basic": "basic: username", "header": "header: X-Api-Key"} {
		text += fmt.Sprintf(
			"  by-%s: {kind: api_key, api_key: {%s}, allow_private_networks: true, probes: [{get: %q}]}\n",
			name,
			way,
			url+"/me",
		)
	}
	return text
}

// echoingMailServer is a mail server, by its address, that lets nobody sign in, and shows what it was sent.
func (s *site) echoingMailServer() string {
	s.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { l.Close() })
	answer := func(conn net.Conn) {
		defer conn.Close()
		fmt.Fprint(conn, "220 mail\r\n")
		for in := bufio.NewScanner(conn); in.Scan(); {
			if line := in.Text(); strings.HasPrefix(line, "EHLO") {
				fmt.Fprint(conn, "250-mail\r\n250 AUTH PLAIN\r\n")
			} else {
				_, sent, _ := strings.Cut(line, "AUTH PLAIN ")
				plain, _ := base64.StdEncoding.DecodeString(sent)
				fmt.Fprintf(conn, "535 5.7.8 no: %s %q\r\n", line, plain)
			}
		}
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go answer(conn)
		}
	}()
	return l.Addr().String()
}

// apiKeys are credentials of those.
func (s *site) apiKeys(key string) (text string) {
	file := s.write("api-key", key)
	for _, way := range []string{"query", "basic", "header"} {
		text += fmt.Sprintf("  - {name: keyed-%[1]s, provider: by-%[1]s, secret: \"file:%[2]s\"}\n", way, file)
	}
	return text
}

// replace changes the configuration file.
func (s *site) replace(old, text string) {
	s.t.Helper()
	b, err := os.ReadFile(s.config())
	if err != nil || !strings.Contains(string(b), old) {
		s.t.Fatalf("%v: the file has no %q", err, old)
	}
	s.write("keyrounds.yaml", strings.Replace(string(b), old, text, 1))
}

// post sends what is no report of anybody.
func (d *process) post(path, signature, body string) {
	d.s.t.Helper()
	req, err := http.NewRequest(http.MethodPost, d.url+path, strings.NewReader(body))
	if err != nil {
		d.s.t.Fatal(err)
	}
	req.Header.Set("Gitguardian-Signature", signature)
	req.Header.Set("Timestamp", time.Now().Format(time.RFC3339))
	req.Header.Set("Content-Type", "application/secevent+jwt")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		d.s.t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode/100 != 4 {
		d.s.t.Errorf("%s is %d", path, resp.StatusCode)
	}
}

// push sends records to the daemon as a feed does.
func (d *process) push(token, body string) {
	d.s.t.Helper()
	req, err := http.NewRequest(http.MethodPost, d.url+"/api/v1/usage", strings.NewReader(body))
	if err != nil {
		d.s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		d.s.t.Fatal(err)
	}
	_ = resp.Body.Close()
}

func unescape(s string) string {
	u, err := url.QueryUnescape(s)
	if err != nil {
		return s
	}
	return u
}

// The demo tells its story, however slow the machine is, and ends when it is asked to.
func TestDemo(t *testing.T) {
	lasting.Test(t, "the demo lasts a minute")
	t.Parallel()
	told := []string{
		"Simulated: the provider", "15 credentials are registered", "spreadsheet: pending → healthy (the key works)",
		"ats-sync: pending → healthy", "revokes the credential of ats-sync",
		"ats-sync: healthy → suspect", "message posted in #credential-alerts", "ats-sync (smartrecruiters) is refused",
		"ats-sync: suspect → revoked", "message updated in place", "Acknowledged by ann (slack U01)", "in #security",
		"credentials of smartrecruiters have secrets that cannot be read",
		"reply in the thread of a message: ats-sync (smartrecruiters) was refused for",
		"ats-sync: revoked → healthy", "honeypot (smartrecruiters) is a canary, and was used", "192.0.2.66 by curl/8.5.0", "Digest: ",
		"Digest of people-operations: 1 new finding", "Unused credentials of people-operations, ",
		"got the file unused-credentials-", "REVOKE: offer-letters", "audit-export: kept until ", "undecided, 1 decided.",
		"screening (smartrecruiters) has a secret that got out", "howto/screening.md:3", "only in history",
		"the secret is proven dead", "the provider is up again",
		"hris, smartrecruiters and smartrecruiters-keys refuse 16 of 16 credentials at once; they share a server", "it comes to its senses",
		"hris, smartrecruiters and smartrecruiters-keys refused many credentials at once for",
	}
	summary := []string{
		"Slack messages posted", "credentials are healthy.", "used       approvals, ats-sync,", "unused     audit-export, offer-letters",
		"never used interview-bot, salary-bands", "not known  payroll", "0 by token,", "Proof of death of a secret of screening",
		"Meanwhile        its new secret was accepted", "a token that was issued before is refused by the API", "the secret is proven dead",
	}
	lacks := func(story string, all []string) (missing []string) {
		for _, want := range all {
			if !strings.Contains(story, want) {
				missing = append(missing, want)
			}
		}
		return missing
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "keyrounds", "demo")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = time.Minute
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var story strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		fmt.Fprintln(&story, lines.Text())
		if ctx.Err() == nil && len(lacks(story.String(), told)) == 0 {
			tryWhatItNames(t, story.String())
			cancel()
		}
	}
	if err := cmd.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
	if missing := lacks(story.String(), append(told, summary...)); missing != nil {
		t.Errorf("the story lacks %q:\n%s", missing, story.String())
	}
	if blamed := "payroll (hris) is refused"; strings.Contains(story.String(), blamed) {
		t.Errorf("in the incident somebody is blamed alone: %s\n%s", blamed, story.String())
	}
}

// tryWhatItNames runs each command that the demo names beside it: all of them end well.
func tryWhatItNames(t *testing.T, story string) {
	t.Helper()
	_, rest, _ := strings.Cut(story, "beside it, try   keyrounds --config ")
	list, _, found := strings.Cut(rest, "\n  feed ")
	path, list, _ := strings.Cut(list, " ")
	commands := strings.Split(strings.ReplaceAll(list, "…", ","), ",")
	n := 0
	for _, c := range commands {
		if args := strings.Fields(c); len(args) > 0 {
			n++
			out, err := exec.CommandContext(t.Context(), "keyrounds", append([]string{"--config", path}, args...)...).CombinedOutput()
			if err != nil {
				t.Errorf("keyrounds %s: %v\n%s", strings.Join(args, " "), err, out)
			} else if args[1] == "unregistered" && strings.Contains(string(out), "payroll") {
				t.Errorf("what is registered is not:\n%s", out)
			}
		}
	}
	if !found || n < 8 {
		t.Errorf("%d commands in %q", n, list)
	}
}
