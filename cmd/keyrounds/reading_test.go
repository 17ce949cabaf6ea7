package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/test/lasting"
)

// reading are the commands that have no verb of change, with what they are asked.
var reading = map[string]string{
	"access people list": "", "access sessions list": "", "access tokens list": "--all", "audit log": "",
	"config check": "", "config schema": "", "credentials list": "--all", "credentials show": "c00", "doctor": "",
	"explain": "", "findings list": "--all", "findings precision": "", "findings show": "1", "leaks list": "",
	"leaks status": "", "notifications": "", "report decisions": "", "report list": "", "report schema": "", "report unused": "-o json",
	"sealing status": "", "silence list": "--all", "status": "", "usage formats": "", "usage list": "", "usage show": "c00",
	"usage status": "", "usage try": "@log", "usage unregistered": "", "version": "",
}

// changing are the others: they change something, or nothing of the database but run for long or write files.
var changing = []string{
	"access first-run-token", "access people add", "access people disable", "access people enable", "access people reset",
	"access people role", "access sessions end", "access tokens add", "access tokens revoke", "backup", "check",
	"credentials add", "credentials edit", "credentials import", "credentials restore", "credentials retire",
	"credentials rotate", "demo", "findings ack", "findings false-alarm", "findings snooze", "findings unack",
	"findings unsnooze", "init", "leaks hook pre-commit", "leaks hook pre-push", "leaks hook pre-receive", "leaks import",
	"leaks scan", "leaks verify", "login", "logout", "man", "migrate",
	"notify test", "ready", "report amend", "report decide", "report signoff", "report undecide",
	"report freeze", "restore", "run", "sealing abandon", "sealing rotate",
	"silence add", "silence end", "usage import",
}

// ofTheDaemon are the tables that a daemon writes by itself, however little there is to do.
var ofTheDaemon = []string{
	"replica_writes", "sweeps", "river_", "provider_slots", "provider_pace", "notify_lanes", "checks", "credential_state",
	"provider_state", "provider_quarters", "credentials", "check_intents", "leak_sources", "usage_", "rollups",
}

// Commands that only read change nothing: neither without a daemon, in the whole database, nor beside one, in what the daemon leaves alone.
func TestReadingChangesNothing(t *testing.T) {
	lasting.Test(t, "it starts keyrounds as a process, many times")
	t.Parallel()
	s := newSite(t, 2)
	url := pgtest.EmptyURL(t)
	s.configure("database: {url: \"file:"+s.write("database", url)+"\"}", "", 2)
	log := s.write("access.log", `{"time": "2026-11-01T10:00:00Z", "client_id": "id-00"}`)
	for _, args := range []string{
		"migrate", "check", "silence add --credential c00 --for 1h --why x", "access tokens add t", "access people add ann",
	} {
		if out, code := s.command(strings.Fields(args)...); code != 0 {
			t.Fatalf("%s: %d\n%s", args, code, out)
		}
	}
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	readAll := func(where string, leave ...string) {
		t.Helper()
		before := contents(t, pool)
		for _, name := range slices.Sorted(maps.Keys(reading)) {
			args := append(strings.Fields(name), strings.Fields(strings.NewReplacer("@log", log).Replace(reading[name]))...)
			out, code := s.command(args...)
			if strings.Contains(out, "panic:") || code == 2 && !strings.Contains(out, "there is no finding") && name != "explain" {
				t.Errorf("%s, %s: %d\n%s", where, name, code, out)
			}
			after := contents(t, pool)
			for table := range after {
				left := slices.ContainsFunc(leave, func(l string) bool { return strings.HasPrefix(table, l) })
				if !left && before[table] != after[table] {
					t.Errorf("%s, keyrounds %s changes %s", where, name, table)
				}
			}
			before = after
		}
	}
	readAll("without a daemon")
	s.run()
	s.await("it is at work", func() bool {
		return s.count(pool, `SELECT count(*) FROM river_leader`) == 1
	})
	time.Sleep(2 * time.Second) // its first ticks
	readAll("beside a daemon", ofTheDaemon...)
}

// contents is a hash of each table.
func contents(t *testing.T, pool *pgxpool.Pool) map[string]string {
	t.Helper()
	rows, err := pool.Query(t.Context(), `SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace`)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	all := map[string]string{}
	for _, name := range names {
		var hash string
		err := pool.QueryRow(t.Context(), fmt.Sprintf(
			`SELECT count(*) || ' ' || coalesce(md5(string_agg(md5(t::text), '' ORDER BY md5(t::text))), '') FROM %q t`, name)).Scan(&hash)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = hash
	}
	return all
}

// Every command is one that reads, or one that changes something: a new one says which.
func TestEveryCommandReadsOrChanges(t *testing.T) {
	t.Parallel()
	var walk func(c *cobra.Command, path string)
	walk = func(c *cobra.Command, path string) {
		for _, sub := range c.Commands() {
			name := strings.TrimSpace(path + " " + sub.Name())
			if sub.Hidden || sub.Name() == "completion" || sub.Name() == "help" {
				continue
			}
			_, reads := reading[name]
			if sub.RunE != nil && !sub.HasSubCommands() && !reads && !slices.Contains(changing, name) {
				t.Errorf("keyrounds %s: does it read or change?", name)
			}
			walk(sub, name)
		}
	}
	walk(newRoot(), "")
}
