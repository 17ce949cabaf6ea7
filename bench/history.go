package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"
)

// history: what 20 million results cost those who read and keep them. They are made by SQL, in the months before this
// one; the daemon then rolls a day of them up, answers for one credential, and drops a month.
func history(ctx context.Context, b *bed) (rs []result, err error) {
	const months, credentials = 4, 100_000
	r, err := b.run(ctx, fleet{credentials: 100, concurrency: 4, schedule: "@daily"})
	if err != nil {
		return nil, err
	}
	defer r.stop()
	conn, err := pgx.Connect(ctx, r.database)
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, `SET statement_timeout = 0`); err != nil {
		return nil, err
	}
	month := time.Date(time.Now().UTC().Year(), time.Now().UTC().Month(), 1, 0, 0, 0, 0, time.UTC)
	began := time.Now()
	for i := 1; i <= months; i++ {
		from := month.AddDate(0, -i, 0)
		_, err := conn.Exec(ctx, fmt.Sprintf(`CREATE TABLE checks_%s PARTITION OF checks FOR VALUES FROM ('%s') TO ('%s')`,
			from.Format("2006_01"), from.Format(time.RFC3339), from.AddDate(0, 1, 0).Format(time.RFC3339)))
		if err == nil {
			_, err = conn.Exec(ctx, fmt.Sprintf(fillSQL, b.history/months, credentials, from.Format(time.RFC3339)))
		}
		if err != nil {
			return nil, err
		}
	}
	filled := time.Since(began)
	if _, err := conn.Exec(ctx, `ANALYZE checks`); err != nil {
		return nil, err
	}
	took := func(sql string) (d time.Duration, err error) {
		began := time.Now()
		_, err = conn.Exec(ctx, sql)
		return time.Since(began), err
	}
	var size string
	err = conn.QueryRow(ctx, `
		SELECT pg_size_pretty(sum(pg_total_relation_size(inhrelid))) FROM pg_inherits WHERE inhparent = 'checks'::regclass`).
		Scan(&size)
	if err != nil {
		return nil, err
	}
	last := month.AddDate(0, -1, 0)
	day := last.AddDate(0, 0, 10).Format(time.RFC3339)
	for _, m := range []struct{ name, sql string }{
		{"the newest 50 results of one credential", `
			SELECT checked_at, outcome FROM checks WHERE credential_id = 7777 ORDER BY checked_at DESC LIMIT 50`},
		{"a day of one credential (the ledger)", `
			SELECT id FROM checks WHERE credential_id = 7777
			AND checked_at BETWEEN '` + day + `' AND '` + day + `'::timestamptz + interval '1 day'`},
		{"a day of all, rolled up", `SELECT credential_id, count(*), max(checked_at) FROM checks
			WHERE checked_at >= '` + day + `' AND checked_at < '` + day + `'::timestamptz + interval '1 day' GROUP BY 1`},
		{"the oldest month, dropped", `DROP TABLE checks_` + month.AddDate(0, -months, 0).Format("2006_01")},
	} {
		d, err := took(m.sql)
		if err != nil {
			return nil, err
		}
		rs = append(
			rs,
			result{
				name:  fmt.Sprintf("%d million results: %s", b.history/1_000_000, m.name),
				value: d.Round(100 * time.Microsecond).String(),
			},
		)
	}
	rs[0].detail = fmt.Sprintf("%s on disk; filled by SQL in %s", size, filled.Round(time.Second))
	return rs, nil
}

// A credential's results come in its turn, as in life: row after row is another credential's.
const fillSQL = `
	INSERT INTO checks (id, checked_at, credential_id, provider, outcome, reason, rule, status, http_status, error_code, error_description,
		message, latency_us, dns_us, connect_us, tls_us, first_byte_us, expires_in_s, granted_scopes, missing_scopes, extra_scopes, probes,
		token_hash, clock_skew_ms, requests, took_us)
	SELECT gen_random_uuid(), timestamptz '%[3]s' + i * (interval '27 days' / %[1]d), 1 + i %% %[2]d, 'bench', 'ok', '',
		'token (RFC 6749 §5.1)', 'healthy', 200, '', '', 'token issued', 80000, 0, 0, 0, 80000, 1799, NULL, '{}', '{}', '[]',
		decode(md5(i::text) || md5(i::text), 'hex'), 0, 1, 81000
	FROM generate_series(1, %[1]d) AS i`

// scale: what 100,000 credentials take to be registered, started with and shown.
func scale(ctx context.Context, b *bed) ([]result, error) {
	const n = 100_000
	r, err := b.run(ctx, fleet{credentials: n, concurrency: 64, schedule: "@daily"})
	if err != nil {
		return nil, err
	}
	defer r.stop()
	show := func(path string) (time.Duration, int, error) {
		began := time.Now()
		size, err := fetch(ctx, "http://"+r.address+path)
		return time.Since(began), size, err
	}
	var rs []result
	add := func(name, goal string, value, detail any) {
		rs = append(rs, result{name: "100,000 credentials: " + name, value: fmt.Sprint(value), goal: goal, detail: fmt.Sprint(detail)})
	}
	add("import", "20 s", r.imported.Round(100*time.Millisecond), "")
	add("start until ready", "5 s", r.ready.Round(100*time.Millisecond), "")
	for _, path := range []string{"/metrics", "/"} {
		if _, _, err := show(path); err != nil { // the first one reads what is cached
			return nil, err
		}
		d, size, err := show(path)
		if err != nil {
			return nil, err
		}
		add(path, "0.5 s", d.Round(10*time.Millisecond), fmt.Sprintf("%d kB", size>>10))
	}
	time.Sleep(30 * time.Second) // its first rounds and judgements
	add("memory", "250 MiB", fmt.Sprintf("%d MiB", memory(r.daemons[0].Process.Pid)), "30 s later")
	file := filepath.Join(b.dir, "many.yaml")
	if err := os.WriteFile(file, manyYAML(n), 0o600); err != nil {
		return nil, err
	}
	began := time.Now()
	out, err := b.command(ctx, r.database, "--config", file, "config", "check").CombinedOutput()
	if err != nil && len(out) == 0 {
		return nil, err
	}
	add("a configuration file of them, checked", "15 s", time.Since(began).Round(100*time.Millisecond), "")
	return rs, nil
}
