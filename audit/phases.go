package audit

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// Phases is how long the exchanges of an hour took, on average and by phase, of those that were answered. What is left of the whole is
// the reading of the answer.
type Phases struct {
	At                                  time.Time // when the hour begins
	N                                   int
	DNS, Connect, TLS, FirstByte, Whole time.Duration
	P95                                 time.Duration // of the whole
}

// Phases returns the hours of a credential from one time on that have checks which were answered, the oldest first, at most limit.
func (s *Store) Phases(ctx context.Context, credentialID int64, from time.Time, limit int) ([]Phases, error) {
	rows, err := s.pool.Query(ctx, `
		SELECT date_trunc('hour', checked_at, 'UTC'), count(*), avg(dns_us)::float8, avg(connect_us)::float8, avg(tls_us)::float8,
			avg(first_byte_us)::float8, avg(latency_us)::float8, percentile_cont(0.95) WITHIN GROUP (ORDER BY latency_us)::float8
		FROM checks WHERE credential_id = $1 AND checked_at >= $2 AND http_status > 0 GROUP BY 1 ORDER BY 1 LIMIT $3`,
		credentialID, from, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (p Phases, err error) {
		var us [6]float64
		err = row.Scan(&p.At, &p.N, &us[0], &us[1], &us[2], &us[3], &us[4], &us[5])
		for i, to := range []*time.Duration{&p.DNS, &p.Connect, &p.TLS, &p.FirstByte, &p.Whole, &p.P95} {
			*to = time.Duration(us[i] * float64(time.Microsecond))
		}
		return p, err
	})
}
