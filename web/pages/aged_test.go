package pages_test

import (
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
)

// aged gives every credential 90 days of checks, of which one or another did not go well, and a week of them by phase.
func (h *house) aged() {
	h.Helper()
	now := time.Now().UTC()
	before := now.AddDate(0, 0, -7)
	if before.Month() != now.Month() {
		first := time.Date(before.Year(), before.Month(), 1, 0, 0, 0, 0, time.UTC)
		err := pgx.BeginFunc(h.Context(), pgtest.Owner(h, h.app.Pool), func(tx pgx.Tx) error {
			return audit.MakePartition(h.Context(), tx,
				first)
		})
		if err != nil {
			h.Fatal(err)
		}
	}
	for _, sql := range []string{
		`INSERT INTO checks_daily (credential_id, day, checks, ok, rejected, uncertain, latency_us, status, last_check_at)
			SELECT id, current_date - d, 96, 96 - CASE WHEN (id * 7 + d) % 41 = 0 THEN 9 ELSE 0 END,
				CASE WHEN (id * 7 + d) % 123 = 0 THEN 9 ELSE 0 END, CASE WHEN (id * 7 + d) % 41 = 0 AND d % 2 = 0 THEN 9 ELSE 0 END,
				96 * 142000, 'healthy', current_date - d
			FROM credentials, generate_series(1, 89) d`,
		`INSERT INTO checks (id, checked_at, credential_id, provider, outcome, reason, rule, status, http_status, error_code,
				error_description, message, latency_us, dns_us, connect_us, tls_us, first_byte_us, expires_in_s, missing_scopes,
				extra_scopes, probes, clock_skew_ms)
			SELECT gen_random_uuid(), now() - i * interval '30 minutes', c.id, c.provider, 'ok', '', '', 'healthy', 200, '', '',
				'token issued',
				l + d + n + t, d, n, t, l, 1800, '{}', '{}', '[]', 0
			FROM credentials c, generate_series(1, 300) i,
				LATERAL (SELECT 80000 + 40000 * sin(i / 8.0) + 30000 * (i % 7 = 0)::int AS l, 6000 AS d, 18000 AS n, 32000 AS t) x`,
	} {
		if _, err := h.app.Pool.Exec(h.Context(), sql); err != nil {
			h.Fatal(err)
		}
	}
	if _, err := h.app.Pool.Exec(h.Context(), `DELETE FROM rollups WHERE name = 'provider_quarters'`); err != nil {
		h.Fatal(err)
	}
	if err := h.app.Audit.CountQuarters(h.Context(), time.Now()); err != nil {
		h.Fatal(err)
	}
}
