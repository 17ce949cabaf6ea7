package collector_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"log/slog"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/collector"
	"github.com/keyrounds/keyrounds/leak"
	"github.com/keyrounds/keyrounds/leak/scan"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/registry"
	"github.com/keyrounds/keyrounds/rounds"
	"github.com/keyrounds/keyrounds/usage"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// fill registers n credentials, the last broken of them revoked, each third with env=prod.
func fill(t testing.TB, pool *pgxpool.Pool, n, broken int) {
	t.Helper()
	_, err := pool.Exec(t.Context(), `
		WITH made AS (
			INSERT INTO credentials (name, provider, client_id, secret_ref, owner, labels, scopes,
				schedule, unused_after, source, registered_at, changed_at, next_check_at)
			SELECT 'c-' || lpad(i::text, 6, '0'), 'idp-' || i % 3, 'CLIENTID' || i, 'env:SECRETNAME', 'team-' || i % 40,
				jsonb_build_object('env', CASE WHEN i % 3 = 0 THEN 'prod' ELSE 'test' END), '{a,b}',
				'*/15 * * * *', '90d', 'file', $3, $3, $3
			FROM generate_series(1, $1::int) AS i RETURNING id, name, provider)
		INSERT INTO credential_state (credential_id, credential, provider,
			status, since, changed_at, last_check_at, last_success_at, outcome, message,
			latency_us, memory, expires_in_s)
		SELECT id, name, provider,
			CASE WHEN name > 'c-' || lpad(($1::int - $2::int)::text, 6, '0') THEN 'revoked' ELSE 'healthy' END,
			$3, $3, $3, $3, 'ok', 'FREETEXT', 123456, '{"missing_scopes": ["b"], "unproven_scopes": ["a"],
				"ends": {"at": "2027-03-01T00:00:00Z", "by": "certificate"}}', 1799 FROM made`, n, broken, noon)
	if err != nil {
		t.Fatal(err)
	}
}

func registered(pool *pgxpool.Pool, s collector.Series) *prometheus.Registry {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collector.New(collector.Sources{
		Audit: audit.New(
			audit.Options{Pool: pool},
		),
		Registry: registry.New(pool, time.UTC),
		Usage:    usage.New(usage.Options{Pool: pool, Zone: time.UTC}),
		Engine:   func(context.Context) (rounds.Engine, error) { return rounds.Engine{LastSweep: noon}, nil },
		Lanes:    func(context.Context) ([]notify.LaneState, error) { return nil, nil },
		LeakSources: func(context.Context) (map[string]leak.SourceState, error) {
			return map[string]leak.SourceState{
				"wiki": {
					Scanned: time.Now(), Found: 2, Error: "no such directory", Next: time.Unix(1_700_000_000, 0),
					NotSearched: map[scan.Reason]int{scan.Shallow: 3},
				},
				"new": {},
			}, nil
		},
		Longest: func(_ string, d time.Duration) time.Duration { return d },
		Log:     slog.New(slog.DiscardHandler),
		Now:     func() time.Time { return noon.Add(time.Minute) },
		Series:  s,
	}))
	return reg
}

