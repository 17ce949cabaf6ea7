package bounded

import (
	"bufio"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// self is this program, also where its file was replaced meanwhile.
func self() (string, error) { return "/proc/self/exe", nil }

// apart has a worker reached by no key of the terminal.
func apart(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

// arena is what Go's heap grows by, all of which counts as taken.
const arena = 64 << 20

// limit has the kernel refuse a worker more memory than a run may take; what it holds, tokens among it, is in no core file.
//
// What counts is the address space: a limit of data (RLIMIT_DATA) passes over what is mapped in the place of a reservation, and by that
// Go's heap grows: one of 256 MiB let a worker take 961.
func limit() {
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	runtime.GOMAXPROCS(1)
	runtime.GC() // its threads and tables are there before
	now := addressSpace()
	if now == 0 {
		return // there is no /proc: the collector alone bounds it
	}
	most := now + MaxMemory - arena // it began with one
	_ = unix.Setrlimit(unix.RLIMIT_AS, &unix.Rlimit{Cur: most, Max: most})
}

// addressSpace is how much of it the process has (VmSize of proc(5)), in bytes.
func addressSpace() uint64 {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return 0
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), "VmSize:"); ok {
			kib, _ := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(text), " kB"), 10, 64)
			return kib << 10
		}
	}
	return 0
}

func processorTime() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
