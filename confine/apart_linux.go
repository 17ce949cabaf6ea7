package confine

import (
	"runtime"
	"sync"

	sys "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// Apart calls f on a thread of its own that, where the kernel has Landlock, can open, make, change and reach nothing, and gets no new
// privileges: f reads what strangers wrote from what was opened before. What f starts by go runs on other threads, as all else.
func Apart[T any](f func() T) (got T) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never lets go, so that the thread ends here
		shutOff()
		got = f()
	}()
	<-done
	return got
}

// Landlock is the version of the kernel's Landlock ABI; 0: it has none, or a filter of system calls keeps us from it.
func Landlock() int {
	version, err := sys.LandlockGetABIVersion()
	if err != nil {
		return 0
	}
	return version
}

// shutOff is for this thread alone.
func shutOff() {
	if fd := nothing(); fd >= 0 && unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == nil {
		_ = sys.LandlockRestrictSelf(fd, 0)
	}
}

// nothing is a ruleset that allows nothing; -1: there is none here.
var nothing = sync.OnceValue(func() int {
	abi := Landlock()
	if abi == 0 {
		return -1
	}
	// What each version knows: https://docs.kernel.org/userspace-api/landlock.html#previous-limitations
	files := uint64(sys.AccessFSMakeSym<<1 - 1)
	for version, access := range map[int]uint64{2: sys.AccessFSRefer, 3: sys.AccessFSTruncate, 5: sys.AccessFSIoctlDev} {
		if abi >= version {
			files |= access
		}
	}
	rules := sys.RulesetAttr{HandledAccessFS: files}
	if abi >= 4 {
		rules.HandledAccessNet = sys.AccessNetBindTCP | sys.AccessNetConnectTCP
	}
	if abi >= 6 {
		rules.Scoped = sys.ScopeAbstractUnixSocket | sys.ScopeSignal
	}
	fd, err := sys.LandlockCreateRuleset(&rules, 0)
	if err != nil {
		return -1
	}
	return fd
})
