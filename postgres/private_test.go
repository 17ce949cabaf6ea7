package postgres_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/keyrounds/keyrounds/postgres"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/safefile"
	"github.com/keyrounds/keyrounds/test/lasting"
)

// server's user: whom the private Postgres runs as, nil where that is us.
func serversUser(t *testing.T, dir string) *syscall.Credential {
	t.Helper()
	st, err := os.Stat(filepath.Join(dir, "postgres"))
	if err != nil {
		t.Fatal(err)
	}
	stat := st.Sys().(*syscall.Stat_t)
	if stat.Uid == uint32(os.Geteuid()) {
		return nil
	}
	return &syscall.Credential{Uid: stat.Uid, Gid: stat.Gid}
}

// Whatever the server's user puts into his directory: root changes nothing by it, here or elsewhere
// (docs/security.md).
func TestRootChangesNothingByTheServersDirectory(t *testing.T) {
	lasting.Test(t, "it starts servers")
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root could do harm")
	}
	base := pgtest.Dir(t)
	dir, victim := filepath.Join(base, "d"), filepath.Join(base, "victim")
	p, err := start(t, dir, true)
	if err != nil {
		t.Fatal(err)
	}
	p.Stop()
	if err := errors.Join(os.Mkdir(victim, 0o755), os.WriteFile(filepath.Join(victim, "file"), []byte("as it was\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	its, his := filepath.Join(dir, "postgres"), serversUser(t, dir)
	link := func(to, name string) {
		t.Helper()
		at := filepath.Join(its, name)
		if err := errors.Join(os.RemoveAll(at), os.Symlink(to, at), os.Lchown(at, int(his.Uid), int(his.Gid))); err != nil {
			t.Fatal(err)
		}
	}
	unchanged := func(after string) {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(victim, "file"))
		if err != nil || string(text) != "as it was\n" {
			t.Errorf("%s: the file holds %q, %v", after, text, err)
		}
		for path, mode := range map[string]os.FileMode{victim: 0o755, filepath.Join(victim, "file"): 0o600} {
			st, err := os.Stat(path)
			if err != nil || st.Mode().Perm() != mode || st.Sys().(*syscall.Stat_t).Uid != 0 {
				t.Errorf("%s: %s has mode %v, %v", after, path, st.Mode(), err)
			}
		}
		if entries, err := os.ReadDir(victim); err != nil || len(entries) != 1 {
			t.Errorf("%s: %v, %v", after, entries, err)
		}
	}
	// The log of earlier versions, and all names that keyrounds knows in there. It starts, or says why not.
	for _, name := range []string{"postgres.log", "postgres.log.old", "data.new", "run", "data/postmaster.pid", "data"} {
		to := victim
		if strings.Contains(name, ".log") || strings.Contains(name, ".pid") {
			to = filepath.Join(victim, "file")
		}
		link(to, name)
		p, err := start(t, dir, true)
		unchanged(name)
		if err == nil {
			exec1(t, open(t, p.URL()), `SELECT 1`)
			p.Stop()
		} else if name != "run" && !strings.HasPrefix(name, "data") {
			t.Errorf("%s: %v", name, err)
		}
		unchanged(name)
		_ = os.Remove(filepath.Join(its, name))
	}
}

// As root, keyrounds makes nothing in a directory of somebody else's, and says how to go on.
func TestRootKeepsOutOfTheDirectoriesOfOthers(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root could do harm")
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, err := strconv.Atoi(nobody.Uid)
	if err != nil {
		t.Fatal(err)
	}
	his, open := filepath.Join(pgtest.Dir(t), "his"), filepath.Join(pgtest.Dir(t), "open")
	err = errors.Join(os.Mkdir(his, 0o755), os.Chown(his, uid, -1), os.Mkdir(open, 0o755), os.Chmod(open, 0o777))
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(pgtest.Dir(t), "link")
	if err := os.Symlink(his, link); err != nil {
		t.Fatal(err)
	}
	groups, sticky, ours := filepath.Join(
		pgtest.Dir(t),
		"groups",
	), filepath.Join(
		pgtest.Dir(t),
		"sticky",
	), filepath.Join(
		pgtest.Dir(t),
		"ours",
	)
	victim := filepath.Join(pgtest.Dir(t), "victim")
	if err := errors.Join(
		os.Mkdir(groups, 0o755), os.Chmod(groups, 0o775), os.Mkdir(sticky, 0o755), os.Chmod(sticky, 0o777|os.ModeSticky),
		os.Mkdir(ours, 0o755), os.WriteFile(victim, []byte("as it was"), 0o600), os.Symlink(victim, filepath.Join(ours, "lock")),
	); err != nil {
		t.Fatal(err)
	}
	if _, err := start(t, ours, true); err == nil {
		t.Error("it started by a lock that is a link")
	}
	if text, err := os.ReadFile(victim); err != nil || string(text) != "as it was" {
		t.Errorf("what the lock led to holds %q, %v", text, err)
	}
	for _, dir := range []string{his, filepath.Join(his, "below"), open, filepath.Join(open, "below"), link, groups, sticky} {
		_, err := start(t, dir, true)
		var notOurs *safefile.NotOursError
		if !errors.As(err, &notOurs) || notOurs.Hint() == "" {
			t.Errorf("%s: %v", dir, err)
		}
	}
	for _, dir := range []string{his, open} {
		if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
			t.Errorf("%s: %v, %v", dir, entries, err)
		}
	}
}

