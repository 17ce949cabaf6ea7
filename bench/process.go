package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a program that is measured while it runs.
type process struct {
	*exec.Cmd
	log string // its file
}

// start runs a program in dir, with the URL of a database, until stop; what it prints goes into a file there.
func start(dir, database, name string, args ...string) (*process, error) {
	path := filepath.Join(dir, filepath.Base(name)+".log")
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, file, file
	cmd.Env = append(os.Environ(), "DATABASE_URL="+database)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return &process{cmd, path}, cmd.Start()
}

func (p *process) stop() {
	_ = p.Process.Signal(syscall.SIGTERM)
	_ = p.Wait()
}

// cpu is the CPU time, user and system, of a process and of the children that it has or had. Linux only (proc(5)).
func cpu(pid int) time.Duration {
	var sum int
	for range 10 {
		own, _ := ticks(pid)
		sum = own
		stats, _ := filepath.Glob("/proc/[0-9]*/stat")
		for _, path := range stats {
			child, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			if n, parent := ticks(child); parent == pid {
				sum += n
			}
		}
		if again, _ := ticks(pid); again == own { // else a child may have ended meanwhile, and be missing
			break
		}
	}
	return time.Duration(sum) * time.Second / clockTicks
}

// clockTicks a second is what Linux counts in (USER_HZ).
const clockTicks = 100

// ticks of a process and of its children that ended.
func ticks(pid int) (n, parent int) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	fields := strings.Fields(rest)
	for _, f := range fields[11:15] {
		t, _ := strconv.Atoi(f)
		n += t
	}
	parent, _ = strconv.Atoi(fields[1])
	return n, parent
}

// memory is what a process holds in RAM, in MiB.
func memory(pid int) int {
	file, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "VmRSS:"); ok {
			kb, _ := strconv.Atoi(strings.Fields(rest)[0])
			return kb >> 10
		}
	}
	return 0
}

// freeAddress is a loopback address at which nobody listens.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// build compiles a program of this repository into dir.
func build(ctx context.Context, dir, pkg string) (string, error) {
	path := filepath.Join(dir, filepath.Base(pkg))
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", path, pkg)
	cmd.Stdout, cmd.Stderr = io.Discard, os.Stderr
	return path, cmd.Run()
}
