package safefile

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
)

// NotOursError says that root was given a directory in which another user can change what lies there.
type NotOursError struct {
	Dir string // it, or one above it
	UID uint32 // its owner; 0: others can write to it
	// Group can write to it; "": everybody can.
	Group string
}

func (e *NotOursError) Error() string {
	if e.UID != 0 {
		return fmt.Sprintf("%s belongs to %s, and root does not work in the directories of other users", e.Dir, UserName(e.UID))
	}
	who := "everybody"
	if e.Group != "" {
		who = "the group " + e.Group
	}
	return fmt.Sprintf("%s can write to %s, and root does not work there", who, e.Dir)
}

// Hint says what a person does about it.
func (e *NotOursError) Hint() string {
	if e.UID != 0 {
		return fmt.Sprintf("run it as that user: runuser -u %s -- keyrounds …; or give a directory that root owns", UserName(e.UID))
	}
	return "give another directory, for example one under /var/lib, or chmod go-w " + e.Dir
}

func groupName(gid uint32) string {
	id := strconv.FormatUint(uint64(gid), 10)
	if g, err := user.LookupGroupId(id); err == nil {
		return g.Name
	}
	return id
}

// Ours returns a *NotOursError where we are root, and somebody else can put something into dir, or exchange it or what is above it. What
// is not there yet is as safe as what is above it. Anybody but root may work wherever he can.
func Ours(dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if err := alone(abs); err != nil {
		return err
	}
	real, err := filepath.EvalSymlinks(abs)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return alone(real)
}

func alone(dir string) error {
	for at := dir; ; at = filepath.Dir(at) {
		st, err := os.Stat(at)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if err == nil {
			if err := rootAlone(at, st, at != dir); err != nil {
				return err
			}
		}
		if at == filepath.Dir(at) {
			return nil
		}
	}
}
