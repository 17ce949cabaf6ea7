package usage

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// Networks returns, by credential, from which networks it was used in the time that counted for its answer, the most
// used first, at most limit of each.
func (s *Store) Networks(ctx context.Context, q Querier, answers map[int64]Answer, limit int) (map[int64][]string, error) {
	var (
		ids      []int64
		from, to []time.Time
	)
	for id, a := range answers {
		if !a.LastUse.IsZero() {
			ids, from, to = append(ids, id), append(from, a.Window.From), append(to, a.Window.To)
		}
	}
	rows, err := q.Query(ctx, `
		SELECT w.id, d.network FROM unnest($1::bigint[], $2::timestamptz[], $3::timestamptz[]) AS w (id, since, until)
		CROSS JOIN LATERAL (
			SELECT network::text, sum(uses) AS uses FROM usage_days
			WHERE credential_id = w.id AND day >= w.since::date AND first_at < w.until AND uses > 0 AND network <> '0.0.0.0/0'
			GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT $4) AS d
		ORDER BY w.id, d.uses DESC, d.network`, ids, from, to, limit)
	if err != nil {
		return nil, err
	}
	all := map[int64][]string{}
	var (
		id      int64
		network string
	)
	_, err = pgx.ForEachRow(rows, []any{&id, &network}, func() error { all[id] = append(all[id], network); return nil })
	return all, err
}
