package app_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/app"
	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/sim"
	"github.com/keyrounds/keyrounds/test/lasting"
)

// A database that answers and takes nothing is not "ready": a full disk is seen, people are told without the database, once, and told
// again when it is over, also by another process (docs/promises.md#ready-means-that-something-was-stored-lately).
func TestAFullDiskIsNotReady(t *testing.T) {
	lasting.Test(t, "it fills a disk and waits for Postgres")
	t.Parallel()
	disk := pgtest.Dir(t)
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=160m,mode=711"); err != nil {
		t.Skipf("no disk of its own can be had here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) })
	idp := httptest.NewServer(sim.NewProvider(sim.Client{ID: "a", Secret: "s3cretvalue"}))
	t.Cleanup(idp.Close)
	talk := &sim.Slack{Token: "c4n4ry-slack"}
	slack := httptest.NewServer(talk)
	t.Cleanup(slack.Close)
	elsewhere := t.TempDir()
	for name, text := range map[string]string{"slack": talk.Token, "secret": "s3cretvalue"} {
		if err := os.WriteFile(filepath.Join(elsewhere, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := config.Parse("keyrounds.yaml", fmt.Appendf(nil, `
data_dir: %[1]s/d
listen: 127.0.0.1:0
providers: {idp: {token_url: "%[2]s/identity/oauth/token", allow_private_networks: true}}
defaults: {schedule: "@every 2s"}
credentials: [{name: a, provider: idp, client_id: a, secret: "file:%[3]s/secret"}]
slack: {token: "file:%[3]s/slack", channel: "#x", api_url: "%[4]s/"}
`, disk, idp.URL, elsewhere, slack.URL))
	if err != nil {
		t.Fatal(err)
	}
	var ahead atomic.Int64 // of the clock
	var log buffer
	start := func() *app.App {
		t.Helper()
		a, err := app.Open(t.Context(), app.Options{
			Config: c, Version: "test", Log: slog.New(slog.NewJSONHandler(&log, nil)), Daemon: true, Tick: 200 * time.Millisecond,
			Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) },
		})
		if err == nil {
			err = a.Start(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(a.Stop)
		return a
	}
	get := func(a *app.App, path string) (int, string) {
		t.Helper()
		resp, err := http.Get("http://" + a.Addr() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(text)
	}
	await := func(what string, cond func() bool) {
		t.Helper()
		for deadline := time.Now().Add(2 * time.Minute); !cond(); time.Sleep(100 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("after two minutes still not: %s\n%s", what, log.String())
			}
		}
	}
	told := func(word string) (n int) {
		for _, m := range talk.Messages() {
			if strings.Contains(m.Text, word) && strings.Contains(m.Text, "store anything") {
				n++
			}
		}
		return n
	}
	ready := func(a *app.App) func() bool {
		return func() bool { status, _ := get(a, "/readyz"); return status == http.StatusOK }
	}

	a := start()
	await("ready", ready(a))
	full := filepath.Join(disk, "full")
	fill(t, full)
	await("not ready", func() bool {
		fill(t, full)
		return !ready(a)()
	})
	await("it says so, and why", func() bool {
		status, text := get(a, "/readyz")
		_, metrics := get(a, "/metrics")
		return status == http.StatusServiceUnavailable && strings.Contains(text, "nothing can be stored since") &&
			strings.Contains(metrics, "keyrounds_database_up 0")
	})
	if told("cannot") > 0 {
		t.Error("people were told at once: it may pass")
	}
	ahead.Add(int64(3 * time.Minute))
	await("people are told", func() bool { return told("cannot") == 1 })
	a.Stop()

	// A new process cannot store either, and does not tell it a second time.
	if err := os.Truncate(full, 0); err != nil {
		t.Fatal(err)
	}
	b := start()
	await("ready again", ready(b))
	await("they are told that it is over", func() bool { return told("could not") == 1 && told("cannot") == 0 })
	if _, metrics := get(b, "/metrics"); !strings.Contains(metrics, "keyrounds_database_up 1") {
		t.Error("keyrounds_database_up is not 1")
	}
	if text, err := os.ReadFile(filepath.Join(disk, "d", "storage-failing.json")); err != nil || strings.TrimSpace(string(text)) != "" {
		t.Errorf("who was told is kept after it is over: %s, %v", strings.TrimSpace(string(text)), err)
	}
	if strings.Contains(log.String(), "c4n4ry") {
		t.Error("a secret is in the log")
	}
}

// While another replica migrates there are no tables to store anything in: that is no failure to store.
func TestAMigrationElsewhereIsNoFailureToStore(t *testing.T) {
	t.Parallel()
	url := pgtest.EmptyURL(t)
	other, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close(t.Context())
	const migrationLock = 7306086981207326 // postgres.Migrate's
	if _, err := other.Exec(t.Context(), `SELECT pg_advisory_lock($1)`, int64(migrationLock)); err != nil {
		t.Fatal(err)
	}
	c, err := config.Parse("keyrounds.yaml", fmt.Appendf(nil, `
data_dir: %s
database: {url: %q}
listen: 127.0.0.1:0
providers: {idp: {token_url: "http://127.0.0.1:1/token", allow_private_networks: true}}
`, t.TempDir(), url))
	if err != nil {
		t.Fatal(err)
	}
	var ahead atomic.Int64
	var log buffer
	a, err := app.Open(t.Context(), app.Options{
		Config: c, Version: "test", Log: slog.New(slog.NewJSONHandler(&log, nil)), Daemon: true, Tick: 200 * time.Millisecond,
		Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) },
	})
	if err == nil {
		err = a.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Stop)
	says := func() (int, string) {
		resp, err := http.Get("http://" + a.Addr() + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(text)
	}
	ahead.Add(int64(3 * time.Minute))
	for range 15 { // some of its small writes
		if status, text := says(); status == http.StatusOK || strings.Contains(text, "stored") {
			t.Fatalf("while another one migrates: %d %s", status, text)
		}
		time.Sleep(time.Second)
	}
	if strings.Contains(log.String(), "nothing can be stored") {
		t.Error("people were told")
	}
	if err := other.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		status, text := says()
		if status == http.StatusOK {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after the migration: %d %s", status, text)
		}
	}
}

// fill writes to a file until the disk is full.
func fill(t *testing.T, name string) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 64<<10)
	for err == nil {
		if _, err = f.Write(block); err != nil && len(block) > 512 {
			block, err = block[:len(block)/2], nil
		}
	}
}
