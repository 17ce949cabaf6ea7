package main

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// spent is what a measurement took.
type spent struct {
	n                int
	wall             time.Duration
	client, database time.Duration // CPU
	wal              int           // bytes
	atOnce           int
	stored           int
	memory           int // MiB, of the first daemon
}

func (s spent) cpu() float64 { return perCheck(s.client+s.database, s.n) }

func (s spent) rate() float64 { return float64(s.n) / s.wall.Seconds() }

// cost: what a check costs at a provider that answers at once, and how many there are in a second.
func cost(ctx context.Context, b *bed) ([]result, error) {
	least, err := b.leastCost(ctx)
	if err != nil {
		return nil, err
	}
	b.least = least.cpu()
	ours, err := b.watch(ctx, fleet{credentials: 10_000, concurrency: 64, schedule: "@every 1s"}, 5*time.Second, b.checks)
	if err != nil {
		return nil, err
	}
	split := func(s spent) string {
		return fmt.Sprintf("program %.0f µs, Postgres %.0f µs", perCheck(s.client, s.n), perCheck(s.database, s.n))
	}
	return []result{
		{"floor: CPU of an exchange", fmt.Sprintf("%.0f µs", least.cpu()), "1", "", split(least)},
		{"keyrounds: CPU of a check", fmt.Sprintf("%.0f µs", ours.cpu()), fmt.Sprintf("%.2f", ours.cpu()/least.cpu()), "2.0", split(ours)},
		{"floor: exchanges a second", fmt.Sprintf("%.0f", least.rate()), "1", "", ""},
		{
			"keyrounds: checks a second", fmt.Sprintf("%.0f", ours.rate()), fmt.Sprintf("%.2f", ours.rate()/least.rate()), "0.6",
			fmt.Sprintf("%d stored of %d asked", ours.stored, ours.n),
		},
		{"keyrounds: WAL of a check", fmt.Sprintf("%d B", ours.wal/ours.n), "", "600 B", ""},
		{"keyrounds: memory", fmt.Sprintf("%d MiB", ours.memory), "", "250 MiB", "10,000 credentials"},
	}, nil
}

// slow: how near a provider that takes 80 ms comes to what its concurrency allows.
func slow(ctx context.Context, b *bed) (rs []result, err error) {
	const latency = 80 * time.Millisecond
	for _, concurrency := range []int{64, 256} {
		ideal := float64(concurrency) / latency.Seconds()
		s, err := b.watch(
			ctx,
			fleet{credentials: 10_000, concurrency: concurrency, schedule: "@every 1s", latency: latency},
			5*time.Second,
			int(15*ideal),
		)
		if err != nil {
			return nil, err
		}
		rs = append(rs, result{
			fmt.Sprintf("80 ms, %d at once: checks a second", concurrency), fmt.Sprintf("%.0f", s.rate()),
			fmt.Sprintf("%.2f × ideal time", ideal/s.rate()), "1.1", fmt.Sprintf("ideal %.0f; at once %d", ideal, s.atOnce),
		})
	}
	return rs, nil
}

// replicas: three daemons share a provider's concurrency.
func replicas(ctx context.Context, b *bed) ([]result, error) {
	const latency, concurrency = 80 * time.Millisecond, 64
	ideal := float64(concurrency) / latency.Seconds()
	s, err := b.watch(
		ctx,
		fleet{credentials: 10_000, concurrency: concurrency, schedule: "@every 1s", latency: latency, daemons: 3},
		10*time.Second,
		int(30*ideal),
	)
	if err != nil {
		return nil, err
	}
	return []result{{
		"three replicas, 80 ms, 64 at once", fmt.Sprintf("%.0f/s", s.rate()), fmt.Sprintf("%.2f × ideal time", ideal/s.rate()),
		"64 at once",
		fmt.Sprintf("at once %d", s.atOnce),
	}}, nil
}

func (b *bed) leastCost(ctx context.Context) (s spent, err error) {
	e, err := b.endpoint(ctx, 0)
	if err != nil {
		return s, err
	}
	defer e.stop()
	database, err := b.newDatabase(ctx)
	if err != nil {
		return s, err
	}
	before := cpu(b.postmaster)
	cmd := exec.CommandContext(ctx, b.floor, "-url", e.url+"/token", "-n", strconv.Itoa(b.checks), "-database", database)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return s, fmt.Errorf("floor: %w: %s", err, out)
	}
	seconds, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	return spent{
		n: b.checks, wall: time.Duration(seconds * float64(time.Second)),
		client: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), database: cpu(b.postmaster) - before,
	}, err
}

// watch runs a fleet, lets it warm up, and measures until about n checks were made.
func (b *bed) watch(ctx context.Context, f fleet, warm time.Duration, n int) (s spent, err error) {
	r, err := b.run(ctx, f)
	if err != nil {
		return s, err
	}
	defer r.stop()
	if err := await(ctx, "the first checks", func() bool { // each had its first check, which costs more
		now, err := r.stats(ctx)
		return err == nil && now.Requests >= f.credentials
	}); err != nil {
		return s, err
	}
	time.Sleep(warm)
	snapshot := func() (at time.Time, client, database time.Duration, wal, stored int, now stats, err error) {
		if err = b.query(ctx, r.database, `SELECT count(*)::int FROM checks`, &stored); err != nil {
			return
		}
		if err = b.query(ctx, r.database, `SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint`, &wal); err != nil {
			return
		}
		for _, d := range r.daemons {
			client += cpu(d.Process.Pid)
		}
		now, err = r.stats(ctx)
		return time.Now(), client, cpu(b.postmaster), wal, stored, now, err
	}
	began, client, database, wal, stored, first, err := snapshot()
	if err != nil {
		return s, err
	}
	profiled := r.writeProfile(ctx, b.profile)
	if err := await(ctx, "the checks", func() bool {
		now, err := r.stats(ctx)
		s.atOnce = max(s.atOnce, now.AtOnce)
		return err == nil && now.Requests-first.Requests >= n
	}); err != nil {
		return s, err
	}
	// CPU first: counting rows costs some.
	for _, d := range r.daemons {
		s.client += cpu(d.Process.Pid)
	}
	s.client, s.database, s.wall = s.client-client, cpu(b.postmaster)-database, time.Since(began)
	if err := <-profiled; err != nil {
		return s, err
	}
	last, err := r.stats(ctx)
	if err != nil {
		return s, err
	}
	s.n, s.memory = last.Requests-first.Requests, memory(r.daemons[0].Process.Pid)
	if b.profile != "" {
		if err := b.writeStatements(ctx, r.database, b.profile+".sql"); err != nil {
			return s, err
		}
	}
	_, _, _, walNow, storedNow, _, err := snapshot()
	s.wal, s.stored = walNow-wal, storedNow-stored
	return s, err
}
