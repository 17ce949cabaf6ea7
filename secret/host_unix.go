//go:build unix

package secret

import (
	"os"
	"os/exec"
	"syscall"
)

// endsWhole has all that a command started end with it.
func endsWhole(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}

// sameOwner gives a file to who has the other.
func sameOwner(f *os.File, as os.FileInfo) error {
	owner := as.Sys().(*syscall.Stat_t)
	if int(owner.Uid) == os.Geteuid() && int(owner.Gid) == os.Getegid() {
		return nil
	}
	return f.Chown(int(owner.Uid), int(owner.Gid))
}

// lockAlone waits until no other process has f locked.
func lockAlone(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX) }
