package postgres

import (
	"fmt"
	"log/slog"
	"time"
)

// PrivateOptions say how to run the server. DataDir and Log are required.
type PrivateOptions struct {
	DataDir string
	Daemon  bool // false: a command, which connects to a daemon's server where one runs
	// Settings are added to postgresql.conf's command line; for tests.
	Settings map[string]string
	// Patience is how long to wait for another process. Default a minute.
	Patience time.Duration
	Log      *slog.Logger
}

// InUseError says that another daemon has the data_dir.
type InUseError struct {
	DataDir string
	PID     int
}

func (e *InUseError) Error() string {
	return fmt.Sprintf("data_dir %s is in use by another keyrounds daemon (process %d)", e.DataDir, e.PID)
}

// Hint says what a person does about it.
func (e *InUseError) Hint() string {
	return "stop that one, or give this one its own data_dir; replicas share a database through database.url"
}

// BusyError says that another process has the data_dir, and did not let go of it in time, or that its server did not answer.
type BusyError struct {
	DataDir string
	Daemon  bool // which starts, or whose server does not answer; false: a command
	PID     int
}

func (e *BusyError) Error() string {
	if e.Daemon {
		return fmt.Sprintf("the private Postgres in %s, which the daemon (process %d) runs, does not answer", e.DataDir, e.PID)
	}
	return fmt.Sprintf("data_dir %s is in use by another keyrounds command (process %d), which has not ended", e.DataDir, e.PID)
}

// Hint says what a person does about it.
func (e *BusyError) Hint() string {
	if e.Daemon {
		return "see the log of the daemon; it may still be starting"
	}
	return "wait for it or end it; while a daemon runs, commands share its database"
}
