// Package promtest runs a real Prometheus for tests: Debian's package, which make test installs.
package promtest

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
)

// Server is a running Prometheus.
type Server struct {
	URL string
	API v1.API
	log *bytes.Buffer
}

// Start runs one with a configuration until the test ends. files are put beside the configuration, by name.
func Start(t testing.TB, config string, files map[string][]byte) *Server {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "prometheus.yml")
	write(t, path, []byte(config))
	for name, b := range files {
		write(t, filepath.Join(dir, name), b)
	}
	address := free(t)
	s := &Server{URL: "http://" + address, log: &bytes.Buffer{}}
	cmd := exec.Command("prometheus", "--config.file="+path, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address, "--log.level=warn")
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, s.log, s.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatalf("the tests need Prometheus (test/setup.sh installs it): %v", err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-done
	})
	s.await(t, done)
	client, err := api.NewClient(api.Config{Address: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	s.API = v1.NewAPI(client)
	return s
}

func (s *Server) await(t testing.TB, done chan error) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		resp, err := http.Get(s.URL + "/-/ready")
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case err := <-done:
			done <- err
			t.Fatalf("Prometheus ended: %v: %s", err, s.log)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("Prometheus is not ready: %s", s.log)
		}
	}
}

func free(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func write(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Scrape is a configuration that scrapes one target often.
func Scrape(job, address string, more string) string {
	return fmt.Sprintf("global: {scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms}\n%sscrape_configs:\n  - {job_name: %s, static_configs: [{targets: [%q]}]}\n", more, job, address)
}
