// Package senders has programs that send logs, for the tests: an OpenTelemetry Collector, and Splunk's logger of npm. They know
// nothing of keyrounds, and each is a module of its own, in the directory of its name.
package senders

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/keyrounds/keyrounds/sim/authserver"
	"github.com/keyrounds/keyrounds/test/lasting"
)

func here(names ...string) string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(append([]string{filepath.Dir(file)}, names...)...)
}

// collector is the program, made in bin/ once for all tests of a process; several processes may be at it together.
var collector = sync.OnceValues(func() (string, error) {
	program := here("..", "..", "bin", "otelcol")
	if err := os.MkdirAll(filepath.Dir(program), 0o755); err != nil {
		return "", err
	}
	mine := program + "-" + strconv.Itoa(os.Getpid())
	cmd := exec.Command("go", "build", "-o", mine, ".")
	cmd.Dir, cmd.Stderr = here("otelcol"), os.Stderr
	if err := cmd.Run(); err != nil {
		return "", err
	}
	return program, os.Rename(mine, program)
})

// Collector runs an OpenTelemetry Collector with that configuration (the receiver filelog, the exporter otlphttp) until
// the test ends.
func Collector(t testing.TB, config string) {
	t.Helper()
	lasting.Test(t, "it builds and runs an OpenTelemetry Collector")
	program, err := collector()
	if err != nil {
		t.Fatalf("the collector: %v", err)
	}
	name := filepath.Join(t.TempDir(), "otelcol.yaml")
	if err := os.WriteFile(name, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	cmd := exec.Command(program, "--config", "file:"+name)
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := <-ended; err != nil || t.Failed() {
			t.Logf("the collector: %v\n%s", err, said.String())
		}
	})
}

// Splunk sends messages, each a JSON value, with Splunk's own logger (splunk-logging of npm) to the collector at a URL, and returns
// what it was answered, an answer for each message.
func Splunk(t testing.TB, url, token string, messages ...string) []string {
	t.Helper()
	lasting.Test(t, "it installs and runs Splunk's logger")
	home, err := authserver.Packages(here("splunk"), here("..", "..", "bin", "npm"))
	if err != nil {
		t.Fatalf("splunk-logging: %v", err)
	}
	order, err := json.Marshal(map[string]any{"url": url, "token": token, "messages": messages})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", here("splunk", "main.js"))
	cmd.Env = append(os.Environ(), "NODE_PATH="+filepath.Join(home, "node_modules"))
	cmd.Stdin = strings.NewReader(string(order))
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("splunk-logging: %v: %s", err, out)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}
