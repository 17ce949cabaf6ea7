package main

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/keyrounds/keyrounds/postgres"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/sim"
	"github.com/keyrounds/keyrounds/sim/authserver"
	"github.com/keyrounds/keyrounds/test/lasting"
)

// site is a machine on which a daemon runs: a directory with its configuration, a provider, Slack.
type site struct {
	args  []string // of keyrounds run, beside the usual ones
	t     *testing.T
	dir   string
	idp   *sim.Provider
	slack *sim.Slack
	// What the daemon reaches the provider through; may hold answers back.
	front *front
	env   []string
}

// front passes requests on to the provider, and holds them back while it is closed.
type front struct {
	next http.Handler
	mu   sync.Mutex
	cond *sync.Cond
	shut bool
	held int
}

func newFront(next http.Handler) *front {
	f := &front{next: next}
	f.cond = sync.NewCond(&f.mu)
	return f
}

func (f *front) set(shut bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.shut = shut
	f.cond.Broadcast()
}

func (f *front) waiting() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.held
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.held++
	for f.shut {
		f.cond.Wait()
	}
	f.held--
	f.mu.Unlock()
	f.next.ServeHTTP(w, r)
}

const (
	slackToken = "xoxb-c4n4ry-slack-t0ken"
	appToken   = "xapp-c4n4ry-app-t0ken"
)

// newSite makes a site with n clients of the provider, named c00 and so on.
func newSite(t *testing.T, n int) *site {
	t.Helper()
	lasting.Test(t, "it runs the daemon as a process")
	var clients []sim.Client
	for i := range n {
		clients = append(
			clients,
			sim.Client{ID: fmt.Sprintf("id-%02d", i), Name: fmt.Sprintf("c%02d", i), Secret: goodSecret, Scopes: []string{"company_read"}},
		)
	}
	s := &site{t: t, dir: pgtest.Dir(t), idp: sim.NewProvider(clients...), slack: &sim.Slack{Token: slackToken, AppToken: appToken}}
	s.front = newFront(s.idp)
	s.write("secret", goodSecret)
	s.write("slack-token", slackToken)
	s.write("app-token", appToken)
	s.configure("", "", n)
	return s
}

