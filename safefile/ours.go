package safefile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// NotOursError says that root was given a directory in which another user can change what lies there.
type NotOursError struct {
	Dir string // it, or one above it
	UID uint32 // its owner; 0: everybody can write to it
}

func (e *NotOursError) Error() string {
	if e.UID != 0 {
		return fmt.Sprintf("%s belongs to %s, and root does not work in the directories of other users", e.Dir, UserName(e.UID))
	}
	return fmt.Sprintf("everybody can write to %s, and root does not work there", e.Dir)
}

// Hint says what a person does about it.
func (e *NotOursError) Hint() string {
	if e.UID != 0 {
		return fmt.Sprintf("run it as that user: runuser -u %s -- keyrounds …; or give a directory that root owns", UserName(e.UID))
	}
	return "give another directory, for example one under /var/lib, or chmod o-w " + e.Dir
}

// Ours returns a *NotOursError where we are root, and somebody else can exchange dir, or what is above it. What is not there
// yet is as safe as what is above it. Anybody but root may work wherever he can.
func Ours(dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if err := above(abs); err != nil {
		return err
	}
	real, err := filepath.EvalSymlinks(abs)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return above(real)
}

func above(dir string) error {
	for ; ; dir = filepath.Dir(dir) {
		st, err := os.Stat(dir)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if err == nil {
			owner := st.Sys().(*syscall.Stat_t).Uid
			if owner != 0 || st.Mode().Perm()&0o002 != 0 && st.Mode()&os.ModeSticky == 0 {
				return &NotOursError{dir, owner}
			}
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}
