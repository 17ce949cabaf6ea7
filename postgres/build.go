//go:build linux

package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
)

// A private server that is made from a backup is built in data_dir/restoring, a place like any other, and its directory is
// moved to where it belongs when all is done: with that one rename the database is there. So where there is a restoring and
// no postgres, a restore was cut short, and nobody makes an empty database there instead.

const restoringDir = "restoring"

// CutShortError says that a restore into the data_dir did not end.
type CutShortError struct{ DataDir string }

func (e *CutShortError) Error() string {
	return fmt.Sprintf("a restore into data_dir %s was cut short: there is no database yet", e.DataDir)
}

// Hint says what a person does about it.
func (e *CutShortError) Hint() string {
	return "keyrounds restore again; or, to begin with an empty database, remove " + filepath.Join(e.DataDir, restoringDir)
}

// TakenError says that a data_dir has a database already.
type TakenError struct{ Dir string }

func (e *TakenError) Error() string {
	return fmt.Sprintf("there is a database already, in %s: a backup is restored into an empty data_dir only", e.Dir)
}

// Hint says what a person does about it.
func (e *TakenError) Hint() string {
	return fmt.Sprintf("give another directory with --data-dir; or, with the daemon stopped: mv %s %s.old", e.Dir, e.Dir)
}

func (p place) restoring() string { return filepath.Join(p.dataDir, restoringDir) }

// cutShort says whether a restore was, and that it is not under way: call it with the lock.
func (p place) cutShort() error {
	if there(p.restoring()) && !there(p.servers()) {
		return &CutShortError{p.dataDir}
	}
	return nil
}

func there(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, os.ErrNotExist)
}

// BuildPrivate makes a private server in a data_dir that has none, which is made too where it is missing, has fill fill it, and
// puts it in place: it is there whole, or not at all. What was left by one that was cut short is removed first. fill's error is
// returned as it is. Others: *TakenError, *InUseError, those of StartPrivate. o.Daemon is not looked at.
func BuildPrivate(ctx context.Context, o PrivateOptions, fill func(context.Context, *Private) error) (err error) {
	_, statErr := os.Lstat(o.DataDir)
	p, err := findPlace(o.DataDir)
	if err != nil {
		return err
	}
	lock, err := waitForLock(ctx, p)
	if err != nil {
		return err
	}
	defer lock.release()
	if errors.Is(statErr, os.ErrNotExist) {
		defer func() {
			if err != nil {
				_ = os.Remove(filepath.Join(p.dataDir, "lock"))
				_ = os.Remove(p.dataDir) // if it is empty
			}
		}()
	}
	if there(p.servers()) && os.Remove(p.servers()) != nil { // an empty one is nobody's
		return &TakenError{p.servers()}
	}
	o.DataDir, o.Daemon = p.restoring(), true
	if err := clearRestoring(ctx, p, o.Log); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, clearRestoring(context.WithoutCancel(ctx), p, o.Log)) }()
	if err := build(ctx, o, fill); err != nil {
		return err
	}
	// Of a server that was there before: without them this one's roles get new ones at its start.
	if err := os.Remove(p.passwords()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Rename(filepath.Join(p.restoring(), "postgres"), p.servers()); err != nil {
		return err
	}
	return syncDir(p.dataDir)
}

// waitForLock waits for a command that has it, and for no daemon.
func waitForLock(ctx context.Context, p place) (lock *dirLock, err error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	err = waitFor(ctx, func() (bool, error) {
		l, h, err := lockDir(p.dataDir, "command")
		lock = l
		switch {
		case err == nil:
			return true, nil
		case !errors.Is(err, errLocked):
			return false, fmt.Errorf("data_dir: %w", err)
		case h.role == "daemon":
			return false, &InUseError{p.dataDir, h.pid}
		}
		return false, nil
	})
	return lock, err
}

func build(ctx context.Context, o PrivateOptions, fill func(context.Context, *Private) error) error {
	half, err := StartPrivate(ctx, o)
	if err != nil {
		return err
	}
	defer half.Stop()
	if err := fill(ctx, half); err != nil {
		return err
	}
	// So that the server has nothing left to write when it is stopped, which is given 10 s.
	return Plain(half.place.withConn(ctx, adminRole, database, func(c *pgx.Conn) error {
		_, err := c.Exec(ctx, `CHECKPOINT`)
		return err
	}))
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// clearRestoring removes what is left in data_dir/restoring; what the server's user owns, as that user.
func clearRestoring(ctx context.Context, p place, log *slog.Logger) error {
	if !there(p.restoring()) {
		return nil
	}
	half, err := findPlace(p.restoring())
	if err != nil {
		return err
	}
	if st, err := os.Lstat(half.servers()); err == nil {
		if half.user == nil || st.Sys().(*syscall.Stat_t).Uid == half.user.Uid {
			s := &server{place: half, log: log}
			if err := s.stopOrphan(ctx); err != nil {
				return err
			}
			if err := half.removeSocketDir(ctx); err != nil {
				return err
			}
			if err := half.asUser(ctx, "find", half.servers(), "-mindepth", "1", "-delete"); err != nil {
				return err
			}
		}
		if err := os.Remove(half.servers()); err != nil {
			return err
		}
	}
	return os.RemoveAll(half.dataDir)
}

// removeSocketDir is for a place that is given up, where the socket is not beside the data.
func (p place) removeSocketDir(ctx context.Context) error {
	if strings.HasPrefix(p.socket, p.dataDir) {
		return nil
	}
	return p.asUser(ctx, "rm", "-rf", p.socket)
}
