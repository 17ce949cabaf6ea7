package usage_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/usage"
	"github.com/keyrounds/keyrounds/usage/feed"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// desk is a usage store whose clients and ledger the test makes up.
type desk struct {
	testing.TB
	pool    *pgxpool.Pool
	store   *usage.Store
	clients map[string]credential.Credential
	ledger  []checker.Footprint
	now     time.Time
}

func newDesk(t testing.TB, clients ...credential.Credential) *desk {
	t.Helper()
	d := &desk{TB: t, pool: pgtest.New(t), clients: map[string]credential.Credential{}, now: time.Now().UTC().Truncate(time.Second)}
	for _, c := range clients {
		key := c.Subject
		if _, twice := d.clients[key]; twice { // two secrets of one client
			key = c.Name + "#2"
		}
		d.clients[key] = c
	}
	d.store = d.another()
	return d
}

// another is the same store in another process.
func (d *desk) another() *usage.Store {
	return usage.New(usage.Options{
		Pool: d.pool, Zone: time.UTC,
		Clients: func(_ context.Context, _ pgx.Tx, _ string, ids []string) (cs []credential.Credential, err error) {
			for key, c := range d.clients {
				if slices.Contains(ids, c.Subject) || slices.Contains(ids, key) {
					cs = append(cs, c)
				}
			}
			return cs, nil
		},
		Ledger: func(context.Context, pgx.Tx, []int64, time.Time, time.Time) ([]checker.Footprint, error) {
			return d.ledger, nil
		},
	})
}

// checked writes a check of a credential into the ledger and returns its nonce.
func (d *desk) checked(id int64, at time.Time) string {
	check := uuid.New()
	d.ledger = append(d.ledger, checker.Footprint{
		CredentialID: id, Check: check, At: at, Trail: checker.Trail{Took: time.Second, Requests: 1}, Done: true,
	})
	return checker.Nonce(check)
}

func (d *desk) importOf(text string) usage.Import {
	return usage.Import{Name: "log", In: strings.NewReader(text)}
}

func (d *desk) tx(do func(pgx.Tx) error) {
	d.Helper()
	if err := pgx.BeginFunc(d.Context(), d.pool, do); err != nil {
		d.Fatal(err)
	}
}

// feed makes a feed known.
func (d *desk) feed(f feed.Feed) feed.Feed {
	d.Helper()
	if f.Format.Name == "" {
		f.Format = d.format("plain")
	}
	if f.Provider = "p"; f.Silence == 0 {
		f.Silence = feed.DefaultSilence
	}
	d.tx(func(tx pgx.Tx) error { return d.store.Register(d.Context(), tx, f, d.now) })
	return f
}

func (d *desk) format(name string) feed.Format {
	d.Helper()
	f, err := feed.NewFormat(name, "")
	if err != nil {
		d.Fatal(err)
	}
	return f
}

// formatIn is the format of a file with that text.
func (d *desk) formatIn(text string) feed.Format {
	d.Helper()
	name := filepath.Join(d.TempDir(), "my.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		d.Fatal(err)
	}
	f, err := feed.ReadFormat(d.Context(), name)
	if err != nil {
		d.Fatal(err)
	}
	return f
}

func (d *desk) ingest(f feed.Feed, b usage.Batch) (got usage.Ingested, err error) {
	err = pgx.BeginFunc(d.Context(), d.pool, func(tx pgx.Tx) error {
		got, err = d.store.Ingest(d.Context(), tx, f, b, d.now)
		return err
	})
	return got, err
}

func (d *desk) count(sql string, args ...any) (n int) {
	d.Helper()
	if err := d.pool.QueryRow(d.Context(), sql, args...).Scan(&n); err != nil {
		d.Fatal(err)
	}
	return n
}

func (d *desk) uses() int { return d.count(`SELECT coalesce(sum(uses), 0)::int FROM usage_days`) }

func client(id int64, name string) credential.Credential {
	return credential.Credential{ID: id, Name: name, Provider: "p", Subject: name, UnusedAfter: 90 * 24 * time.Hour}
}
