// Package server runs servers that nobody here wrote for tests: programs of Debian's packages, which make test installs.
package server

import (
	"bytes"
	"net"
	"net/http"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// Start runs a program in dir until the test ends, with the arguments that it is given for its address, and returns its URL when it
// answers there by HTTP at ready: with 200, or with 401 where it wants to know who asks.
func Start(t testing.TB, dir, ready, program string, args func(address string) []string) string {
	t.Helper()
	address := Free(t)
	var log bytes.Buffer
	cmd := exec.Command(program, args(address)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatalf("the tests need %s (test/setup.sh installs it): %v", program, err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("%s: %s", program, log.String())
		}
	})
	url := "http://" + address
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		resp, err := http.Get(url + ready)
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusUnauthorized {
				return url
			}
		}
		select {
		case <-ended:
			t.Fatalf("%s ended: %s", program, log.String())
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not become ready: %v", program, err)
		}
	}
}

// Free is an address of loopback that nobody listens on.
func Free(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
