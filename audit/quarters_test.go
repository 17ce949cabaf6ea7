package audit_test

import (
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
)

// A provider's quarters of an hour say how its checks went and how long they took; counting again changes nothing.
func TestQuarters(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	store := audit.New(audit.Options{Pool: pool, Now: time.Now})
	now := time.Now().UTC().Truncate(15 * time.Minute).Add(5 * time.Minute)
	if err := audit.EnsurePartitions(t.Context(), pgtest.Owner(t, pool), now, 0); err != nil {
		t.Fatal(err)
	}
	_, err := pool.Exec(t.Context(), `
		INSERT INTO checks (id, checked_at, credential_id, provider, outcome, reason, rule, status, http_status, error_code,
			error_description, message, latency_us, dns_us, connect_us, tls_us, first_byte_us, expires_in_s, missing_scopes,
			extra_scopes, probes, clock_skew_ms)
		SELECT gen_random_uuid(), $1::timestamptz - a, 1, 'p', o, '', '', s, h, '', '', '', l, 0, 0, 0, 0, 0, '{}', '{}', '[]', 0
		FROM (VALUES (interval '1 minute', 'ok', 'healthy', 200, 100000), ('1 minute', 'ok', 'healthy', 200, 100000),
			('2 minutes', 'ok', 'healthy', 200, 900000), ('16 minutes', 'rejected', 'suspect', 401, 100000),
			('17 minutes', 'rejected', 'revoked', 401, 100000), ('18 minutes', 'scope_reduced', 'degraded', 200, 100000),
			('19 minutes', 'unreachable', 'healthy', 0, 5000000)) AS v (a, o, s, h, l)`, now)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := store.CountQuarters(t.Context(), now); err != nil {
			t.Fatal(err)
		}
	}
	got, err := store.Quarters(t.Context(), "p", now.Add(-24*time.Hour))
	if err != nil || len(got) != 2 {
		t.Fatalf("%v: %+v", err, got)
	}
	before, last := got[0], got[1]
	if before.Checks != 4 || before.Doubted != 1 || before.Refused != 1 || before.Reduced != 1 || before.Troubled != 1 || before.OK != 0 {
		t.Errorf("the quarter before: %+v", before)
	}
	if last.Checks != 3 || last.OK != 3 {
		t.Errorf("the last quarter: %+v", last)
	}
	near := func(got, want time.Duration) bool { return got > want*9/10 && got < want*11/10 }
	if p := last.Latency.Percentile(0.5); !near(p, 100*time.Millisecond) {
		t.Errorf("the median is %s, want 100 ms", p)
	}
	if p := last.Latency.Percentile(0.95); !near(p, 900*time.Millisecond) {
		t.Errorf("95 of 100 take %s, want 900 ms", p)
	}
	if n := before.Latency[1]; len(before.Latency) != 1 || n != 0 {
		t.Errorf("what was not answered counts as a latency: %v", before.Latency)
	}
}

// The hours of a credential say how long each phase of its exchanges took.
func TestPhases(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	store := audit.New(audit.Options{Pool: pool, Now: time.Now})
	now := time.Now().UTC()
	if err := audit.EnsurePartitions(t.Context(), pgtest.Owner(t, pool), now, 0); err != nil {
		t.Fatal(err)
	}
	_, err := pool.Exec(t.Context(), `
		INSERT INTO checks (id, checked_at, credential_id, provider, outcome, reason, rule, status, http_status, error_code,
			error_description, message, latency_us, dns_us, connect_us, tls_us, first_byte_us, expires_in_s, missing_scopes,
			extra_scopes, probes, clock_skew_ms)
		SELECT gen_random_uuid(), date_trunc('hour', $1::timestamptz) + i * interval '1 second', 7, 'p', 'ok', '', '', 'healthy', h, '',
			'', '', 100000, 1000, 2000, 3000, 4000, 0, '{}', '{}', '[]', 0
		FROM (VALUES (1, 200), (2, 200), (3, 0)) AS v (i, h)`, now)
	if err != nil {
		t.Fatal(err)
	}
	got, err := store.Phases(t.Context(), 7, now.Add(-2*time.Hour), 10)
	if err != nil || len(got) != 1 {
		t.Fatalf("%v: %+v", err, got)
	}
	want := audit.Phases{
		At: now.Truncate(time.Hour), N: 2, DNS: time.Millisecond, Connect: 2 * time.Millisecond, TLS: 3 * time.Millisecond,
		FirstByte: 4 * time.Millisecond, Whole: 100 * time.Millisecond, P95: 100 * time.Millisecond,
	}
	got[0].At = got[0].At.UTC()
	if got[0] != want {
		t.Errorf("%+v, want %+v", got[0], want)
	}
}
