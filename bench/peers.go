package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// peers: what the same exchange costs others, where their binaries are given.
func peers(ctx context.Context, b *bed) (rs []result, err error) {
	if b.blackbox != "" {
		r, err := b.measureBlackbox(ctx)
		if err != nil {
			return nil, fmt.Errorf("blackbox_exporter: %w", err)
		}
		rs = append(rs, r)
	}
	if b.gatus != "" {
		r, err := b.measureGatus(ctx)
		if err != nil {
			return nil, fmt.Errorf("gatus: %w", err)
		}
		rs = append(rs, r)
	}
	return rs, nil
}

const form = "client_id=client-1&client_secret=s3cret-s3cret-s3cret&grant_type=client_credentials"

// measureBlackbox asks for probes, 64 at once. It records nothing.
func (b *bed) measureBlackbox(ctx context.Context) (r result, err error) {
	e, err := b.endpoint(ctx, 0)
	if err != nil {
		return r, err
	}
	defer e.stop()
	address, err := freeAddress()
	if err != nil {
		return r, err
	}
	config := filepath.Join(b.dir, "blackbox.yaml")
	text := `modules: {token: {prober: http, timeout: 10s, http: {method: POST, body: "` + form + `", preferred_ip_protocol: ip4,
  headers: {Content-Type: application/x-www-form-urlencoded}}}}`
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return r, err
	}
	p, err := start(b.dir, "", b.blackbox, "--config.file="+config, "--web.listen-address="+address)
	if err != nil {
		return r, err
	}
	defer p.stop()
	probe := "http://" + address + "/probe?module=token&target=" + url.QueryEscape(e.url+"/token")
	var answer string
	if err := await(ctx, "blackbox_exporter", func() (ok bool) {
		answer, err = fetchText(ctx, probe)
		return err == nil
	}); err != nil {
		return r, err
	}
	if !strings.Contains(answer, "probe_success 1\n") {
		return r, fmt.Errorf("a probe did not succeed: %s", answer)
	}
	first, err := e.stats(ctx)
	if err != nil {
		return r, err
	}
	before, began := cpu(p.Process.Pid), time.Now()
	var asking sync.WaitGroup
	for range 64 {
		asking.Go(func() {
			for range b.checks / 10 / 64 {
				_, _ = fetch(ctx, probe)
			}
		})
	}
	asking.Wait()
	last, err := e.stats(ctx)
	if err != nil {
		return r, err
	}
	r = b.peer("blackbox_exporter: CPU of a probe", spent{
		n: last.Requests - first.Requests, client: cpu(p.Process.Pid) - before, wall: time.Since(began),
	})
	r.detail += "; nothing is stored"
	return r, nil
}

// measureGatus has it watch 500 endpoints each second, and record them in Postgres.
func (b *bed) measureGatus(ctx context.Context) (r result, err error) {
	e, err := b.endpoint(ctx, 0)
	if err != nil {
		return r, err
	}
	defer e.stop()
	database, err := b.newDatabase(ctx)
	if err != nil {
		return r, err
	}
	c, err := pgx.ParseConfig(database)
	if err != nil {
		return r, err
	}
	address, err := freeAddress()
	if err != nil {
		return r, err
	}
	_, port, _ := strings.Cut(address, ":")
	var text strings.Builder
	fmt.Fprintf(
		&text,
		"web: {address: 127.0.0.1, port: %s}\nconcurrency: 64\n"+
			"storage: {type: postgres, path: \"postgres://%s@/%s?host=%s&sslmode=disable\"}\nendpoints:\n",
		port,
		c.User,
		c.Database,
		url.QueryEscape(c.Host),
	)
	for i := range 500 {
		fmt.Fprintf(
			&text,
			"  - {name: bench-%d, url: \"%s/token\", interval: 1s, method: POST, body: \"%s\",\n"+
				"     headers: {Content-Type: application/x-www-form-urlencoded}, conditions: [\"[STATUS] == 200\"]}\n",
			i,
			e.url,
			form,
		)
	}
	config := filepath.Join(b.dir, "gatus.yaml")
	if err := os.WriteFile(config, []byte(text.String()), 0o600); err != nil {
		return r, err
	}
	if err := os.Setenv("GATUS_CONFIG_PATH", config); err != nil {
		return r, err
	}
	p, err := start(b.dir, "", b.gatus)
	if err != nil {
		return r, err
	}
	defer p.stop()
	at := func(n int) error {
		return await(ctx, "gatus", func() bool {
			now, err := e.stats(ctx)
			return err == nil && now.Requests >= n
		})
	}
	if err := at(500); err != nil {
		return r, err
	}
	first, err := e.stats(ctx)
	if err != nil {
		return r, err
	}
	stored := func() (n int, err error) {
		return n, b.query(ctx, database, `SELECT count(*)::int FROM endpoint_results WHERE success`, &n)
	}
	storedBefore, err := stored()
	if err != nil {
		return r, err
	}
	before, databaseBefore, began := cpu(p.Process.Pid), cpu(b.postmaster), time.Now()
	if err := at(first.Requests + 2500); err != nil {
		return r, err
	}
	last, err := e.stats(ctx)
	if err != nil {
		return r, err
	}
	s := spent{
		n: last.Requests - first.Requests, client: cpu(p.Process.Pid) - before, database: cpu(b.postmaster) - databaseBefore,
		wall: time.Since(began),
	}
	if s.stored, err = stored(); err != nil {
		return r, err
	}
	r = b.peer("gatus: CPU of a check", s)
	r.detail += fmt.Sprintf("; %d stored of %d asked", s.stored-storedBefore, s.n)
	return r, nil
}

func (b *bed) peer(name string, s spent) result {
	r := result{
		name: name, value: fmt.Sprintf("%.0f µs", s.cpu()),
		detail: fmt.Sprintf(
			"program %.0f µs, Postgres %.0f µs; %.0f a second", perCheck(s.client, s.n), perCheck(s.database, s.n), s.rate(),
		),
	}
	if b.least > 0 {
		r.ratio = fmt.Sprintf("%.2f", s.cpu()/b.least)
	}
	return r
}
