package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// endpoint is a stub that runs.
type endpoint struct {
	*process
	url string
}

// stats are what a stub says of itself.
type stats struct {
	Requests int     `json:"requests"`
	AtOnce   int     `json:"at_once"` // since it was asked last
	CPU      float64 `json:"cpu_seconds"`
}

func (b *bed) endpoint(ctx context.Context, latency time.Duration) (e endpoint, err error) {
	address, err := freeAddress()
	if err != nil {
		return e, err
	}
	e.url = "http://" + address
	if e.process, err = start(b.dir, "", b.stub, "-listen", address, "-latency", latency.String()); err != nil {
		return e, err
	}
	return e, await(ctx, "the token endpoint", func() bool {
		_, err := e.stats(ctx)
		return err == nil
	})
}

func (e endpoint) stats(ctx context.Context) (s stats, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.url+"/stats", nil)
	if err != nil {
		return s, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return s, err
	}
	defer resp.Body.Close()
	return s, json.NewDecoder(resp.Body).Decode(&s)
}

// fleet is a number of credentials of one provider, and the daemons that check them.
type fleet struct {
	credentials int
	concurrency int
	schedule    string
	latency     time.Duration
	daemons     int
}

// run registers a fleet in an empty database and starts its daemons; stop ends all of it.
type running struct {
	endpoint
	daemons  []*process
	database string
	imported time.Duration
	address  string        // of the first daemon
	ready    time.Duration // until the first daemon was
	debug    string        // address of the first daemon's profiles
}

func (b *bed) run(ctx context.Context, f fleet) (r *running, err error) {
	r = &running{}
	defer func() {
		if err != nil {
			r.stop()
		}
	}()
	if r.endpoint, err = b.endpoint(ctx, f.latency); err != nil {
		return r, err
	}
	if r.database, err = b.newDatabase(ctx); err != nil {
		return r, err
	}
	config := filepath.Join(b.dir, "bench.yaml")
	list := filepath.Join(b.dir, "bench.csv")
	if err := os.WriteFile(list, credentials(f), 0o600); err != nil {
		return r, err
	}
	for i := range max(1, f.daemons) {
		address, err := freeAddress()
		if err != nil {
			return r, err
		}
		debug, err := freeAddress()
		if err != nil {
			return r, err
		}
		if i == 0 {
			r.debug, r.address = debug, address
		}
		text := fmt.Sprintf(configuration, b.dir, r.database, address, r.url, f.concurrency, debug)
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			return r, err
		}
		if i == 0 {
			began := time.Now()
			out, err := b.command(ctx, r.database, "--config", config, "credentials", "import", "--no-check", list).CombinedOutput()
			if err != nil {
				return r, fmt.Errorf("import: %w: %s", err, out)
			}
			r.imported = time.Since(began)
		}
		began := time.Now()
		p, err := start(b.dir, r.database, b.keyrounds, "--config", config, "run")
		if err != nil {
			return r, err
		}
		r.daemons = append(r.daemons, p)
		if err := await(ctx, "the daemon is ready", func() bool {
			resp, err := http.Get("http://" + address + "/readyz")
			if err == nil {
				resp.Body.Close()
			}
			return err == nil && resp.StatusCode == http.StatusOK
		}); err != nil {
			return r, err
		}
		if i == 0 {
			r.ready = time.Since(began)
		}
	}
	return r, nil
}

const configuration = `
data_dir: %[1]s
database: {url: env:DATABASE_URL}
listen: %[3]s
debug: {listen: "%[6]s"}
providers:
  bench:
    token_url: "%[4]s/token"
    auth_method: client_secret_post
    allow_private_networks: true
    concurrency: %[5]d
    rate: 100000/s
    min_interval: 1s
`

func (b *bed) command(ctx context.Context, database string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, b.keyrounds, args...)
	cmd.Env = append(os.Environ(), "DATABASE_URL="+database)
	return cmd
}

func credentials(f fleet) []byte {
	var b strings.Builder
	b.WriteString("name,provider,client_id,client_secret,schedule\n")
	for i := range f.credentials {
		fmt.Fprintf(&b, "bench-%06d,bench,client-%06d,s3cret-%06d-s3cret-s3cret,%s\n", i, i, i, f.schedule)
	}
	return []byte(b.String())
}

func (r *running) stop() {
	for _, d := range r.daemons {
		d.stop()
	}
	if r.process != nil {
		r.process.stop()
	}
}

// newDatabase makes an empty one, and returns its URL.
func (b *bed) newDatabase(ctx context.Context) (string, error) {
	name := fmt.Sprintf("bench_%d", time.Now().UnixNano())
	conn, err := pgx.Connect(ctx, b.database.AdminURL())
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+name); err != nil {
		return "", err
	}
	_, err = conn.Exec(ctx, "CHECKPOINT")
	return b.database.AdminURL() + " dbname=" + name, err
}

// writeProfile writes five seconds of what the first daemon does into a file; "": nothing.
func (r *running) writeProfile(ctx context.Context, path string) <-chan error {
	done := make(chan error, 1)
	if path == "" {
		done <- nil
		return done
	}
	go func() {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.debug+"/debug/pprof/profile?seconds=5", nil)
		if err != nil {
			done <- err
			return
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			done <- err
			return
		}
		defer resp.Body.Close()
		file, err := os.Create(path)
		if err == nil {
			_, err = io.Copy(file, resp.Body)
			err = errors.Join(err, file.Close())
		}
		done <- err
	}()
	return done
}

func (b *bed) query(ctx context.Context, database, sql string, into any) error {
	conn, err := pgx.Connect(ctx, database)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	return conn.QueryRow(ctx, sql).Scan(into)
}

// writeStatements writes what the statements of a database took into a file, the dearest first.
func (b *bed) writeStatements(ctx context.Context, database, path string) error {
	conn, err := pgx.Connect(ctx, database)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, `CREATE EXTENSION IF NOT EXISTS pg_stat_statements`); err != nil {
		return err
	}
	rows, err := conn.Query(ctx, `
		SELECT format('%s ms, %s calls, %s rows, %s B WAL: %s', total_exec_time::int, calls, rows, wal_bytes,
			regexp_replace(query, '\s+', ' ', 'g'))
		FROM pg_stat_statements WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
		ORDER BY total_exec_time DESC LIMIT 40`)
	if err != nil {
		return err
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600)
}

// fetch reads what is at a URL, and returns how many bytes that is.
func fetch(ctx context.Context, url string) (int, error) {
	text, err := fetchText(ctx, url)
	return len(text), err
}

func fetchText(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return string(text), err
}

// manyYAML is a configuration file with n credentials.
func manyYAML(n int) []byte {
	var b strings.Builder
	b.WriteString("providers:\n  bench: {token_url: \"https://login.example/token\", auth_method: client_secret_post}\ncredentials:\n")
	for i := range n {
		fmt.Fprintf(&b, "  - {name: bench-%06d, provider: bench, client_id: client-%06d, secret: env:SECRET_%06d}\n", i, i, i)
	}
	return []byte(b.String())
}

// await polls until ok, for two minutes at most.
func await(ctx context.Context, what string, ok func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for !ok() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}