func (s *site) write(name, text string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

func (s *site) serve(h http.Handler) string {
	server := httptest.NewServer(h)
	s.t.Cleanup(func() {
		s.front.set(false)
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL
}

// configure writes the configuration: n credentials that are due once and then not before next
// year, and what top and credentials add.
func (s *site) configure(top, credentials string, n int) {
	s.t.Helper()
	idp := s.serve(s.front)
	var b strings.Builder
	fmt.Fprintf(&b, `data_dir: %[1]s/data
listen: 127.0.0.1:0
providers:
  idp:
    token_url: %[2]s/identity/oauth/token
    allow_private_networks: true
    rate: 1000/s
    probes: [{scope: company_read, get: "%[2]s/configuration/company/my"}]
  keyed: {token_url: "%[2]s/identity/oauth/token", allow_private_networks: true, auth_method: private_key_jwt}
verdict: {confirm: [1s, 2s], refusals_per_hour: 0}
slack: {token: "file:%[1]s/slack-token", app_token: "file:%[1]s/app-token", allow: ["*"], channel: "#alerts", api_url: "%[3]s/"}
notifications: {group_wait: 0s}
defaults: {schedule: "0 0 1 1 *"}
%[4]s
credentials:
`, s.dir, idp, s.serve(s.slack), top)
	for i := range n {
		fmt.Fprintf(
			&b,
			"  - {name: c%02d, provider: idp, client_id: id-%02d, secret: \"file:%s/secret\", scopes: [company_read]}\n",
			i,
			i,
			s.dir,
		)
	}
	if n == 0 && credentials == "" {
		b.WriteString("  []\n")
	}
	s.write("keyrounds.yaml", b.String()+credentials)
}

func (s *site) config() string { return filepath.Join(s.dir, "keyrounds.yaml") }

// command runs keyrounds to its end.
func (s *site) command(args ...string) (output string, code int) {
	s.t.Helper()
	cmd := exec.Command("keyrounds", append([]string{"-c", s.config()}, args...)...)
	cmd.Env = append(os.Environ(), s.env...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// process is a daemon that runs.
type process struct {
	s      *site
	cmd    *exec.Cmd
	url    string
	log    *syncBuffer
	exited chan struct{}
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// run starts a daemon and waits until it listens.
func (s *site) run() *process {
	s.t.Helper()
	d := &process{s: s, log: &syncBuffer{}, exited: make(chan struct{})}
	d.cmd = exec.Command("keyrounds", append([]string{"run", "-c", s.config(), "--log-level", "debug"}, s.args...)...)
	d.cmd.Env = append(os.Environ(), s.env...)
	d.cmd.Stderr = d.log
	if err := d.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() {
		_ = d.cmd.Wait()
		close(d.exited)
	}()
	s.t.Cleanup(func() {
		_ = d.cmd.Process.Kill()
		<-d.exited
		if log := d.log.String(); strings.Contains(log, "DATA RACE") || strings.Contains(log, "panic:") {
			s.t.Errorf("the daemon's log:\n%s", log)
		}
	})
	s.await("it listens", func() bool {
		for line := range strings.Lines(d.log.String()) {
			var entry struct{ Msg, Listen string }
			if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "keyrounds is up" {
				d.url = "http://" + entry.Listen
			}
		}
		select {
		case <-d.exited:
			s.t.Fatalf("it ended:\n%s", d.log)
		default:
		}
		return d.url != ""
	})
	return d
}

func (s *site) await(what string, cond func() bool) { s.awaitFor(time.Minute, what, cond) }

func (s *site) awaitFor(most time.Duration, what string, cond func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(most); !cond(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("after %s still not: %s", most, what)
		}
	}
}

func (d *process) get(path string) (status int, body string) { return fetch(d.url + path) }

func fetch(url string) (status int, body string) {
	resp, err := http.Get(url)
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b)
}

func (d *process) awaitReady(status int) {
	d.s.t.Helper()
	d.s.await(fmt.Sprintf("/readyz is %d", status), func() bool {
		got, _ := d.get("/readyz")
		return got == status
	})
}

// stop sends SIGTERM and returns the exit code; it takes 15 s at most.
func (d *process) stop() int {
	d.s.t.Helper()
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.exited:
	case <-time.After(15 * time.Second):
		d.s.t.Fatalf("it has not stopped in 15 s:\n%s", d.log)
	}
	return d.cmd.ProcessState.ExitCode()
}

// database opens the private Postgres of the daemon that runs.
func (s *site) database() *pgxpool.Pool {
	s.t.Helper()
	p, err := postgres.StartPrivate(
		s.t.Context(),
		postgres.PrivateOptions{DataDir: filepath.Join(s.dir, "data"), Log: slog.New(slog.DiscardHandler)},
	)
	if err != nil {
		s.t.Fatal(err)
	}
	pool, err := postgres.Open(s.t.Context(), p.URL())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(pool.Close)
	return pool
}

func (s *site) count(pool *pgxpool.Pool, sql string) (n int) {
	s.t.Helper()
	if err := pool.QueryRow(s.t.Context(), sql).Scan(&n); err != nil {
		return -1 // away; the caller polls
	}
	return n
}

// The daemon is killed in the middle of a round, and its Postgres with it. After a restart every due credential is
// checked within three minutes, and no result is there twice. Then its Postgres alone is killed, and the daemon
// goes on (docs/promises.md#a-kill-loses-and-doubles-nothing).
func TestKilledInTheMiddleOfARound(t *testing.T) {
	t.Parallel()
	s := newSite(t, 12)
	s.args = []string{"--job-timeout", "6s", "--rescue-after", "8s"}
	s.front.set(true)
	d := s.run()
	s.await("exchanges under way", func() bool { return s.front.waiting() >= 4 })
	if err := d.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-d.exited
	s.front.set(false)

	d = s.run()
	d.awaitReady(http.StatusOK)
	pool := s.database()
	s.awaitFor(
		3*time.Minute,
		"all 12 are checked",
		func() bool { return s.count(pool, `SELECT count(DISTINCT credential_id) FROM checks`) == 12 },
	)
	if n := s.count(pool, `SELECT count(*) FROM checks`); n != 12 {
		t.Errorf("%d results of 12 due credentials", n)
	}

	pid, err := os.ReadFile(filepath.Join(s.dir, "data", "postgres", "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	var postmaster int
	if _, err := fmt.Sscan(string(pid), &postmaster); err != nil {
		t.Fatal(err)
	}
	s.front.set(true)
	if _, err := pool.Exec(t.Context(), `UPDATE credentials SET next_check_at = now()`); err != nil {
		t.Fatal(err)
	}
	s.await("exchanges under way", func() bool { return s.front.waiting() >= 4 })
	if err := syscall.Kill(postmaster, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.front.set(false)
	s.awaitFor(3*time.Minute, "all 12 are checked again", func() bool {
		return s.count(pool, `SELECT count(*) FROM (SELECT credential_id FROM checks GROUP BY 1 HAVING count(*) = 2) AS twice`) == 12
	})
	if n := s.count(pool, `SELECT count(*) FROM checks`); n != 24 {
		t.Errorf("%d results of 24 checks", n)
	}
	d.awaitReady(http.StatusOK)
	if code := d.stop(); code != 0 {
		t.Errorf("exit code %d:\n%s", code, d.log)
	}
}

// The daemon is killed at random moments of its work, while one of its credentials is revoked. Every result has an
// exchange of its own, the revocation is one finding, and it is told
// (docs/promises.md#a-kill-loses-and-doubles-nothing).
func TestKilledAtRandom(t *testing.T) {
	t.Parallel()
	s := newSite(t, 8)
	s.args = []string{"--job-timeout", "6s", "--rescue-after", "8s"}
	text, err := os.ReadFile(s.config())
	if err != nil {
		t.Fatal(err)
	}
	s.write("keyrounds.yaml", strings.Replace(string(text), "0 0 1 1 *", "@every 1s", 1))
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for i := range 6 {
		d := s.run()
		before := len(s.idp.Journal())
		s.await("it checks", func() bool { return len(s.idp.Journal()) > before })
		if i == 0 {
			s.await("all are healthy", func() bool {
				_, page := d.get("/")
				return strings.Contains(page, "All 8 credentials work;")
			})
			s.idp.Revoke("id-03")
		}
		time.Sleep(time.Duration(random.IntN(200)) * time.Millisecond) // the moment of the kill
		if err := d.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-d.exited
	}
	d := s.run()
	d.awaitReady(http.StatusOK)
	pool := s.database()
	s.awaitFor(3*time.Minute, "Slack is told", func() bool { return len(s.slack.Messages()) > 0 })
	s.await("the others are healthy", func() bool {
		return s.count(pool, `SELECT count(*) FROM credential_state WHERE status = 'healthy'`) == 7
	})
	if n := s.count(pool, `SELECT count(*) FROM findings`); n != 1 {
		t.Errorf("%d findings, want the revoked one", n)
	}
	for i := range 8 {
		results := s.count(
			pool,
			fmt.Sprintf(`SELECT count(*) FROM checks JOIN credentials c ON c.id = credential_id WHERE name = 'c%02d'`, i),
		)
		if n := s.idp.Exchanges(fmt.Sprintf("id-%02d", i)); results < 1 || results > n {
			t.Errorf("c%02d has %d results of %d exchanges", i, results, n)
		}
	}
	if code := d.stop(); code != 0 {
		t.Errorf("exit code %d:\n%s", code, d.log)
	}
}

// SIGTERM ends the daemon in time while a provider hangs
// (docs/promises.md#a-stop-ends-in-time-though-a-provider-hangs).
func TestStopWhileTheProviderHangs(t *testing.T) {
	t.Parallel()
	s := newSite(t, 6)
	s.idp.Break(sim.Hang)
	d := s.run()
	s.await("exchanges under way", func() bool { return len(s.idp.Journal()) >= 4 })
	if code := d.stop(); code != 0 {
		t.Errorf("exit code %d:\n%s", code, d.log)
	}
}

func TestTwoDaemonsOnOneDataDir(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	d := s.run()
	out, code := s.command("run")
	if code != 2 || !strings.Contains(out, "is in use by another keyrounds daemon") || !strings.Contains(out, "hint: ") {
		t.Errorf("exit code %d: %s", code, out)
	}
	// A command shares the daemon's Postgres.
	if out, code := s.command("check"); code != 0 || !strings.Contains(out, "healthy") {
		t.Errorf("exit code %d: %s", code, out)
	}
	if status, _ := d.get("/healthz"); status != http.StatusOK {
		t.Errorf("/healthz is %d", status)
	}
}

// A broken file changes nothing and says where; a good one takes effect, and what left it is retired
// (docs/promises.md#a-broken-configuration-file-changes-nothing).
func TestReload(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3)
	d := s.run()
	d.awaitReady(http.StatusOK)
	good, err := os.ReadFile(s.config())
	if err != nil {
		t.Fatal(err)
	}
	reload := func(text string) {
		s.write("keyrounds.yaml", text)
		_ = d.cmd.Process.Signal(syscall.SIGHUP)
	}
	last := func(line string) func() bool {
		return func() bool {
			_, metrics := d.get("/metrics")
			return strings.Contains(metrics, "\n"+line+"\n")
		}
	}
	broken, err := filepath.Glob("../../config/testdata/bad/*.yaml")
	if err != nil || len(broken) < 30 {
		t.Fatalf("%d broken files, error %v", len(broken), err)
	}
	for _, file := range broken {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		before := strings.Count(d.log.String(), "the old one stays")
		reload(string(text))
		s.await(filepath.Base(file)+" is refused", func() bool { return strings.Count(d.log.String(), "the old one stays") > before })
		if status, _ := d.get("/readyz"); status != http.StatusOK {
			t.Errorf("%s: /readyz is %d", filepath.Base(file), status)
		}
	}
	s.await("the metric says so", last("keyrounds_config_last_reload_successful 0"))
	if log := d.log.String(); !strings.Contains(log, `"line":4,"column":5,`) {
		t.Errorf("the log does not say where:\n%s", log)
	}
	if _, list := d.get("/api/v1/credentials"); strings.Count(list, `"provider":"idp"`) != 3 {
		t.Errorf("the credentials changed: %s", list)
	}
	reload(strings.Replace(string(good), "  - {name: c01", "  # - {name: c01", 1))
	s.await("the good file takes effect", last("keyrounds_config_last_reload_successful 1"))
	list, _ := s.command("credentials", "list", "--all")
	if !strings.Contains(list, "retired") || strings.Contains(d.log.String(), "c4n4ry") {
		t.Errorf("after the reload: %s", list)
	}
	if out, _ := s.command("findings", "list"); !strings.Contains(out, "no findings") {
		t.Errorf("a retired credential is a finding: %s", out)
	}
}

// What a company does first: two credentials in the environment, a real authorization server over
// TLS, Slack. One is revoked there, and Slack says which.
func TestTwoCredentialsAtARealAuthorizationServer(t *testing.T) {
	t.Parallel()
	s := newSite(t, 0)
	idp := authserver.New(t,
		authserver.Client{ID: "alpha", Secret: goodSecret, Method: "client_secret_basic", Scopes: []string{"read"}},
		authserver.Client{ID: "beta", Secret: otherSecret, Method: "client_secret_basic", Scopes: []string{"read"}})
	server := httptest.NewTLSServer(idp)
	t.Cleanup(server.Close)
	ca := s.write("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	s.write("keyrounds.yaml", fmt.Sprintf(`
data_dir: %[1]s/data
listen: 127.0.0.1:0
providers:
  company:
    token_url: %[2]s/token
    auth_method: client_secret_basic
    request_scopes: true
    allow_private_networks: true
    tls: {ca_file: %[3]s}
defaults: {schedule: "@every 1s"}
verdict: {confirm: [1s, 2s], refusals_per_hour: 0}
slack: {token: "file:%[1]s/slack-token", channel: "#alerts", api_url: "%[4]s/"}
credentials:
  - {name: alpha, provider: company, client_id: alpha, secret: "env:ALPHA", scopes: [read]}
  - {name: beta, provider: company, client_id: beta, secret: "env:BETA", scopes: [read]}
`, s.dir, server.URL, ca, s.serve(s.slack)))
	s.env = []string{"ALPHA=" + goodSecret, "BETA=" + otherSecret}
	d := s.run()
	healthy := `keyrounds_credential_status{credential="%s",provider="company",status="healthy"} 1`
	for _, name := range []string{"alpha", "beta"} {
		s.await(name+" is healthy", func() bool {
			_, metrics := d.get("/metrics")
			return strings.Contains(metrics, fmt.Sprintf(healthy, name))
		})
	}
	idp.Revoke("beta")
	s.await("Slack says so", func() bool { return len(s.slack.Messages()) > 0 })
	if text := s.slack.Messages()[0].Text; !strings.Contains(text, "beta (company) is refused") {
		t.Errorf("Slack says %q", text)
	}
	out, code := s.command("check", "-o", "json")
	if code != 1 || !strings.Contains(out, `"outcome": "rejected"`) || !strings.Contains(out, `"outcome": "ok"`) ||
		strings.Contains(out, "c4n4ry") {
		t.Errorf("exit code %d: %s", code, out)
	}
	for _, name := range []string{
		"keyrounds_checks_total{", "keyrounds_check_duration_seconds_bucket{",
		"keyrounds_credential_last_success_timestamp_seconds{", "keyrounds_findings{", "keyrounds_round_lag_seconds ",
		"keyrounds_jobs{", "keyrounds_notifications_total{", "keyrounds_build_info{",
	} {
		if _, metrics := d.get("/metrics"); !strings.Contains(metrics, "\n"+name) {
			t.Errorf("/metrics lacks %s", name)
		}
	}
}

// Without its database the daemon lives, says that it is not ready, and goes on when it is back
// (docs/promises.md#the-daemon-lives-without-its-database).
func TestTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3)
	bridge, url := pgtest.Through(t, pgtest.EmptyURL(t))
	s.env = []string{"DATABASE_URL=" + url}
	s.configure("database: {url: env:DATABASE_URL}", "", 3)
	bridge.Cut()
	d := s.run()
	d.awaitReady(http.StatusServiceUnavailable)
	if status, _ := d.get("/healthz"); status != http.StatusOK {
		t.Errorf("/healthz is %d", status)
	}
	bridge.Heal()
	d.awaitReady(http.StatusOK)
	s.await("the checks", func() bool { return len(s.idp.Tokens()) == 3 })
	for _, fail := range []func(){bridge.Cut, bridge.Blackhole} {
		fail()
		d.awaitReady(http.StatusServiceUnavailable)
		bridge.Heal()
		d.awaitReady(http.StatusOK)
	}
	if strings.Contains(d.log.String(), "user=") || strings.Contains(d.log.String(), url) {
		t.Errorf("the log shows the database's address:\n%s", d.log)
	}
	if code := d.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
