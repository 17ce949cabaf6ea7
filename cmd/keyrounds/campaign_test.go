package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/keyrounds/keyrounds/postgres"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
)

// campaign is two daemons on a Postgres server, of which one thing after another is broken.
type campaign struct {
	*site
	server  *postgres.Private
	data    string // of the server
	disk    string // its own; "": there is none
	daemons [2]*process
	owner   *pgxpool.Pool
	kills   int // of daemons, and of servers under them: each may lose what was under way
}

const campaignConcurrency = 4

func newCampaign(t *testing.T) *campaign {
	c := &campaign{site: newSite(t, 10)}
	c.disk = pgtest.Dir(t)
	if err := syscall.Mount("tmpfs", c.disk, "tmpfs", 0, "size=200m,mode=711"); err != nil {
		t.Logf("no disk of its own can be had here, so none is filled: %v", err)
		c.disk = ""
	} else {
		t.Cleanup(func() { _ = syscall.Unmount(c.disk, syscall.MNT_DETACH) })
	}
	dir := c.disk
	if dir == "" {
		dir = pgtest.Dir(t)
	}
	c.data = filepath.Join(dir, "d")
	var err error
	c.server, err = postgres.StartPrivate(t.Context(), postgres.PrivateOptions{
		DataDir: c.data, Daemon: true, Log: slog.New(slog.DiscardHandler),
		Settings: map[string]string{"fsync": "off", "max_connections": "60", "superuser_reserved_connections": "3"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.server.Stop)
	if c.owner, err = postgres.Open(t.Context(), c.server.AdminURL()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.owner.Close)
	c.env = []string{"DATABASE_URL=" + c.server.URL(), "DATABASE_ADMIN_URL=" + c.server.AdminURL()}
	c.configure("database: {url: env:DATABASE_URL, admin_url: env:DATABASE_ADMIN_URL}", "", 10)
	text, err := os.ReadFile(c.config())
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(text), "0 0 1 1 *", "@every 1s", 1)
	changed = strings.Replace(
		changed,
		"rate: 1000/s",
		fmt.Sprintf("rate: 1000/s\n    min_interval: 1s\n    concurrency: %d", campaignConcurrency),
		1,
	)
	c.write("keyrounds.yaml", changed)
	quick := c.front.next
	c.front.next = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // so that something is always under way
		time.Sleep(100*time.Millisecond + rand.N(200*time.Millisecond))
		quick.ServeHTTP(w, r)
	})
	if os.Getenv("KEYROUNDS_LONG") == "" { // leases of 3.5 s in place of 35
		c.args = []string{"--job-timeout", "6s", "--rescue-after", "8s"}
	}
	for i := range c.daemons {
		c.daemons[i] = c.run()
	}
	c.daemons[0].awaitReady(http.StatusOK)
	c.daemons[1].awaitReady(http.StatusOK)
	return c
}

// fault breaks something for a while, and mends it.
type fault struct {
	name string
	do   func(c *campaign, random *rand.Rand)
}

