package registry

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/credential"
)

// Tag is what metrics say of a credential beside its status.
type Tag struct {
	Owner    string
	Labels   map[string]string
	Canary   bool
	Scopes   int           // declared
	Interval time.Duration // the longest between two slots of its schedule
	Expires  time.Time     // Credential.Expires
}

// WithLabels returns the ids of all credentials that are not retired and have all of these labels, in no order.
func (s *Store) WithLabels(ctx context.Context, labels map[string]string) ([]int64, error) {
	rows, err := s.pool.Query(ctx, `SELECT id FROM credentials WHERE retired_at IS NULL AND labels @> $1`, labels)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}

// Tags returns the tags of those of ids that are not retired, by id. Interval is a day where the schedule cannot be
// read.
func (s *Store) Tags(ctx context.Context, ids []int64) (map[int64]Tag, error) {
	rows, err := s.pool.Query(
		ctx,
		`SELECT id, owner, labels, canary, cardinality(scopes), schedule, expires_at FROM credentials
		WHERE id = ANY($1) AND retired_at IS NULL`,
		ids,
	)
	if err != nil {
		return nil, err
	}
	var (
		all       = map[int64]Tag{}
		intervals = map[string]time.Duration{} // few schedules, many credentials
		id        int64
		t         Tag
		schedule  string
		expires   *time.Time
	)
	_, err = pgx.ForEachRow(rows, []any{&id, &t.Owner, &t.Labels, &t.Canary, &t.Scopes, &schedule, &expires}, func() error {
		d, known := intervals[schedule]
		if !known {
			d = s.longest(schedule)
			intervals[schedule] = d
		}
		t.Interval = d
		if expires != nil {
			t.Expires = *expires
		}
		all[id] = t
		t = Tag{}
		return nil
	})
	return all, err
}

// longest is a day for a schedule that this version cannot read, as in next.
func (s *Store) longest(schedule string) time.Duration {
	parsed, err := credential.ParseSchedule(schedule, s.zone)
	if err != nil {
		return 24 * time.Hour
	}
	return parsed.Longest()
}
