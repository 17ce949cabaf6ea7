package pgtest

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Plans returns how Postgres plans what do asks of the pool that it is given, which is on the same database as pool: a plan
// for each SELECT, with its values. It fails the test where do fails or selects nothing. Fill and ANALYZE the tables
// before: of few rows a scan is always the best plan.
func Plans(t testing.TB, pool *pgxpool.Pool, do func(*pgxpool.Pool) error) []string {
	t.Helper()
	asked := &selects{}
	c := pool.Config()
	c.ConnConfig.Tracer = asked
	watched, err := pgxpool.NewWithConfig(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer watched.Close()
	if err := do(watched); err != nil {
		t.Fatal(err)
	}
	var plans []string
	for _, q := range asked.all {
		rows, err := pool.Query(t.Context(), "EXPLAIN "+q.SQL, q.Args...)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatalf("%v\n%s", err, q.SQL)
		}
		plans = append(plans, strings.Join(lines, "\n"))
	}
	if len(plans) == 0 {
		t.Fatal("nothing was selected")
	}
	return plans
}

// selects remembers what was selected.
type selects struct {
	mu  sync.Mutex
	all []pgx.TraceQueryStartData
}

func (s *selects) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	if strings.HasPrefix(strings.TrimSpace(data.SQL), "SELECT") {
		s.all = append(s.all, data)
	}
	return ctx
}

func (*selects) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