// The application's role owns nothing, and nobody comes in without a password.
func TestRolesOfThePrivateServer(t *testing.T) {
	lasting.Test(t, "it starts servers")
	t.Parallel()
	dir := filepath.Join(pgtest.Dir(t), "d")
	p, err := start(t, dir, true)
	if err != nil {
		t.Fatal(err)
	}
	owner := open(t, p.AdminURL())
	if _, err := postgres.Migrate(t.Context(), owner); err != nil {
		t.Fatal(err)
	}
	exec1(t, owner, `CREATE TABLE kept AS SELECT 7 AS n`)
	check := func(p *postgres.Private, when string) {
		t.Helper()
		app := open(t, p.URL())
		var name string
		var super, owns bool
		err := app.QueryRow(t.Context(), `
			SELECT current_user, rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls,
				EXISTS (SELECT FROM pg_class WHERE relowner = r.oid) OR EXISTS (SELECT FROM pg_database WHERE datdba = r.oid)
			FROM pg_roles r WHERE rolname = current_user`).Scan(&name, &super, &owns)
		if err != nil || name != "keyrounds_app" || super || owns {
			t.Errorf("%s: role %s, superuser %v, owner %v, %v", when, name, super, owns, err)
		}
		passwords := filepath.Join(dir, "database-passwords")
		if st, err := os.Stat(passwords); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", when, st.Mode(), err)
		}
		for _, sql := range []string{
			`SELECT lo_create(0)`, `SELECT lo_creat(-1)`, `SELECT lo_from_bytea(0, 'x')`,
			`SELECT lo_unlink(1)`, `SELECT lo_open(1, 131072)`,
		} {
			_, err := app.Exec(t.Context(), sql)
			if refused := (*pgconn.PgError)(nil); !errors.As(err, &refused) || refused.Code != "42501" { // insufficient_privilege
				t.Errorf("%s: the application's role can make large objects, which it would own: %s: %v", when, sql, err)
			}
		}
		for _, other := range []string{"postgres", "template1"} {
			c, err := pgx.Connect(t.Context(), strings.Replace(p.URL(), "dbname=keyrounds", "dbname="+other, 1))
			if err == nil {
				t.Errorf("%s: the application's role is let into the database %s", when, other)
				_ = c.Close(t.Context())
			}
		}
		bare := strings.Replace(p.AdminURL(), "passfile=", "passfile=/nowhere", 1)
		bare = bare[:strings.Index(bare, "passfile=")] + "sslmode=disable"
		for _, dsn := range []string{bare, bare + " password=wrong", strings.Replace(bare, "user=keyrounds", "user=postgres", 1)} {
			if c, err := pgx.Connect(t.Context(), dsn); err == nil {
				t.Errorf("%s: connected by %s", when, dsn)
				_ = c.Close(t.Context())
			}
		}
	}
	check(p, "new")

	// As an earlier version left it: one role, no password, everybody trusted.
	exec1(t, owner, `DROP OWNED BY keyrounds_app`)
	exec1(t, owner, `DROP ROLE keyrounds_app`)
	exec1(t, owner, `ALTER ROLE keyrounds PASSWORD NULL`)
	p.Stop()
	for _, name := range []string{"database-passwords", "pg_hba.conf"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if p, err = start(t, dir, true); err != nil {
		t.Fatal(err)
	}
	check(p, "converted")
	exec1(t, open(t, p.AdminURL()), `SELECT n FROM kept`)
	if err := postgres.RequireCurrent(t.Context(), open(t, p.URL())); err != nil {
		t.Errorf("converted, and not granted: %v", err)
	}
	p.Stop()
	if p, err = start(t, dir, false); err != nil {
		t.Fatal(err)
	}
	check(p, "again")

	// Who speaks for the application once locks nobody out.
	app := open(t, p.URL())
	exec1(t, app, `ALTER ROLE keyrounds_app SET statement_timeout = 1`)
	exec1(t, app, `ALTER ROLE keyrounds_app IN DATABASE keyrounds SET search_path = nowhere`)
	exec1(t, app, `ALTER ROLE keyrounds_app IN DATABASE postgres SET search_path = nowhere`)
	exec1(t, app, `ALTER ROLE keyrounds_app PASSWORD 'another'`)
	p.Stop()
	if p, err = start(t, dir, true); err != nil {
		t.Fatal(err)
	}
	check(p, "after the application changed its role")
	var timeout, path string
	app = open(t, p.URL())
	err = app.QueryRow(t.Context(), `SELECT current_setting('statement_timeout'), current_setting('search_path')`).Scan(&timeout, &path)
	if err != nil || timeout == "1ms" || path == "nowhere" {
		t.Errorf("the role keeps its settings: %s, %s, %v", timeout, path, err)
	}
	var settings int
	err = app.QueryRow(t.Context(), `SELECT count(*) FROM pg_db_role_setting WHERE setrole = 'keyrounds_app'::regrole`).Scan(&settings)
	if err != nil || settings != 0 {
		t.Errorf("of the role's settings in all databases %d are left, %v", settings, err)
	}
	p.Stop()

	// The passwords of another cluster.
	passwords := filepath.Join(dir, "database-passwords")
	if err := os.WriteFile(passwords, []byte("*:*:*:keyrounds:x\n*:*:*:keyrounds_app:y\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var hint interface{ Hint() string }
	if _, err = start(t, dir, true); !errors.As(err, &hint) || !strings.Contains(hint.Hint(), "remove it") {
		t.Errorf("with the passwords of another cluster: %v", err)
	}
	if err := os.Remove(passwords); err != nil {
		t.Fatal(err)
	}
	if p, err = start(t, dir, true); err != nil {
		t.Fatal(err)
	}
	check(p, "with new passwords")
	p.Stop()
}

// The server has not the terminal of whoever started it, into which it could type.
func TestTheServerHasNoTerminalOfOurs(t *testing.T) {
	lasting.Test(t, "it starts a server")
	t.Parallel()
	p, err := start(t, filepath.Join(pgtest.Dir(t), "d"), true)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	var pid, session int
	var stat string
	app := open(t, p.AdminURL())
	err = app.QueryRow(t.Context(), `SELECT split_part(pg_read_file('postmaster.pid'), E'\n', 1)::int`).Scan(&pid)
	if err == nil {
		err = app.QueryRow(t.Context(), `SELECT pg_read_file($1, 0, 4096)`, fmt.Sprintf("/proc/%d/stat", pid)).Scan(&stat)
	}
	if err == nil {
		_, err = fmt.Sscanf(stat[strings.LastIndex(stat, ")")+1:], " S %d %d %d", new(int), new(int), &session)
	}
	if err != nil || session != pid {
		t.Errorf("the server %d is in the session %d of another: %v", pid, session, err)
	}
}

// Only what is proven to be our server is signalled, whatever postmaster.pid says.
func TestOnlyOurServerIsStopped(t *testing.T) {
	lasting.Test(t, "it starts servers")
	t.Parallel()
	dir, others := filepath.Join(pgtest.Dir(t), "d"), filepath.Join(pgtest.Dir(t), "d")
	other, err := start(t, others, true)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Stop()
	p, err := start(t, dir, true)
	if err != nil {
		t.Fatal(err)
	}
	p.Stop()
	data, his := filepath.Join(dir, "postgres", "data"), serversUser(t, dir)
	leave := func(text string) {
		t.Helper()
		path := filepath.Join(data, "postmaster.pid")
		err := os.WriteFile(path, []byte(text), 0o600)
		if err == nil && his != nil {
			err = os.Chown(path, int(his.Uid), int(his.Gid))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	works := func(what string) {
		t.Helper()
		p, err := start(t, dir, true)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			return
		}
		exec1(t, open(t, p.URL()), `SELECT 1`)
		p.Stop()
	}
	run := func(dir string, name string, args ...string) *exec.Cmd {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Dir, cmd.SysProcAttr = dir, &syscall.SysProcAttr{Credential: his}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _, _ = cmd.Process.Kill(), cmd.Wait() })
		return cmd
	}

	theirs, err := os.ReadFile(filepath.Join(others, "postgres", "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	leave(string(theirs))
	works("another Postgres")
	exec1(t, open(t, other.URL()), `SELECT 1`) // is untouched

	sleeps := run("/", "sleep", "600")
	leave(fmt.Sprintf("%d\n%s\n%d\n", sleeps.Process.Pid, data, 1))
	works("another program")
	leave(fmt.Sprintf("%d\n%s\n%d\n", os.Getpid(), data, 1))
	works("ourselves")
	pidFile := filepath.Join(data, "postmaster.pid")
	_ = os.Remove(pidFile)
	if err := syscall.Mkfifo(pidFile, 0o666); err != nil {
		t.Fatal(err)
	}
	writer, err := os.OpenFile(pidFile, os.O_RDWR, 0) // says nothing
	if err != nil {
		t.Fatal(err)
	}
	if _, err := start(t, dir, true); err == nil || !strings.Contains(err.Error(), "is no file") {
		t.Errorf("with a pipe in place of postmaster.pid: %v", err)
	}
	if err := errors.Join(writer.Close(), os.Remove(pidFile)); err != nil {
		t.Fatal(err)
	}
	leave("nonsense\n")
	if _, err := start(t, dir, true); err == nil {
		t.Error("it started over a postmaster.pid that cannot be read")
	}

	// What works in the data directory and is not the server that was noted: nobody can tell, so a person is asked.
	within := run(data, "sleep", "600")
	leave(fmt.Sprintf("%d\n%s\n%d\n", within.Process.Pid, data, 1))
	if _, err := start(t, dir, true); err == nil || !strings.Contains(err.Error(), strconv.Itoa(within.Process.Pid)) ||
		!strings.Contains(err.Error(), `"sleep"`) {
		t.Errorf("something else in the data directory: %v", err)
	}
	for what, cmd := range map[string]*exec.Cmd{"the other program": sleeps, "what works there": within} {
		if err := cmd.Process.Signal(syscall.Signal(0)); err != nil {
			t.Errorf("%s was ended: %v", what, err)
		}
	}
	if err := os.Remove(filepath.Join(data, "postmaster.pid")); err != nil {
		t.Fatal(err)
	}

	// And one that is ours, left running by a keyrounds that was killed.
	bin, err := exec.Command("pg_config", "--bindir").Output()
	postgresBin := filepath.Join(strings.TrimSpace(string(bin)), "postgres")
	if _, err2 := os.Stat(postgresBin); err != nil || err2 != nil {
		found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
		if len(found) == 0 {
			t.Skip("no postgres to run by hand")
		}
		postgresBin = found[len(found)-1]
	}
	orphan := run(
		data,
		postgresBin,
		"-D",
		data,
		"-c",
		"listen_addresses=",
		"-c",
		"unix_socket_directories="+filepath.Join(dir, "postgres", "run"),
	)
	eventually(t, func() bool {
		b, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
		return err == nil && strings.Contains(string(b), "ready")
	})
	works("an orphan")
	if err := orphan.Wait(); err != nil {
		t.Errorf("the orphan was not stopped in good order: %v", err)
	}
}

// Who waits in vain for another command is told for which one.
func TestAnotherCommandHasIt(t *testing.T) {
	lasting.Test(t, "it starts a server")
	t.Parallel()
	dir := filepath.Join(pgtest.Dir(t), "d")
	p, err := start(t, dir, false)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	_, err = postgres.StartPrivate(t.Context(), postgres.PrivateOptions{
		DataDir: dir, Log: slog.New(slog.DiscardHandler), Patience: 200 * time.Millisecond,
	})
	var busy *postgres.BusyError
	if !errors.As(err, &busy) || busy.PID != os.Getpid() || busy.Daemon || busy.Hint() == "" {
		t.Errorf("while another command has it: %v", err)
	}
}

// asAbove gives a file to whom its directory's directory belongs.
func asAbove(path string) error {
	st, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return err
	}
	of := st.Sys().(*syscall.Stat_t)
	return os.Chown(path, int(of.Uid), int(of.Gid))
}

// What a person reads when the database does not start: why, where the log is, and the way out.
func TestWordsOfAServerThatDoesNotStart(t *testing.T) {
	lasting.Test(t, "it starts servers")
	t.Parallel()
	damage := map[string]struct {
		do   func(data string) error
		says []string
	}{
		"control file": {
			func(data string) error {
				return os.WriteFile(filepath.Join(data, "global", "pg_control"), make([]byte, 8192), 0o600)
			},
			[]string{"incompatible", "docs/backup.md"},
		},
		"write-ahead log": {
			func(data string) error {
				files, err := filepath.Glob(filepath.Join(data, "pg_wal", "0*"))
				for _, f := range files {
					err = errors.Join(err, os.Remove(f))
				}
				return err
			},
			[]string{"checkpoint record", "docs/backup.md"},
		},
		"not a cluster": {
			func(data string) error { return os.Remove(filepath.Join(data, "PG_VERSION")) },
			[]string{"not a valid data directory", "docs/backup.md"},
		},
		"permissions": {
			func(data string) error { return os.Chmod(data, 0o755) },
			[]string{"permissions", "chmod 700"},
		},
		"filled with something else": {
			func(data string) error {
				return errors.Join(os.RemoveAll(data), os.Mkdir(data, 0o700), os.WriteFile(filepath.Join(data, "photo.jpg"), nil, 0o600),
					asAbove(data), asAbove(filepath.Join(data, "photo.jpg")))
			},
			[]string{"could not access the server configuration file", "docs/backup.md"},
		},
		"a file in its place": {
			func(data string) error {
				return errors.Join(os.RemoveAll(data), os.WriteFile(data, []byte("x"), 0o600), asAbove(data))
			},
			[]string{"is no directory", "docs/backup.md"},
		},
		"a file of the catalogue": {
			func(data string) error { return os.Remove(filepath.Join(data, "global", "1260")) },
			[]string{`could not open file "global/1260"`, "docs/backup.md"},
		},
		"the map of relations": {
			func(data string) error { return os.Remove(filepath.Join(data, "global", "pg_filenode.map")) },
			[]string{"pg_filenode.map", "docs/backup.md"},
		},
		"settings that cannot be read": {
			func(data string) error {
				return os.WriteFile(filepath.Join(data, "postgresql.conf"), []byte("port = 5432\nwork_mem is large\n"), 0o600)
			},
			[]string{`postgresql.conf" line 2`, "mend that line"},
		},
		"a setting that there is not": {
			func(data string) error {
				return os.WriteFile(filepath.Join(data, "postgresql.conf"), []byte("nothing_like_this = 1\n"), 0o600)
			},
			[]string{`nothing_like_this`, "mend that line"},
		},
		"no settings": {
			func(data string) error { return os.Remove(filepath.Join(data, "postgresql.conf")) },
			[]string{"postgresql.conf", "docs/backup.md"},
		},
		"postmaster.pid is a link": {
			func(data string) error { return os.Symlink("/etc/passwd", filepath.Join(data, "postmaster.pid")) },
			[]string{"postmaster.pid is a link", "remove it"},
		},
		"postmaster.pid is a directory": {
			func(data string) error { return os.Mkdir(filepath.Join(data, "postmaster.pid"), 0o700) },
			[]string{"postmaster.pid is no file", "remove it"},
		},
		"passwords without the application's": {
			func(data string) error {
				return os.WriteFile(filepath.Join(data, "../../database-passwords"), []byte("*:*:*:keyrounds:x\n"), 0o600)
			},
			[]string{"no password of keyrounds_app", "remove it"},
		},
		"passwords without the owner's": {
			func(data string) error {
				return os.WriteFile(filepath.Join(data, "../../database-passwords"), []byte("*:*:*:keyrounds_app:x\n"), 0o600)
			},
			[]string{"no password of keyrounds", "remove it"},
		},
		"passwords that are empty": {
			func(data string) error {
				return os.WriteFile(filepath.Join(data, "../../database-passwords"), nil, 0o600)
			},
			[]string{"no password of keyrounds", "remove it"},
		},
		"passwords that are a directory": {
			func(data string) error {
				file := filepath.Join(data, "../../database-passwords")
				return errors.Join(os.Remove(file), os.Mkdir(file, 0o700))
			},
			[]string{"database-passwords", "remove it"},
		},
	}
	for name, d := range damage {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(pgtest.Dir(t), "d")
			p, err := start(t, dir, true)
			if err != nil {
				t.Fatal(err)
			}
			p.Stop()
			if err := d.do(filepath.Join(dir, "postgres", "data")); err != nil {
				t.Fatal(err)
			}
			_, err = start(t, dir, true)
			var hinted interface{ Hint() string }
			if err == nil || !errors.As(err, &hinted) || !strings.Contains(err.Error(), d.says[0]) ||
				!strings.Contains(hinted.Hint(), d.says[1]) {
				hint := ""
				if hinted != nil {
					hint = hinted.Hint()
				}
				t.Fatalf("%v; hint %s", err, hint)
			}
			if !strings.Contains(err.Error(), filepath.Join(dir, "postgres.log")) && !strings.HasPrefix(name, "pass") &&
				!strings.HasPrefix(name, "a file in") &&
				!strings.HasPrefix(name, "postmaster") {
				t.Errorf("it does not name the log: %v", err)
			}
			t.Logf("%v\nhint: %s", err, hinted.Hint())
		})
	}
}
