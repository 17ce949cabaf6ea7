package report_test

import (
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/report"
)

// A report over 10,000 credentials, whose 20 million checks and twelve months of use stand in rows of days
// and months. The figure beside it is how many times as long as merely counting those rows it takes.
func BenchmarkReport(b *testing.B) {
	d := newDesk(b)
	d.exec(`
		INSERT INTO credentials (name, provider, client_id, secret_ref, owner, scopes, schedule, unused_after, created_on, source,
			registered_at, changed_at, next_check_at)
		SELECT 'c' || i, 'p', 'id-' || i, 'env:X', 'owner-' || i % 50, '{jobs_read,company_read}', '*/15 * * * *', '90 days',
			now() - interval '2 years', 'file', now() - interval '1 year', now() - interval '1 year', now()
		FROM generate_series(1, 10000) i`)
	d.exec(`
		INSERT INTO checks_daily
		SELECT i, current_date - d, 67, 66, 0, 1, 1000000, 'healthy',
			now() - d * interval '1 day', now() - d * interval '1 day'
		FROM generate_series(1, 10000) i, generate_series(1, 30) d`)
	d.exec(`
		INSERT INTO usage_months
		SELECT i, date_trunc('month', now()) - m * interval '1 month', 100, 900, 10, 2000,
			date_trunc('month', now()) - m * interval '1 month',
			date_trunc('month', now()) - m * interval '1 month' + interval '20 days', 1048575, 255, true, 0
		FROM generate_series(1, 10000) i, generate_series(0, 12) m
		WHERE i % 5 <> 0 AND (i % 7 <> 0 OR m > 5)`)
	d.exec(`
		INSERT INTO usage_days
		SELECT i, current_date - d, ('10.' || i % 200 || '.0.0/24')::cidr, 'Go-http-client/1.1', 30, 0,
			now() - d * interval '1 day', now() - d * interval '1 day', NULL
		FROM generate_series(1, 10000) i, generate_series(1, 60) d WHERE i % 5 <> 0`)
	d.exec(`INSERT INTO usage_scopes SELECT i, 'jobs_read', now() FROM generate_series(1, 10000) i`)
	d.exec(`
		INSERT INTO usage_feeds (feed, provider, type, format, partial, silence, configured, first_at, coverage)
		VALUES ('gateway', 'p', 'file', 'nginx-json', false, '1 day', true, now() - interval '1 year',
			tstzmultirange(tstzrange(now() - interval '1 year', now())))`)
	d.showsClients("gateway")
	pgtest.Analyze(b, d.pool)
	if n := d.count(`SELECT sum(checks)::int FROM checks_daily`); n < 20_000_000 {
		b.Fatalf("only %d checks", n)
	}
	began := time.Now()
	d.count(`SELECT (SELECT count(*) FROM checks_daily) + (SELECT count(*) FROM usage_months) + (SELECT count(*) FROM usage_days)`)
	bare := time.Since(began)
	now := time.Now()
	for b.Loop() {
		r, err := d.maker.Trial(b.Context(), now.AddDate(0, 0, -2), "", now)
		if err != nil {
			b.Fatal(err)
		}
		for _, f := range report.Formats() {
			if _, err := r.Render(f); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)/bare.Seconds(), "of-counting-the-rows")
}