var faults = []fault{
	{"one daemon is killed", func(c *campaign, r *rand.Rand) { c.kill(r.IntN(2)) }},
	{"both daemons are killed", func(c *campaign, _ *rand.Rand) { c.kill(0); c.kill(1) }},
	{"one daemon is stopped and goes on", func(c *campaign, r *rand.Rand) {
		d := c.daemons[r.IntN(2)]
		c.signal(d.cmd.Process.Pid, syscall.SIGSTOP)
		c.pause(r, 8*time.Second)
		c.signal(d.cmd.Process.Pid, syscall.SIGCONT)
	}},
	{"the server is killed", func(c *campaign, _ *rand.Rand) { c.kills++; c.signal(c.postmaster(), syscall.SIGKILL) }},
	{"the server is stopped in good order", func(c *campaign, _ *rand.Rand) { c.kills++; c.signal(c.postmaster(), syscall.SIGINT) }},
	{"a backend is killed", func(c *campaign, _ *rand.Rand) {
		c.kills++
		if pid := c.count(c.owner, `SELECT pid FROM pg_stat_activity WHERE usename = 'keyrounds_app' ORDER BY random() LIMIT 1`); pid > 0 {
			c.signal(pid, syscall.SIGKILL)
		}
	}},
	{"the server is paused", func(c *campaign, r *rand.Rand) {
		pids := c.servers()
		for _, pid := range pids {
			c.signal(pid, syscall.SIGSTOP)
		}
		c.pause(r, 8*time.Second)
		for _, pid := range pids {
			c.signal(pid, syscall.SIGCONT)
		}
	}},
	{"the server can be read only", func(c *campaign, r *rand.Rand) {
		c.admin(`ALTER SYSTEM SET default_transaction_read_only = on`)
		c.admin(`SELECT pg_reload_conf()`)
		c.pause(r, 8*time.Second)
		c.admin(`ALTER SYSTEM RESET default_transaction_read_only`)
		c.admin(`SELECT pg_reload_conf()`)
	}},
	{"the server has no connection left", func(c *campaign, r *rand.Rand) {
		var held []*pgx.Conn
		c.admin(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'keyrounds_app'`)
		for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
			conn, err := pgx.Connect(c.t.Context(), c.server.URL())
			if err != nil {
				break
			}
			held = append(held, conn)
		}
		c.pause(r, 8*time.Second)
		for _, conn := range held {
			_ = conn.Close(c.t.Context())
		}
	}},
	{"the disk is full", func(c *campaign, r *rand.Rand) {
		if c.disk == "" {
			return
		}
		c.kills++ // the server may give up
		full := filepath.Join(c.disk, "full")
		f, err := os.OpenFile(full, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			c.t.Fatal(err)
		}
		for block := make([]byte, 64<<10); err == nil; {
			_, err = f.Write(block)
		}
		c.pause(r, 8*time.Second)
		if err := os.Remove(full); err != nil {
			c.t.Fatal(err)
		}
		_ = f.Close()
	}},
}

// pause is the time for which something is broken.
func (c *campaign) pause(r *rand.Rand, most time.Duration) {
	time.Sleep(most/2 + time.Duration(r.Int64N(int64(most/2))))
}

func (c *campaign) signal(pid int, sig syscall.Signal) {
	c.t.Helper()
	if err := syscall.Kill(pid, sig); err != nil {
		c.t.Errorf("signal %s to %d: %v", sig, pid, err)
	}
}

func (c *campaign) kill(i int) {
	c.t.Helper()
	c.kills++
	if err := c.daemons[i].cmd.Process.Kill(); err != nil {
		c.t.Fatal(err)
	}
	<-c.daemons[i].exited
	c.daemons[i] = c.run()
}

// admin runs a statement as the owner, as soon as that is possible, also where nothing can be written.
func (c *campaign) admin(sql string) {
	c.t.Helper()
	c.await(sql, func() bool {
		conn, err := pgx.Connect(c.t.Context(), c.server.AdminURL())
		if err != nil {
			return false
		}
		defer conn.Close(c.t.Context())
		_, err = conn.Exec(c.t.Context(), sql)
		return err == nil
	})
}

func (c *campaign) postmaster() int {
	c.t.Helper()
	text, err := os.ReadFile(filepath.Join(c.data, "postgres", "data", "postmaster.pid"))
	if err != nil {
		c.t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Sscan(string(text), &pid); err != nil {
		c.t.Fatal(err)
	}
	return pid
}

// servers are the postmaster and its children.
func (c *campaign) servers() []int {
	c.t.Helper()
	pids := []int{c.postmaster()}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", pids[0]))
	if err != nil {
		c.t.Fatal(err)
	}
	for _, text := range strings.Fields(string(children)) {
		var pid int
		if _, err := fmt.Sscan(text, &pid); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// back waits until every credential has a result that is newer than the end of the fault, and returns how long that took.
func (c *campaign) back(what string) time.Duration {
	c.t.Helper()
	began := time.Now()
	c.awaitFor(2*time.Minute, "all are checked again after: "+what, func() bool {
		return c.count(c.owner, fmt.Sprintf(`
			SELECT count(*) FROM credential_state WHERE last_check_at > '%s'`, began.UTC().Format(time.RFC3339Nano))) == 10
	})
	return time.Since(began)
}

// account holds the results against what the provider has seen: no result is there twice, none without an exchange, and what is
// lacking was under way when something was killed.
func (c *campaign) account() {
	c.t.Helper()
	issued := map[string]bool{}
	for _, token := range c.idp.Tokens() {
		sum := sha256.Sum256([]byte(token))
		issued[hex.EncodeToString(sum[:])] = true
	}
	rows, err := c.owner.Query(c.t.Context(), `SELECT encode(token_hash, 'hex') FROM checks WHERE token_hash IS NOT NULL`)
	if err != nil {
		c.t.Fatal(err)
	}
	stored, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		c.t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, sum := range stored {
		if seen[sum] {
			c.t.Errorf("a result is stored twice: token %.8s", sum)
		}
		if !issued[sum] {
			c.t.Errorf("a result without an exchange: token %.8s", sum)
		}
		seen[sum] = true
	}
	lost := len(issued) - len(seen)
	if most := campaignConcurrency*c.kills*2 + campaignConcurrency; lost > most {
		c.t.Errorf("%d exchanges have no result, which is more than were under way at %d kills", lost, c.kills)
	}
	if n := c.count(c.owner, `SELECT count(*) FROM findings WHERE kind <> 'unverifiable'`); n != 0 {
		c.t.Errorf("%d findings about credentials that worked all the time", n)
	}
	c.t.Logf("%d exchanges, %d results, %d lost at %d kills", len(issued), len(seen), lost, c.kills)
}

// Whatever is killed, stopped, paused, filled or starved, in whatever order: each exchange is accounted for, nothing is stored twice,
// nobody is blamed, and all are checked again soon after (docs/promises.md#a-kill-loses-and-doubles-nothing).
func TestCampaign(t *testing.T) {
	t.Parallel()
	c := newCampaign(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	c.back("the start")
	rounds := 1
	if os.Getenv("KEYROUNDS_LONG") != "" {
		rounds = 4
	}
	slowest := map[string]time.Duration{}
	for range rounds {
		for _, i := range random.Perm(len(faults)) {
			f := faults[i]
			time.Sleep(rand.N(time.Second)) // the moment of the fault
			f.do(c, random)
			slowest[f.name] = max(slowest[f.name], c.back(f.name))
		}
	}
	for _, f := range faults {
		t.Logf("| %s | %.1f s |", f.name, slowest[f.name].Seconds())
	}
	for _, d := range c.daemons {
		if code := d.stop(); code != 0 {
			t.Errorf("exit code %d:\n%s", code, d.log)
		}
	}
	c.account()
}
