//go:build linux

package postgres

import "strings"

// waysOut say what a person does where the server's words are these. DIR is the data_dir.
var waysOut = []struct{ words, hint string }{
	{"No space left on device", "the disk of DIR is full: free some space, and start keyrounds again; what was stored is kept"},
	{"Read-only file system", "the file system of DIR can only be read: see dmesg, mend or mount it anew, and start keyrounds again"},
	{"Input/output error", "the disk of DIR fails: see dmesg; what is lost comes back from a backup (docs/backup.md)"},
	{"Cannot allocate memory", "the machine has too little memory for Postgres"},
	{"could not map anonymous shared memory", "the machine has too little memory for Postgres"},
	{"could not create shared memory segment", "the kernel's limits for shared memory are too small for Postgres"},
	{"could not create semaphores", "the kernel's limits for semaphores are too small for Postgres"},
	{"initialized by PostgreSQL version", "install the Postgres of that version beside the other, or move over with pg_upgrade"},
	{"is not compatible with this version", "install the Postgres of that version beside the other, or move over with pg_upgrade"},
	{"has wrong ownership", "give DIR/postgres back to the user that ran it before: chown -R"},
	{"has invalid permissions", "chmod 700 DIR/postgres/data"},
	{"lock file \"postmaster.pid\" already exists", "a Postgres that keyrounds does not know runs on DIR/postgres/data: stop it"},
	{"PG_CONTROL_VERSION 0", damaged},
	{"incompatible with server", "install the Postgres of that version beside the other, or move over with pg_upgrade"},
	{"could not open configuration file", damaged},
	{"could not access the server configuration file", damaged},
	{"contains errors", "mend that line, or take it out, and start keyrounds again"},
	{"pg_filenode.map", damaged},
	{"could not open file \"base/", damaged},
	{"could not open file \"global/", damaged},
	{"could not open file \"pg_", damaged},
	{"could not access status of transaction", damaged},
	{"could not read block", damaged},
	{"checkpoint record", damaged},
	{"control file", damaged},
	{"pg_wal", damaged},
	{"invalid page", damaged},
	{"is not a valid data directory", damaged},
	{"is not a database cluster directory", damaged},
}

const damaged = "the files of the database are damaged or lost: keep a copy of DIR, and restore from a backup (docs/backup.md)"

// wayOut returns the hint for what was said, or "".
func wayOut(said, dir string) string {
	for _, w := range waysOut {
		if strings.Contains(said, w.words) {
			return strings.ReplaceAll(w.hint, "DIR", dir)
		}
	}
	return ""
}
