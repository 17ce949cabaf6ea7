// Package confine runs programs that read what strangers wrote: with Landlock, where the kernel has it, they read what they are
// given and the system's programs, write nothing, and connect to nobody; and they get no new privileges.
package confine

import (
	"context"
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

// Launcher is how this program is started again to confine itself before it becomes another one: its arguments lead to Become.
// The zero Launcher starts programs as they are.
type Launcher []string

// Command is exec.CommandContext for a program that may read what lies in dirs.
func (l Launcher) Command(ctx context.Context, dirs []string, name string, args ...string) *exec.Cmd {
	if len(l) == 0 {
		return exec.CommandContext(ctx, name, args...)
	}
	line := slices.Clone(l[1:])
	for _, dir := range dirs {
		line = append(line, "-r", dir)
	}
	cmd := exec.CommandContext(ctx, l[0], append(append(line, "--", name), args...)...)
	cmd.Args[0] = os.Args[0] // by whatever name this program goes
	return cmd
}

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