func scrape(t testing.TB, reg *prometheus.Registry) string {
	t.Helper()
	all, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	e := expfmt.NewEncoder(&b, expfmt.NewFormat(expfmt.TypeTextPlain))
	for _, f := range all {
		if err := e.Encode(f); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

func has(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, l := range lines {
		if !strings.Contains(text, "\n"+l+"\n") {
			name, _, _ := strings.Cut(l, "{")
			t.Errorf("no line %s among\n%s", l, strings.Join(regexp.MustCompile(`(?m)^`+name+`\b.*$`).FindAllString(text, 30), "\n"))
		}
	}
}

// What the database holds of a credential, in promtool's eyes as well.
func TestCredential(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	fill(t, pool, 3, 1)
	if _, err := pool.Exec(t.Context(), `UPDATE credentials SET expires_at = '2026-12-02' WHERE name = 'c-000002'`); err != nil {
		t.Fatal(err)
	}
	text := scrape(t, registered(pool, collector.Series{PerCredential: true, Labels: []string{"env"}, Limit: 10}))
	has(t, text,
		`keyrounds_database_up 1`,
		`keyrounds_leak_source_up{source="wiki"} 0`,
		`keyrounds_leak_source_places{source="wiki"} 2`,
		`keyrounds_leak_source_not_searched{reason="shallow",source="wiki"} 3`,
		`keyrounds_leak_source_next_scan_timestamp_seconds{source="wiki"} 1.7e+09`,
		`keyrounds_credential_info{canary="false",credential="c-000003",label_env="prod",owner="team-3",provider="idp-0"} 1`,
		`keyrounds_credential_status{credential="c-000003",provider="idp-0",status="revoked"} 1`,
		`keyrounds_credential_status{credential="c-000003",provider="idp-0",status="healthy"} 0`,
		`keyrounds_credential_check_interval_seconds{credential="c-000001",provider="idp-1"} 900`,
		`keyrounds_credential_token_lifetime_seconds{credential="c-000001",provider="idp-1"} 1799`,
		`keyrounds_credential_scopes{credential="c-000001",provider="idp-1",scopes="missing"} 1`,
		`keyrounds_credential_scopes{credential="c-000001",provider="idp-1",scopes="unproven"} 1`,
		`keyrounds_credential_expiry_timestamp_seconds{credential="c-000001",provider="idp-1"} 1.8038592e+09`,
		`keyrounds_credential_expiry_timestamp_seconds{credential="c-000002",provider="idp-2"} 1.7961696e+09`, // as it declares
		`keyrounds_credential_last_check_duration_seconds{credential="c-000001",provider="idp-1"} 0.123456`,
		`keyrounds_credentials{provider="idp-0",status="revoked"} 1`,
		`keyrounds_findings{kind="revoked",severity="critical",state="open"} 0`,
		fmt.Sprintf(`keyrounds_last_sweep_timestamp_seconds %v`, float64(noon.Unix())),
	)
	for _, never := range []string{"CLIENTID", "SECRETNAME", "FREETEXT"} {
		if strings.Contains(text, never) {
			t.Errorf("%s is shown", never)
		}
	}
	cmd := exec.Command("promtool", "check", "metrics")
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool: %v: %s", err, out)
	}
}

// A flood of credentials fills nobody's memory, and hides no trouble
// (docs/promises.md#a-flood-of-credentials-fills-no-memory).
func TestLimit(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	fill(t, pool, 100, 2)
	text := scrape(t, registered(pool, collector.Series{PerCredential: true, Limit: 5}))
	has(t, text,
		`keyrounds_credential_status{credential="c-000100",provider="idp-1",status="revoked"} 1`,
		`keyrounds_credential_status{credential="c-000099",provider="idp-0",status="revoked"} 1`,
		`keyrounds_credential_status{credential="c-000001",provider="idp-1",status="healthy"} 1`,
		`keyrounds_credential_status{credential="_overflow",provider="idp-1",status="healthy"} 32`,
		`keyrounds_credential_status{credential="_overflow",provider="idp-1",status="revoked"} 0`,
		`keyrounds_credentials{provider="idp-1",status="healthy"} 33`,
	)
	if n := strings.Count(text, "keyrounds_credential_info{"); n != 5 {
		t.Errorf("%d credentials are shown", n)
	}
	for name, c := range map[string]struct {
		series collector.Series
		want   int
	}{
		"switched off":        {collector.Series{Limit: 5}, 0},
		"those in production": {collector.Series{PerCredential: true, Match: map[string]string{"env": "prod"}, Limit: 1000}, 33},
		"nobody fits":         {collector.Series{PerCredential: true, Match: map[string]string{"env": "qa"}, Limit: 1000}, 0},
	} {
		text := scrape(t, registered(pool, c.series))
		if n := strings.Count(text, "keyrounds_credential_info{"); n != c.want {
			t.Errorf("%s: %d credentials are shown, want %d", name, n, c.want)
		}
		has(t, text, `keyrounds_credentials{provider="idp-1",status="healthy"} 33`)
	}
}

// A database that is away is said, and the scrape answers.
func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	reg := registered(pool, collector.Series{PerCredential: true, Limit: 5})
	pool.Close()
	if text := scrape(t, reg); !strings.Contains(text, "keyrounds_database_up 0\n") {
		t.Error(text)
	}
}

// How large a scrape of 100,000 credentials is, and how long it takes: docs/operations.md has the figures.
func BenchmarkScrape(b *testing.B) {
	pool := pgtest.New(b)
	fill(b, pool, 100_000, 100)
	pgtest.Analyze(b, pool)
	for _, limit := range []int{0, 1000, 10_000, 100_000} {
		b.Run(fmt.Sprintf("limit=%d", limit), func(b *testing.B) {
			reg := registered(pool, collector.Series{PerCredential: limit > 0, Limit: limit, Labels: []string{"env"}})
			var text string
			for b.Loop() {
				text = scrape(b, reg)
			}
			if !strings.Contains(text, "keyrounds_database_up 1\n") {
				b.Fatal("the scrape failed")
			}
			var packed bytes.Buffer
			z := gzip.NewWriter(&packed)
			if _, err := z.Write([]byte(text)); err != nil {
				b.Fatal(err)
			}
			_ = z.Close()
			b.ReportMetric(float64(len(text))/1e6, "MB/scrape")
			b.ReportMetric(float64(packed.Len())/1e6, "MB/gzip")
			b.ReportMetric(float64(strings.Count(text, "\n")-strings.Count(text, "# ")), "series")
		})
	}
}
