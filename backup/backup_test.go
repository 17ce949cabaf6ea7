package backup_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/backup"
	"github.com/keyrounds/keyrounds/postgres"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/safefile"
	"github.com/keyrounds/keyrounds/secret"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// keys are a recipient of the test's own, as flags have it.
func keys(t *testing.T) (backup.Lock, backup.Key, *age.X25519Identity) {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	lock, err := backup.ToRecipients(strings.NewReader("# mine\n\n" + id.Recipient().String() + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := backup.FromIdentities(strings.NewReader("# key\n" + id.String() + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	return lock, key, id
}

func options(pool *pgxpool.Pool, lock backup.Lock) backup.Options {
	return backup.Options{Pool: pool, Version: "test", SealingKey: []byte("c4n4ry-sealing-key"), Lock: lock, Now: time.Now}
}

// empty is an empty database, where the application's role owns nothing.
func empty(t *testing.T) postgres.Owner {
	t.Helper()
	app, owner := pgtest.EmptyURLs(t)
	pool, err := postgres.Open(t.Context(), app)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return postgres.Owner{App: pool, URL: func(context.Context) (string, error) { return owner, nil }}
}

func restore(t *testing.T, file []byte, c backup.Contents, key backup.Key, owner postgres.Owner) error {
	t.Helper()
	o := backup.RestoreOptions{Owner: owner, Open: key, Actor: "user ann", Now: time.Now}
	_, err := backup.Restore(t.Context(), bytes.NewReader(file), c, o)
	return err
}

func strs(t *testing.T, pool *pgxpool.Pool, sql string, args ...any) []string {
	t.Helper()
	rows, err := pool.Query(t.Context(), sql, args...)
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatalf("%v: %s", err, sql)
	}
	return all
}

const allTables = `
	SELECT relname::text FROM pg_class
	WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY relname`

// Every table of the schema is in a backup, or it is named with the reason why not.
func TestNoTableIsForgotten(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	lock, _, _ := keys(t)
	c, err := backup.Write(t.Context(), io.Discard, options(pool, lock))
	if err != nil {
		t.Fatal(err)
	}
	in := map[string]bool{}
	for _, t := range c.Tables {
		in[t.Name] = true
	}
	out := backup.LeftOut()
	for _, name := range strs(t, pool, allTables) {
		if in[name] == (out[name] != "") {
			t.Errorf("the table %s: is it in the backup? %t; why it is not: %q", name, in[name], out[name])
		}
		delete(out, name)
	}
	delete(out, "keyrounds_restoring")
	if len(out) > 0 || len(in) < 40 {
		t.Errorf("%d tables are in it; left out is what does not exist: %v", len(in), slices.Collect(maps.Keys(out)))
	}
}

// fill gives every table a row, by the types of its columns and what its constraints allow. What refers to others comes last.
func fill(t *testing.T, owner *pgxpool.Pool, tables []backup.Table) {
	t.Helper()
	literal := regexp.MustCompile(`'([a-z_]+)'`)
	for _, table := range tables {
		var columns, values []string
		rows, err := owner.Query(t.Context(), `
			SELECT a.attname::text, format_type(a.atttypid, NULL), coalesce((
				SELECT string_agg(pg_get_constraintdef(k.oid), ' ') FROM pg_constraint k
				WHERE k.conrelid = a.attrelid AND k.contype = 'c' AND a.attnum = ANY (k.conkey)), '')
			FROM pg_attribute a
			WHERE a.attrelid = $1::text::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`, table.Name)
		if err != nil {
			t.Fatal(err)
		}
		var column, kind, check string
		_, err = pgx.ForEachRow(rows, []any{&column, &kind, &check}, func() error {
			value, ok := map[string]string{
				"text": `'x'`, "bigint": "1", "integer": "1", "smallint": "1", "boolean": "true", "double precision": "0.1", "real": "0.1",
				"timestamp with time zone": `now()`, "date": "current_date", "interval": `'1 day 2.5 s'`,
				"uuid":  `'00000000-0000-4000-8000-000000000001'`,
				"jsonb": `'{"a": ["\u00e9\n"]}'`, "bytea": `'\x00ff'`, "inet": `'192.0.2.1'`, "cidr": `'2001:db8::/32'`,
				"text[]": `'{a,"b,\"",NULL}'`, "bytea[]": `'{"\\x00ff"}'`, "cidr[]": `'{10.0.0.0/8}'`, "inet[]": `'{10.0.0.1}'`,
				"bigint[]": `'{1,2}'`, "integer[]": `'{1,2}'`, "jsonb[]": `'{}'`, "timestamp with time zone[]": `'{now}'`,
				"tstzmultirange": `'{[2026-01-01 00:00+00,2026-02-01 00:00+00),[2026-03-01 00:00+00,)}'`,
				"date[]":         `'{today}'`, "boolean[]": `'{t}'`,
			}[kind]
			if !ok {
				return fmt.Errorf("no value for the type %s", kind)
			}
			if m := literal.FindStringSubmatch(check); m != nil {
				value = "'" + m[1] + "'"
			}
			columns, values = append(columns, pgx.Identifier{column}.Sanitize()), append(values, value)
			return nil
		})
		if err == nil {
			_, err = owner.Exec(t.Context(), fmt.Sprintf(`INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE VALUES (%s)`,
				pgx.Identifier{table.Name}.Sanitize(), strings.Join(columns, ", "), strings.Join(values, ", ")))
		}
		if err != nil {
			t.Fatalf("%s: %v", table.Name, err)
		}
	}
}

// What comes back is what went in, in every table and of every type; the numbers go on where they were; the record is still
// append-only, says who restored it, and the application's role may do what it could.
func TestWhatComesBack(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	owner := pgtest.Owner(t, pool)
	lock, key, _ := keys(t)
	if err := audit.EnsurePartitions(t.Context(), owner, time.Now(), 0); err != nil {
		t.Fatal(err)
	}
	bare, err := backup.Write(t.Context(), io.Discard, options(pool, lock))
	if err != nil {
		t.Fatal(err)
	}
	fill(t, owner, bare.Tables)
	if _, err := owner.Exec(t.Context(), `
		INSERT INTO river_job (kind, max_attempts, args) VALUES ('x', 1, '{}');
		SELECT setval('findings_id_seq', 41); SELECT setval('record_id_seq', 1)`); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	c, err := backup.Write(t.Context(), &b, options(pool, lock))
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range c.Tables {
		if c.Sums[table.Name].Rows != 1 {
			t.Errorf("%s has %d rows in the backup", table.Name, c.Sums[table.Name].Rows)
		}
	}
	var sealing []byte
	file := b.Bytes()
	checked, err := backup.Check(bytes.NewReader(file), key, func(text []byte) error {
		sealing = bytes.Clone(text)
		return nil
	})
	if err != nil || !maps.Equal(checked.Sums, c.Sums) || checked.Size != int64(len(file)) || string(sealing) != "c4n4ry-sealing-key" {
		t.Fatalf("%v, %v is not %v; the key %q", err, checked, c, sealing)
	}

	to := empty(t)
	if err := restore(t, file, checked, key, to); err != nil {
		t.Fatal(err)
	}
	if err := postgres.RequireCurrent(t.Context(), to.App); err != nil {
		t.Error(err)
	}
	for _, table := range c.Tables {
		sql := fmt.Sprintf(`SELECT t::text FROM %s AS t ORDER BY 1`, pgx.Identifier{table.Name}.Sanitize())
		was, is := strs(t, pool, sql), strs(t, to.App, sql)
		if table.Name == "record" {
			if len(is) != 2 || !strings.Contains(is[1], `"user ann",database.restored,database`) {
				t.Errorf("the record ends with %q", is)
			}
			is = slices.DeleteFunc(is, func(s string) bool { return strings.Contains(s, "database.restored") })
		}
		if !slices.Equal(was, is) {
			t.Errorf("%s was %q, and is %q", table.Name, was, is)
		}
	}
	if jobs := strs(t, to.App, `SELECT kind FROM river_job`); len(jobs) > 0 {
		t.Errorf("jobs: %q", jobs)
	}
	const next = `
		INSERT INTO findings (kind, severity, subject, credential, provider, state, evidence, opened_at, updated_at)
		VALUES ('y', 'info', 'y', '', '', 'open', '{}', now(), now()) RETURNING id::text`
	if id := strs(t, to.App, next); id[0] != "42" {
		t.Errorf("the next finding is number %s", id)
	}
	for _, sql := range []string{`DELETE FROM record`, `CREATE TABLE x ()`} {
		if _, err := to.App.Exec(t.Context(), sql); err == nil {
			t.Errorf("the application may %s", sql)
		}
	}
	err = to.Do(t.Context(), func(owner *pgxpool.Pool) error {
		_, err := owner.Exec(t.Context(), `DELETE FROM record`)
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "append-only") {
		t.Errorf("of the owner the record is not append-only: %v", err)
	}
	var full *postgres.NotEmptyError
	if err := restore(t, file, checked, key, to); !errors.As(err, &full) || full.Hint() == "" {
		t.Errorf("restored over what was there: %v", err)
	}
}

// A backup that an earlier version made is restored as that version had it, and then brought up to date.
func TestABackupOfAnEarlierVersion(t *testing.T) {
	t.Parallel()
	pool := pgtest.Before(t, 20)
	lock, key, _ := keys(t)
	const entry = `INSERT INTO record (at, actor, action, subject, detail) VALUES (now(), 'a', 'b', 'c', '{}')`
	if _, err := pool.Exec(t.Context(), entry); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	c, err := backup.Write(t.Context(), &b, options(pool, lock))
	if err != nil || c.Schema != 20 {
		t.Fatalf("schema %d, %v", c.Schema, err)
	}
	to := empty(t)
	if err := restore(t, b.Bytes(), c, key, to); err != nil {
		t.Fatal(err)
	}
	if err := postgres.RequireCurrent(t.Context(), to.App); err != nil {
		t.Error(err)
	}
	if all := strs(t, to.App, `SELECT action FROM record ORDER BY id`); !slices.Equal(all, []string{"b", "database.restored"}) {
		t.Errorf("the record is %q", all)
	}
	newer := c
	newer.Schema = 1 << 40
	if err := restore(t, b.Bytes(), newer, key, empty(t)); !errors.Is(err, postgres.ErrNewer) {
		t.Errorf("of a newer version: %v", err)
	}
	nothing := empty(t)
	if _, err := backup.Write(t.Context(), io.Discard, options(nothing.App, lock)); !errors.Is(err, backup.ErrEmpty) {
		t.Errorf("of nothing: %v", err)
	}
}

// While a backup is written others write, and it has what was there at its beginning, all of one moment. Housekeeping that finds
// nothing to do does not wait for it.
func TestABackupStopsNobody(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	owner := pgtest.Owner(t, pool)
	if err := audit.EnsurePartitions(t.Context(), owner, time.Now(), 1); err != nil {
		t.Fatal(err)
	}
	lock, key, _ := keys(t)
	var b bytes.Buffer
	hook := &hooked{w: &b, first: func() error {
		if _, err := pool.Exec(t.Context(), `
			INSERT INTO record (at, actor, action, subject, detail) VALUES (now(), 'a', 'b', 'c', '{}');
			INSERT INTO provider_state VALUES ('x')`); err != nil {
			return err
		}
		return audit.EnsurePartitions(t.Context(), owner, time.Now(), 1)
	}}
	c, err := backup.Write(t.Context(), hook, options(pool, lock))
	if err != nil || hook.first != nil {
		t.Fatal(err)
	}
	if _, err := backup.Check(&b, key, nil); err != nil || c.Sums["record"].Rows != 0 || c.Sums["provider_state"].Rows != 0 {
		t.Errorf("what came later is in it: %v, %v", c.Sums, err)
	}
}

// hooked calls first at the first write.
type hooked struct {
	w     io.Writer
	first func() error
}

func (h *hooked) Write(p []byte) (int, error) {
	if f := h.first; f != nil {
		h.first = nil
		if err := f(); err != nil {
			return 0, err
		}
	}
	return h.w.Write(p)
}

// A database where a restore was cut short is refused by all who open it.
func TestHalfRestored(t *testing.T) {
	t.Parallel()
	to := empty(t)
	broken := errors.New("broken")
	fail := func(context.Context, pgx.Tx) error { return broken }
	if _, err := to.Restore(t.Context(), 20, fail, nil); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if err := postgres.RequireCurrent(t.Context(), to.App); !errors.Is(err, postgres.ErrHalfRestored) {
		t.Errorf("it is taken for whole: %v", err)
	}
	if _, err := to.Migrate(t.Context()); !errors.Is(err, postgres.ErrHalfRestored) {
		t.Errorf("it is migrated: %v", err)
	}
	if _, err := to.Restore(t.Context(), 20, fail, nil); !errors.Is(err, postgres.ErrHalfRestored) {
		t.Errorf("it is restored over: %v", err)
	}
	lock, _, _ := keys(t)
	if _, err := backup.Write(t.Context(), io.Discard, options(to.App, lock)); !errors.Is(err, postgres.ErrHalfRestored) {
		t.Errorf("it is backed up: %v", err)
	}
}

// A file that was cut anywhere, or has another byte anywhere, is refused, and so is whoever has another key.
func TestDamageIsNoticed(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	lock, key, _ := keys(t)
	var b bytes.Buffer
	if _, err := backup.Write(t.Context(), &b, options(pool, lock)); err != nil {
		t.Fatal(err)
	}
	file := b.Bytes()
	check := func(file []byte, key backup.Key) error {
		_, err := backup.Check(bytes.NewReader(file), key, nil)
		return err
	}
	var wrong *backup.WrongKeyError
	var damaged *backup.DamagedError
	step := max(1, len(file)/200)
	for n := 0; n < len(file); n += step {
		if err := check(file[:n], key); err == nil {
			t.Errorf("cut after %d bytes of %d it is taken", n, len(file))
		}
		bad := bytes.Clone(file)
		bad[n] ^= 1
		if err := check(bad, key); err == nil {
			t.Errorf("with another byte at %d it is taken", n)
		}
	}
	if err := check(file[:len(file)-1], key); !errors.As(err, &damaged) || damaged.Hint() == "" {
		t.Errorf("without its last byte: %v", err)
	}
	if err := check(append(bytes.Clone(file), 0), key); err == nil {
		t.Error("with a byte more it is taken")
	}
	_, other, _ := keys(t)
	if err := check(file, other); !errors.As(err, &wrong) || wrong.Hint() == "" {
		t.Errorf("another key: %v", err)
	}
	if err := check([]byte("PGDMP, or what else"), key); err == nil || !strings.Contains(err.Error(), "not a backup") {
		t.Errorf("another file: %v", err)
	}
	if _, err := backup.Check(failing{}, key, nil); !errors.Is(err, fs.ErrPermission) || errors.As(err, &damaged) {
		t.Errorf("what cannot be read: %v", err)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, fs.ErrPermission }

// Who has the public key of a recipient can make a file. Nothing in it becomes SQL, or more memory than an entry may have.
func TestForgedBackups(t *testing.T) {
	t.Parallel()
	lock, key, _ := keys(t)
	manifest := func(change func(*backup.Manifest)) string {
		m := backup.Manifest{Format: 1, Keyrounds: "x", Schema: 23, Tables: []backup.Table{{Name: "record", Columns: []string{"id"}}}}
		change(&m)
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	same := func(*backup.Manifest) {}
	const sums = "sums.json"
	none := `{"record":{"bytes":0,"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}}`
	check := func(entries ...[2]string) error {
		_, err := backup.Check(bytes.NewReader(backup.Forge(t, lock, entries...)), key, nil)
		return err
	}
	if err := check([2]string{"manifest.json", manifest(same)}, [2]string{sums, none}); err != nil {
		t.Fatalf("what should be fine: %v", err)
	}
	for name, change := range map[string]func(*backup.Manifest){
		"a table's name":   func(m *backup.Manifest) { m.Tables[0].Name = `x"; DROP TABLE record; --` },
		"a path":           func(m *backup.Manifest) { m.Tables[0].Name = `../../etc/passwd` },
		"a column's name":  func(m *backup.Manifest) { m.Tables[0].Columns = []string{`id) FROM PROGRAM 'id'; --`} },
		"no column":        func(m *backup.Manifest) { m.Tables[0].Columns = nil },
		"a table twice":    func(m *backup.Manifest) { m.Tables = append(m.Tables, m.Tables[0]) },
		"a month":          func(m *backup.Manifest) { m.Months = []string{`2026-01') TO ('x`} },
		"a key that lacks": func(m *backup.Manifest) { m.SealingKey = true },
	} {
		if err := check([2]string{"manifest.json", manifest(change)}, [2]string{sums, none}); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	var newer *backup.UnknownFormatError
	later := manifest(func(m *backup.Manifest) { m.Format = 2 })
	if err := check([2]string{"manifest.json", later}); !errors.As(err, &newer) || newer.Hint() == "" {
		t.Errorf("of a newer keyrounds: %v", err)
	}
	whole := [2]string{"manifest.json", manifest(same)}
	for name, entries := range map[string][][2]string{
		"nothing":        {},
		"no manifest":    {{sums, none}},
		"no sums":        {whole},
		"a piece lacks":  {whole, {"tables/record/00000002", "x"}, {sums, none}},
		"another table":  {whole, {"tables/reports/00000001", "x"}, {sums, none}},
		"not its sum":    {whole, {"tables/record/00000001", "x"}, {sums, none}},
		"more behind it": {whole, {sums, none}, {"x", "x"}},
		"no JSON":        {{"manifest.json", "{"}, {sums, none}},
		"a huge piece":   {whole, {"tables/record/00000001", strings.Repeat("x", 17<<20)}, {sums, none}},
		"a huge JSON":    {{"manifest.json", strings.Repeat(" ", 5<<20) + "{}"}},
	} {
		if err := check(entries...); err == nil {
			t.Errorf("%s: it is taken", name)
		}
	}
	// What the manifest says and the schema does not have is refused before it is written.
	var c backup.Contents
	c.Manifest = backup.Manifest{Format: 1, Schema: 23, Tables: []backup.Table{{Name: "pg_authid", Columns: []string{"rolname"}}}}
	if err := restore(t, nil, c, key, empty(t)); err == nil || !strings.Contains(err.Error(), "pg_authid") {
		t.Errorf("a table that is none of ours: %v", err)
	}
}

// Keys and passphrases are in no error, whichever is given in place of the other.
func TestErrorsShowNoKey(t *testing.T) {
	t.Parallel()
	_, _, id := keys(t)
	const canary = "c4n4ry-passphrase-of-them"
	for name, err := range map[string]error{
		"a key for a recipient":        second(backup.ToRecipients(strings.NewReader(id.String()))),
		"a passphrase for a recipient": second(backup.ToRecipients(strings.NewReader(canary))),
		"a passphrase for a key":       second(backup.FromIdentities(strings.NewReader(canary))),
		"a key that was cut":           second(backup.FromIdentities(strings.NewReader(id.String()[:40]))),
		"a key that is encrypted":      second(backup.FromIdentities(strings.NewReader("age-encryption.org/v1\n" + canary))),
		"no recipient":                 second(backup.ToRecipients(strings.NewReader("\n#\n"))),
		"a short passphrase":           second(backup.ToPassphrase(secret.New([]byte(canary[:6])))),
		"no passphrase":                second(backup.FromPassphrase(secret.Value{})),
	} {
		text := strings.ToLower(fmt.Sprint(err))
		if err == nil || strings.Contains(text, strings.ToLower(id.String()[:30])) || strings.Contains(text, canary[:6]) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// A file is there under its name when it was read back, or not at all; one that was there stays until then.
func TestSave(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "b.age")
	const phrase = "c4n4ry-passphrase"
	key, err := backup.FromPassphrase(secret.New([]byte(phrase)))
	if err != nil {
		t.Fatal(err)
	}
	o := options(pool, backup.ToPassphraseFast(t, phrase))
	names := func() (all []string) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			all = append(all, e.Name())
		}
		return all
	}
	stale := filepath.Join(dir, ".b.age.partial-1")
	if err := errors.Join(os.WriteFile(stale, nil, 0o600), os.WriteFile(path, []byte("before"), 0o644)); err != nil {
		t.Fatal(err)
	}
	bad := o
	bad.Lock = backup.Lock{}
	if _, err := backup.Save(t.Context(), path, bad); err == nil {
		t.Error("it is written without encryption")
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := backup.Save(cancelled, path, o); err == nil {
		t.Error("what was cancelled is done")
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "before" || len(names()) != 1 {
		t.Errorf("what failed left %q, %v, %q", names(), err, b)
	}
	for range 2 {
		c, err := backup.Save(t.Context(), path, o)
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		st, err := os.Stat(path)
		if err != nil || st.Mode().Perm() != 0o600 || st.Size() != c.Size || len(names()) != 1 {
			t.Errorf("%v %v, %q: %v", st.Mode(), st.Size(), names(), err)
		}
		if is, err := backup.Check(bytes.NewReader(b), key, nil); err != nil || !maps.Equal(is.Sums, c.Sums) {
			t.Errorf("%v: %v", is, err)
		}
		if byPhrase, err := backup.Passphrase(b); err != nil || !byPhrase {
			t.Errorf("by a passphrase? %t, %v", byPhrase, err)
		}
	}
	if _, err := backup.Save(t.Context(), dir, o); err == nil {
		t.Error("a directory was replaced")
	}

	// Where a file cannot be without a name another Save leaves it alone while it is written.
	begun, place, remove := backup.Named(t, dir, "b.age")
	if _, err := backup.Save(t.Context(), path, o); err != nil {
		t.Fatal(err)
	}
	if all := names(); !slices.Equal(all, []string{filepath.Base(begun), "b.age"}) {
		t.Errorf("beside one that is being written: %q", all)
	}
	if err := place(path); err != nil {
		t.Error(err)
	}
	remove()
	_, _, remove = backup.Named(t, dir, "b.age")
	remove()
	if all := names(); !slices.Equal(all, []string{"b.age"}) {
		t.Errorf("in the end there is %q", all)
	}
	if os.Geteuid() == 0 {
		his := filepath.Join(dir, "his")
		if err := errors.Join(os.Mkdir(his, 0o755), os.Chown(his, 4001, 4001)); err != nil {
			t.Fatal(err)
		}
		var refused *safefile.NotOursError
		if _, err := backup.Save(t.Context(), filepath.Join(his, "b.age"), o); !errors.As(err, &refused) {
			t.Errorf("root wrote in the directory of another user: %v", err)
		}
	}
}
