//go:build linux

package postgres

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/keyrounds/keyrounds/safefile"
)

// stopOrphan stops a Postgres server that is still running because its keyrounds process was killed. Call it with the
// lock on the data directory held: then no living process uses that server.
//
// postmaster.pid names a process, but the number may be another's by now: after a restart of the machine, in a container,
// or because somebody wrote it. Only what is proven to be our server is signalled; where another process has the number,
// the file is removed, since Postgres would take that one for its predecessor.
func (s *server) stopOrphan(ctx context.Context) error {
	pid, began, err := s.postmaster()
	if err != nil || pid == 0 {
		return err
	}
	process, err := os.FindProcess(pid) // by pidfd: from here on it is this process and no later one
	if err != nil {
		return err
	}
	defer func() { _ = process.Release() }()
	if over(process) {
		return nil
	}
	why, err := s.another(pid, began)
	switch {
	case err != nil:
		return fmt.Errorf(
			"postmaster.pid in %s names process %d, of which it cannot be told whether it is our Postgres: %w",
			s.data(),
			pid,
			err,
		)
	case why != "":
		s.log.Warn("postmaster.pid of the private Postgres was left behind, and its number is another process' by now; it is removed",
			"dir", s.data(), "pid", pid, "why", why)
		return s.asUser(ctx, "rm", "-f", filepath.Join(s.data(), "postmaster.pid"))
	}
	s.log.Warn("a private Postgres was left running by a keyrounds that was killed; it is stopped", "dir", s.data(), "pid", pid)
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT} { // fast, then immediate
		if err := process.Signal(sig); err != nil {
			return nil //nolint:nilerr // it has ended
		}
		ended, cancel := context.WithTimeout(ctx, stopTimeout)
		err = waitFor(ended, func() (bool, error) { return over(process), nil })
		cancel()
		if err == nil {
			return nil
		}
	}
	return fmt.Errorf("the Postgres that an earlier keyrounds left running (process %d) does not stop", pid)
}

// over reports whether a process has ended, also where nobody has asked yet how, as in containers without an init.
func over(p *os.Process) bool {
	if err := p.Signal(syscall.Signal(0)); err != nil && !errors.Is(err, os.ErrPermission) {
		return true
	}
	stat, err := statOf(fmt.Sprintf("/proc/%d", p.Pid))
	return err == nil && stat[0] == "Z"
}

// postmaster returns whom postmaster.pid names, and when that server says to have begun; 0: there is no such file.
func (s *server) postmaster() (pid int, began time.Time, err error) {
	name := filepath.Join(s.data(), "postmaster.pid")
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return 0, began, nil
	case errors.Is(err, unix.ELOOP):
		return 0, began, &troubleError{name + " is a link", "Postgres makes none: remove it, and see who made it"}
	case errors.Is(err, unix.ENOTDIR):
		return 0, began, &troubleError{s.data() + " is no directory", strings.ReplaceAll(damaged, "DIR", s.dataDir)}
	case err != nil:
		return 0, began, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return 0, began, err
	}
	if !st.Mode().IsRegular() {
		return 0, began, &troubleError{name + " is no file", "Postgres makes a file of it: remove it, and see who made it"}
	}
	lines := bufio.NewScanner(io.LimitReader(f, 4096))
	var line [3]string // the number, the data directory, the time of its start in seconds
	for i := range line {
		if lines.Scan() {
			line[i] = strings.TrimSpace(lines.Text())
		}
	}
	pid, err = strconv.Atoi(line[0])
	if err != nil || pid <= 1 {
		return 0, began, nil //nolint:nilerr // Postgres itself says what it thinks of such a file
	}
	seconds, _ := strconv.ParseInt(line[2], 10, 64)
	return pid, time.Unix(seconds, 0), nil
}

// another says why the process is not our server: it runs as another user, or works elsewhere; "" where it is. The error
// says that it can be neither: something of that user's works in the data directory, and did not begin when our server did.
func (s *server) another(pid int, began time.Time) (why string, err error) {
	proc := fmt.Sprintf("/proc/%d", pid)
	st, err := os.Stat(proc)
	if err != nil {
		return "", err
	}
	uid := uint32(os.Geteuid())
	if s.user != nil {
		uid = s.user.Uid
	}
	if owner := st.Sys().(*syscall.Stat_t).Uid; owner != uid {
		return "it runs as " + safefile.UserName(owner), nil
	}
	ours, err := os.Stat(s.data())
	if err != nil {
		return "", err
	}
	its, err := os.Stat(proc + "/cwd") // a server works in its data directory
	if err != nil {
		return "", err
	}
	name, _ := os.ReadFile(proc + "/comm")
	if !os.SameFile(ours, its) {
		return fmt.Sprintf("it is %q and works elsewhere", strings.TrimSpace(string(name))), nil
	}
	really, err := startOf(proc)
	if err != nil {
		return "", err
	}
	if d := really.Sub(began).Abs(); d > startSlack {
		return "", fmt.Errorf("it is %q, works there, and began at %s in place of %s; if it is no Postgres, end it, else stop it by hand",
			strings.TrimSpace(string(name)), really.UTC().Format(time.RFC3339), began.UTC().Format(time.RFC3339))
	}
	return "", nil
}

// startSlack is what clocks may differ by: the kernel counts from its own start, whose time it knows to a second, and
// the server takes the time when it has read its configuration. A clock that was set since then moves the first.
const startSlack = 10 * time.Second

// statOf returns the fields of a process' stat, proc(5), from the third on: its state.
func statOf(proc string) ([]string, error) {
	stat, err := os.ReadFile(proc + "/stat")
	if err != nil {
		return nil, err
	}
	after := string(stat)[strings.LastIndexByte(string(stat), ')')+1:] // the name, in brackets, may have anything in it
	fields := strings.Fields(after)
	if len(fields) < 20 {
		return nil, fmt.Errorf("%s/stat has %d fields", proc, len(fields))
	}
	return fields, nil
}

// startOf returns when a process began: field 22, in ticks since the boot.
func startOf(proc string) (time.Time, error) {
	fields, err := statOf(proc)
	if err != nil {
		return time.Time{}, err
	}
	ticks, err := strconv.ParseInt(fields[19], 10, 64)
	if err != nil {
		return time.Time{}, err
	}
	var since unix.Timespec // boot, by the clock that counts on in sleep
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &since); err != nil {
		return time.Time{}, err
	}
	const perSecond = 100 // USER_HZ
	boot := time.Now().Add(-time.Duration(since.Nano()))
	return boot.Add(time.Duration(ticks) * time.Second / perSecond), nil
}
