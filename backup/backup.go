// Package backup writes a whole database and its sealing key to one encrypted file, checks such a file, and makes a database
// of it.
//
// It needs no program of Postgres: tables go by COPY over a connection, all from one snapshot, so it works beside a daemon. It
// keeps no plain text on the disk, neither when it writes nor when it reads. When, where to, and how many are kept is the
// business of whoever calls it.
package backup

import (
	"errors"
	"fmt"
	"time"
)

// The file is age (filippo.io/age) over zstd over tar, with these entries in this order:
//
//	manifest.json         what it is and what follows, a Manifest
//	sealing.key           unless it was left out
//	tables/NAME/00000001  the rows of a table, as COPY gives them (FORMAT binary), cut in pieces
//	…
//	sums.json             the Sum of each entry above but the first: a file without it was cut short
const (
	format       = 1
	manifestName = "manifest.json"
	keyName      = "sealing.key"
	sumsName     = "sums.json"
	tablePrefix  = "tables/"

	pieceSize  = 1 << 20
	maxPiece   = 16 << 20 // that is read; later versions may write larger ones
	maxWindow  = 64 << 20 // of zstd: what it may keep in memory
	maxSmall   = 4 << 20  // of a JSON entry
	maxKeySize = 64 << 10
)

// Manifest says what a backup is.
type Manifest struct {
	Format    int       `json:"format"`
	Keyrounds string    `json:"keyrounds"` // the version that wrote it
	Schema    int64     `json:"schema"`    // the number of the last migration
	At        time.Time `json:"at"`        // what is in it was so at about that time
	// SealingKey reports whether the key is in it, without which nobody opens what is sealed.
	SealingKey bool             `json:"sealing_key"`
	Months     []string         `json:"months"`    // that checks has partitions for, as 2027-03
	Tables     []Table          `json:"tables"`    // what a table refers to comes before it
	Sequences  map[string]int64 `json:"sequences"` // the last number that each gave; those that gave none are not in it
}

// Table is one of a Manifest.
type Table struct {
	Name    string   `json:"name"`
	Columns []string `json:"columns"`
}

// Sum is what an entry has.
type Sum struct {
	Rows   int64  `json:"rows,omitempty"` // of a table
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// Contents are all that can be said of a backup without showing what is in it.
type Contents struct {
	Manifest
	Sums map[string]Sum `json:"sums"` // by the name of a table, and that of the key
	Size int64          `json:"size"` // of the file, in bytes
}

// Rows is how many rows all tables have.
func (c Contents) Rows() (n int64) {
	for _, s := range c.Sums {
		n += s.Rows
	}
	return n
}

// leftOut are the tables that no backup has, and why.
func leftOut() map[string]string {
	const queue = "the queue's: what was asked for and not done; what is due is in credentials, and is asked for again"
	return map[string]string{
		"schema_migrations":   "the migrations fill it; the manifest has its last number",
		"river_migration":     "the queue's migrations fill it",
		"river_job":           queue,
		"river_leader":        queue,
		"river_queue":         queue,
		"river_notification":  queue,
		"access_sessions":     "a session that was ended must not come back: people sign in again",
		"access_first_run":    "likewise a token that was used",
		"keyrounds_restoring": "is there while a database is being restored, and then nothing is backed up",
	}
}

// ErrEmpty says that there is nothing to back up.
var ErrEmpty = errors.New("the database has no schema yet: there is nothing to back up")

// DamagedError says that a file is not as it was written.
type DamagedError struct{ Err error }

func (e *DamagedError) Error() string {
	return fmt.Sprintf("the backup is damaged or was cut short: %v", e.Err)
}

// Hint says what a person does about it.
func (*DamagedError) Hint() string {
	return "nothing of it was restored; take an earlier backup, or another copy of this one"
}

func (e *DamagedError) Unwrap() error { return e.Err }

// UnknownFormatError says that a newer keyrounds wrote the file.
type UnknownFormatError struct{ Manifest }

func (e *UnknownFormatError) Error() string {
	return fmt.Sprintf("the backup was made by keyrounds %s, which is newer: this one is too old for it", e.Keyrounds)
}

// Hint says what a person does about it.
func (*UnknownFormatError) Hint() string { return "restore it with that version, or a later one" }
