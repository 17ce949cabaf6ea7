package audit

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// PartitionsAhead is how many months beyond the present one have a partition.
const PartitionsAhead = 2

// EnsurePartitions makes the monthly partitions (UTC) of checks for now and PartitionsAhead months, and drops those
// that ended keep months ago or earlier (0: none is dropped), in a transaction of its own. It may run anywhere, any
// time, on any replica: where there is something to do it holds an advisory lock meanwhile, for which it waits while a backup
// is made. Only the owner of the schema can do it.
func EnsurePartitions(ctx context.Context, owner *pgxpool.Pool, now time.Time, keep int) error {
	month := time.Date(now.UTC().Year(), now.UTC().Month(), 1, 0, 0, 0, 0, time.UTC)
	if done, err := partitioned(ctx, owner, month, keep); err != nil || done {
		return err
	}
	tx, err := owner.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(ctx) }()
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtext('keyrounds partitions'))`); err != nil {
		return err
	}
	for i := range PartitionsAhead + 1 {
		if err := MakePartition(ctx, tx, month.AddDate(0, i, 0)); err != nil {
			return err
		}
	}
	if keep > 0 {
		if err := dropOld(ctx, tx, partition(month.AddDate(0, -keep, 0))); err != nil {
			return err
		}
	}
	return tx.Commit(ctx)
}

// partitioned reports whether there is nothing to make and nothing to drop.
func partitioned(ctx context.Context, owner *pgxpool.Pool, month time.Time, keep int) (bool, error) {
	var names []string
	for i := range PartitionsAhead + 1 {
		names = append(names, partition(month.AddDate(0, i, 0)))
	}
	before := ""
	if keep > 0 {
		before = partition(month.AddDate(0, -keep, 0))
	}
	var made, old int
	err := owner.QueryRow(ctx, `
		SELECT count(*) FILTER (WHERE c.relname = ANY ($1)), count(*) FILTER (WHERE c.relname < $2)
		FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
		WHERE i.inhparent = 'checks'::regclass AND c.relname ~ '^checks_\d{4}_\d{2}$'`, names, before).Scan(&made, &old)
	return made == len(names) && old == 0, err
}

// MakePartition makes the partition of checks for the month (UTC) that begins at from, where it is missing.
func MakePartition(ctx context.Context, tx pgx.Tx, from time.Time) error {
	_, err := tx.Exec(ctx, fmt.Sprintf(`CREATE TABLE IF NOT EXISTS %s PARTITION OF checks FOR VALUES FROM ('%s') TO ('%s')`,
		partition(from), from.Format(time.RFC3339), from.AddDate(0, 1, 0).Format(time.RFC3339)))
	if err != nil {
		return fmt.Errorf("partition %s: %w", partition(from), err)
	}
	return nil
}

// Ahead returns for how many whole months (UTC) after the one of now there are partitions of checks.
func (s *Store) Ahead(ctx context.Context, now time.Time) (n int, err error) {
	err = s.pool.QueryRow(ctx, `
		SELECT count(*) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
		WHERE i.inhparent = 'checks'::regclass AND c.relname ~ '^checks_\d{4}_\d{2}$' AND c.relname > $1`, partition(now.UTC())).Scan(&n)
	return n, err
}

// partition's names sort by time.
func partition(month time.Time) string { return "checks_" + month.Format("2006_01") }

func dropOld(ctx context.Context, tx pgx.Tx, before string) error {
	rows, err := tx.Query(ctx, `
		SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
		WHERE i.inhparent = 'checks'::regclass AND c.relname ~ '^checks_\d{4}_\d{2}$' AND c.relname < $1`, before)
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, err := tx.Exec(ctx, "DROP TABLE "+pgx.Identifier{name}.Sanitize()); err != nil {
			return err
		}
	}
	return nil
}
