package postgres

import (
	"strings"
	"testing"
)

// The first thing that was fatal is what a person reads, with its details and our way out; not what was said last, nor what those
// were told who came meanwhile. The texts are Postgres' own, of 15.14.
func TestLastWords(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ said, want, hint string }{
		"a full disk": {
			`2026-11-27 10:00:00 UTC FATAL:  the database system is starting up
2026-11-27 10:00:00 UTC PANIC:  could not write to file "pg_wal/xlogtemp.29": No space left on device
2026-11-27 10:00:01 UTC LOG:  startup process (PID 29) was terminated by signal 6: Aborted
2026-11-27 10:00:01 UTC LOG:  database system is shut down
`,
			`could not write to file "pg_wal/xlogtemp.29": No space left on device`, "the disk of /data is full",
		},
		"initdb on a full disk": {
			`The files belonging to this database system will be owned by user "postgres".
creating directory /data/postgres/data.new ... ok
running bootstrap script ... 2026-11-27 10:00:00.000 UTC [33] FATAL:  could not extend file "base/1/1255": No space left on device
2026-11-27 10:00:00.000 UTC [33] HINT:  Check free disk space.
child process exited with exit code 1
initdb: removing data directory "/data/postgres/data.new"
`,
			`could not extend file "base/1/1255": No space left on device`, "the disk of /data is full",
		},
		"initdb that may not write": {
			"creating directory /data/d.new ... initdb: error: could not create directory \"/data/postgres\": Permission denied\n",
			`could not create directory "/data/postgres": Permission denied`, "",
		},
		"another version": {
			`2026-11-27 10:00:00 UTC FATAL:  database files are incompatible with server
2026-11-27 10:00:00 UTC DETAIL:  The data directory was initialized by PostgreSQL version 14, which is not compatible with this version.
`,
			"database files are incompatible with server: The data directory was initialized by PostgreSQL version 14, " +
				"which is not compatible with this version", "install the Postgres of that version",
		},
		"a hint of Postgres' own": {
			`2026-11-27 10:00:00 UTC FATAL:  could not map anonymous memory: Cannot allocate
2026-11-27 10:00:00 UTC HINT:  Reduce shared_buffers.
`,
			"could not map anonymous memory: Cannot allocate", "Reduce shared_buffers.",
		},
		"nothing fatal": {"2026-11-27 10:00:00 UTC LOG:  starting\n", "2026-11-27 10:00:00 UTC LOG:  starting", ""},
		"a long line":   {"FATAL:  " + strings.Repeat("x", 10_000) + "\n", strings.Repeat("x", 4096-8), ""},
	} {
		var w lastWords
		for _, part := range []string{c.said[:len(c.said)/2], c.said[len(c.said)/2:]} { // as it comes
			if _, err := w.Write([]byte(part)); err != nil {
				t.Fatal(err)
			}
		}
		err := w.trouble("/data")
		if err.Error() != c.want || !strings.Contains(err.Hint(), c.hint) {
			t.Errorf("%s: %q; hint %q", name, err.Error(), err.Hint())
		}
	}
}
