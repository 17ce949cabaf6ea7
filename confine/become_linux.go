package confine

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"

	"github.com/landlock-lsm/go-landlock/landlock"
	"golang.org/x/sys/unix"
)

// system is what programs need beside what they are given; where the program itself is comes to it.
var system = []string{"/usr", "/bin", "/lib", "/lib32", "/lib64", "/nix/store", "/opt/homebrew"}

// Become confines this process and makes it the program that args name, as Command wrote them: -r DIR…, --, the program and its
// arguments. It returns only with an error.
func Become(args []string) error {
	var dirs []string
	for len(args) > 1 && args[0] == "-r" {
		dirs, args = append(dirs, args[1]), args[2:]
	}
	if len(args) < 2 || args[0] != "--" {
		return errors.New("-r DIR… -- PROGRAM ARGUMENT… is expected")
	}
	program, err := exec.LookPath(args[1])
	if err != nil {
		return err
	}
	readable := slices.Concat(dirs, system)
	if real, err := filepath.EvalSymlinks(program); err == nil {
		if home := filepath.Dir(filepath.Dir(real)); home != "/" { // of …/bin/git
			readable = append(readable, home)
		}
	}
	runtime.LockOSThread() // what holds for this thread holds for the program
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no new privileges: %w", err)
	}
	err = landlock.V5.BestEffort().Restrict(
		landlock.RODirs(readable...).IgnoreIfMissing(),
		landlock.ROFiles("/etc/ld.so.cache", "/dev/urandom", "/dev/zero").IgnoreIfMissing(),
		landlock.RWFiles("/dev/null"),
	)
	if err != nil {
		return fmt.Errorf("landlock: %w", err)
	}
	return syscall.Exec(program, args[1:], os.Environ())
}
