// Package promtest runs a real Prometheus or Alertmanager for tests: Debian's packages, which make test installs.
package promtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"

	"github.com/keyrounds/keyrounds/test/server"
)

// Server is a running Prometheus.
type Server struct {
	URL string
	API v1.API
}

// Start runs one with a configuration until the test ends. files are put beside the configuration, by name; args are more of its own.
func Start(t testing.TB, config string, files map[string][]byte, args ...string) *Server {
	t.Helper()
	dir := t.TempDir()
	for name, b := range files {
		write(t, filepath.Join(dir, name), b)
	}
	url := serve(t, "prometheus", dir, config, append(args, "--storage.tsdb.path="+filepath.Join(dir, "data"))...)
	client, err := api.NewClient(api.Config{Address: url})
	if err != nil {
		t.Fatal(err)
	}
	return &Server{url, v1.NewAPI(client)}
}

// Alertmanager runs an Alertmanager with a configuration until the test ends, and returns its URL.
func Alertmanager(t testing.TB, config string) string {
	t.Helper()
	dir := t.TempDir()
	return serve(t, "prometheus-alertmanager", dir, config, "--storage.path="+filepath.Join(dir, "data"), "--cluster.listen-address=")
}

// serve runs a program of Prometheus' in dir.
func serve(t testing.TB, program, dir, config string, args ...string) string {
	t.Helper()
	path := filepath.Join(dir, "config.yml")
	write(t, path, []byte(config))
	return server.Start(t, dir, "/-/ready", program, func(address string) []string {
		return append(args, "--config.file="+path, "--web.listen-address="+address)
	})
}

func write(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// ScrapeWith is Scrape with the token in a file, as a Bearer.
func ScrapeWith(job, address, more, tokenFile string) string {
	target := fmt.Sprintf("{job_name: %s, ", job)
	return strings.Replace(Scrape(job, address, more), target, target+fmt.Sprintf("authorization: {credentials_file: %q}, ", tokenFile), 1)
}

// Scrape is a configuration that scrapes one target often. more is put at its top level.
func Scrape(job, address, more string) string {
	return fmt.Sprintf(
		"global: {scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms}\n"+
			"%sscrape_configs:\n  - {job_name: %s, static_configs: [{targets: [%q]}]}\n",
		more,
		job,
		address,
	)
}
