package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/backup"
	"github.com/keyrounds/keyrounds/postgres"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
)

const (
	sealedSecret     = "c4n4ry-sealed-s3cret"
	backupPassphrase = "c4n4ry-backup-passphrase"
)

// addSealed adds the credential sealed-one, of the last client of four.
func (s *site) addSealed() {
	s.t.Helper()
	s.idp.SetSecret("id-03", sealedSecret)
	add := exec.Command("keyrounds", "-c", s.config(), "credentials", "add", "sealed-one", "--provider", "idp", "--client-id", "id-03")
	add.Stdin = strings.NewReader(sealedSecret)
	if out, err := add.CombinedOutput(); !strings.Contains(string(out), "sealed-one is registered") {
		s.t.Fatalf("%v: %s", err, out)
	}
}

// The drill: a backup that was made beside a running daemon becomes another machine's database, with the same findings, statuses,
// silences, reports and record, whose sealed secrets open
// (docs/promises.md#a-backup-is-whole-or-is-none).
func TestBackupDrill(t *testing.T) {
	t.Parallel()
	s := newSite(t, 4)
	s.configure("", "", 3)
	s.addSealed()
	d := s.run()
	d.awaitReady(http.StatusOK)
	if out, code := s.command("check"); code != 0 {
		t.Fatal(out)
	}
	s.idp.Revoke("id-01")
	s.await("c01 is revoked, and it is told", func() bool {
		s.command("check", "c01")
		return strings.Contains(strings.Join(s.slack.Calls(), "\n"), "c01")
	})
	if out, code := s.command("findings", "ack", "1"); code != 0 {
		t.Fatal(out)
	}
	if out, code := s.command("silence", "add", "--credential", "c00", "--for", "2h", "--why", "a drill"); code != 0 {
		t.Fatal(out)
	}
	pool := s.database()
	_, err := pool.Exec(t.Context(), `
		INSERT INTO reports (month, owner, format, content, sha256, made_at) VALUES ('2026-01-01', '', 'csv', 'a,b', sha256('a,b'), now())`)
	if err != nil {
		t.Fatal(err)
	}

	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	identity, phrase := s.write("identity", id.String()), s.write("backup-passphrase", backupPassphrase+"\n")
	store := filepath.Join(s.dir, "store")
	if err := os.Mkdir(store, 0o755); err != nil {
		t.Fatal(err)
	}
	outputs := ""
	command := func(args ...string) (string, int) {
		out, code := s.command(args...)
		outputs += out
		return out, code
	}
	sealed, open := filepath.Join(store, "p.age"), filepath.Join(store, "r.age")
	if out, code := command("backup", sealed, "--passphrase-file", phrase); code != 0 || !strings.Contains(out, "read back and checked") {
		t.Fatalf("%d: %s", code, out)
	}
	out, code := command("backup", open, "--recipient", id.Recipient().String())
	if code != 0 || !strings.Contains(out, "read back and checked") {
		t.Fatalf("%d: %s", code, out)
	}
	if status, _ := d.get("/readyz"); status != http.StatusOK {
		t.Errorf("after the backups /readyz is %d", status)
	}
	said := func(s *site, args ...string) string {
		t.Helper()
		out, code := s.command(args...)
		if code != 0 {
			t.Fatalf("%q: %d: %s", args, code, out)
		}
		return out
	}
	lists := [][]string{
		{"findings", "list", "-o", "json"},
		{"silence", "list", "-o", "json"},
		{"report", "list", "-o", "json"},
		{"notifications", "-o", "json"},
	}
	before := map[int]string{}
	for i, args := range lists {
		before[i] = said(s, args...)
	}
	statuses := func(s *site) []string {
		var all []struct{ Name, Status, Secret string }
		if err := json.Unmarshal([]byte(said(s, "credentials", "list", "-o", "json")), &all); err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, c := range all {
			lines = append(lines, fmt.Sprint(c))
		}
		return lines
	}
	working := statuses(s)
	if len(working) != 4 || !strings.Contains(fmt.Sprint(working), "revoked") || !strings.Contains(before[0], "acknowledged") {
		t.Fatalf("there is nothing to see: %q, %s", working, before[0])
	}
	if code := d.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}

	// Another machine.
	there := *s
	there.dir = pgtest.Dir(t)
	data := filepath.Join(there.dir, "data")
	text, err := os.ReadFile(s.config())
	if err != nil {
		t.Fatal(err)
	}
	there.write("keyrounds.yaml", strings.Replace(string(text), "data_dir: "+s.dir+"/data", "data_dir: "+data, 1))

	for name, damage := range map[string]func([]byte) []byte{
		"cut":     func(b []byte) []byte { return b[:len(b)-100] },
		"damaged": func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
	} {
		b, err := os.ReadFile(open)
		if err != nil {
			t.Fatal(err)
		}
		path := there.write(name, string(damage(b)))
		for _, check := range [][]string{nil, {"--check"}} {
			out, code := command(append([]string{"restore", path, "--identity", identity, "--data-dir", data}, check...)...)
			if code != 2 || !strings.Contains(out, "damaged or was cut short") || !strings.Contains(out, "hint: ") {
				t.Errorf("%s: %d: %s", name, code, out)
			}
		}
	}
	wrong := s.write("wrong", "c4n4ry-wrong-passphrase")
	out, code = command("restore", sealed, "--passphrase-file", wrong, "--data-dir", data)
	if code != 2 || !strings.Contains(out, "does not open") {
		t.Errorf("%d: %s", code, out)
	}
	if _, err := os.Stat(data); !os.IsNotExist(err) {
		t.Errorf("what was refused left something: %v", err)
	}

	var contents backup.Contents
	if err := json.Unmarshal([]byte(said(s, "restore", open, "--check", "--identity", identity, "-o", "json")), &contents); err != nil {
		t.Fatal(err)
	}
	if out, code := command("restore", open, "--identity", identity, "--data-dir", data); code != 0 {
		t.Fatal(out)
	}
	out, code = command("restore", open, "--identity", identity, "--data-dir", data)
	if code != 2 || !strings.Contains(out, "there is a database already") {
		t.Errorf("%d: %s", code, out)
	}
	server, err := postgres.StartPrivate(t.Context(), postgres.PrivateOptions{DataDir: data, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	restored, err := postgres.Open(t.Context(), server.URL())
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range contents.Tables {
		want := int(contents.Sums[table.Name].Rows)
		if table.Name == "record" {
			want++ // the restore
		}
		if n := s.count(restored, "SELECT count(*) FROM "+pgx.Identifier{table.Name}.Sanitize()); n != want {
			t.Errorf("%s has %d rows, and %d were backed up", table.Name, n, want)
		}
	}
	restored.Close()
	server.Stop()

	d = there.run()
	d.awaitReady(http.StatusOK)
	for i, args := range lists {
		if after := said(&there, args...); after != before[i] {
			t.Errorf("%q was\n%s\nand is\n%s", args, before[i], after)
		}
	}
	if got := statuses(&there); !slices.Equal(got, working) {
		t.Errorf("the statuses were %q, and are %q", working, got)
	}
	record := said(&there, "audit", "log", "-o", "json")
	for _, part := range []string{
		"credential.added", "finding.opened", "finding.acknowledged", `"database.backed_up"`, `"database.restored"`, `"schema": `,
	} {
		if !strings.Contains(record, part) {
			t.Errorf("the record lacks %s: %s", part, record)
		}
	}
	if out, code := there.command("check", "sealed-one"); code != 0 || !strings.Contains(out, "healthy") {
		t.Errorf("the sealed secret: %d: %s", code, out)
	}
	if code := d.stop(); code != 0 {
		t.Errorf("exit code %d:\n%s", code, d.log)
	}

	entries, err := os.ReadDir(store)
	if err != nil || len(entries) != 2 {
		t.Errorf("beside the backups there is something: %v, %v", entries, err)
	}
	for _, path := range []string{sealed, open} {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		outputs += string(b)
	}
	key, err := os.ReadFile(filepath.Join(data, "sealing.key"))
	if err != nil || len(key) < 50 {
		t.Fatal(err)
	}
	for name, canary := range map[string]string{
		"a secret": goodSecret, "a sealed one": sealedSecret, "the passphrase": backupPassphrase, "the wrong one": "c4n4ry-wrong",
		"the identity": id.String(), "the sealing key": string(key[len(key)/2-20 : len(key)/2+20]), "a name": "sealed-one",
	} {
		if name != "a name" && strings.Contains(outputs, canary) || bytes.Contains([]byte(outputs), []byte(strings.ToLower(canary))) {
			t.Errorf("%s is shown", name)
		}
	}
}

// A restore that is killed leaves nothing that anybody takes for a database, and the next one begins anew.
func TestAKilledRestore(t *testing.T) {
	t.Parallel()
	s := newSite(t, 4)
	s.configure("", "", 3)
	s.addSealed()
	phrase := s.write("backup-passphrase", backupPassphrase)
	file := filepath.Join(s.dir, "b.age")
	out, code := s.command("backup", file, "--passphrase-file", phrase, "--without-key")
	if code != 0 || !strings.Contains(out, "without the sealing key") {
		t.Fatalf("%d: %s", code, out)
	}
	data := filepath.Join(s.dir, "data")
	if err := os.Rename(data, data+".old"); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("keyrounds", "-c", s.config(), "restore", file, "--passphrase-file", phrase)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.await("it is under way", func() bool {
		_, err := os.Lstat(filepath.Join(data, "restoring", "postgres", "data"))
		return err == nil
	})
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	for _, args := range [][]string{{"run"}, {"check"}, {"credentials", "list"}} {
		out, code := s.command(args...)
		if code != 2 || !strings.Contains(out, "was cut short") || !strings.Contains(out, "hint: keyrounds restore again") {
			t.Errorf("%q: %d: %s", args, code, out)
		}
	}
	out, code = s.command("restore", file, "--passphrase-file", phrase)
	if code != 0 || !strings.Contains(out, "the backup has no sealing key: put it in") {
		t.Fatalf("%d: %s", code, out)
	}
	key, err := os.ReadFile(filepath.Join(data+".old", "sealing.key"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(data, "sealing.key"), key, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, code := s.command("check", "sealed-one"); code != 0 || !strings.Contains(out, "healthy") {
		t.Errorf("%d: %s", code, out)
	}
	if _, err := os.Lstat(filepath.Join(data, "restoring")); !os.IsNotExist(err) {
		t.Errorf("something is left of it: %v", err)
	}
}
