package backup

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// survey says what the database has that belongs into a backup, as tx sees it.
func survey(ctx context.Context, tx pgx.Tx) (m Manifest, err error) {
	err = tx.QueryRow(ctx, `SELECT coalesce(max(version_id), 0) FROM schema_migrations WHERE is_applied`).Scan(&m.Schema)
	if err != nil {
		return m, err
	}
	tables, err := tablesOf(ctx, tx)
	if err != nil {
		return m, err
	}
	if m.Tables, err = inOrder(ctx, tx, tables); err != nil {
		return m, err
	}
	if m.Months, err = monthsOf(ctx, tx); err != nil {
		return m, err
	}
	m.Sequences, err = sequencesOf(ctx, tx)
	return m, err
}

// Those whose owner made the schema: another's beside them are none of ours. Partitions are read through their table.
const tablesSQL = `
	SELECT c.relname, array_agg(a.attname::text ORDER BY a.attnum)
	FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
	WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
		AND c.relowner = (SELECT relowner FROM pg_class WHERE oid = to_regclass('schema_migrations'))
		AND c.relname <> ALL ($1)
	GROUP BY c.relname ORDER BY c.relname`

func tablesOf(ctx context.Context, tx pgx.Tx) ([]Table, error) {
	var without []string
	for name := range leftOut() {
		without = append(without, name)
	}
	rows, err := tx.Query(ctx, tablesSQL, without)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Table])
}

const referencesSQL = `
	SELECT f.relname, t.relname FROM pg_constraint k
	JOIN pg_class f ON f.oid = k.conrelid JOIN pg_class t ON t.oid = k.confrelid
	WHERE k.contype = 'f' AND f.relnamespace = current_schema()::regnamespace AND f.oid <> t.oid
	ORDER BY f.relname, t.relname`

// inOrder puts each table behind those that it refers to.
func inOrder(ctx context.Context, tx pgx.Tx, tables []Table) ([]Table, error) {
	rows, err := tx.Query(ctx, referencesSQL)
	if err != nil {
		return nil, err
	}
	type reference struct{ From, To string }
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[reference])
	if err != nil {
		return nil, err
	}
	var ordered []Table
	for len(tables) > 0 {
		free := func(t Table) bool {
			return !slices.ContainsFunc(all, func(r reference) bool {
				return r.From == t.Name && slices.ContainsFunc(tables, func(t Table) bool { return t.Name == r.To })
			})
		}
		i := slices.IndexFunc(tables, free)
		if i < 0 {
			return nil, errors.New("tables refer to each other in a circle")
		}
		ordered, tables = append(ordered, tables[i]), slices.Delete(tables, i, i+1)
	}
	return ordered, nil
}

// Months are kept and not bounds: what a backup says never becomes SQL.
const monthLayout = "2006-01"

func monthsOf(ctx context.Context, tx pgx.Tx) ([]string, error) {
	rows, err := tx.Query(ctx, `
		SELECT replace(substr(c.relname, 8), '_', '-') FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
		WHERE i.inhparent = to_regclass('checks') AND c.relname ~ '^checks_\d{4}_\d{2}$' ORDER BY 1`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// parseMonths is the other way round.
func parseMonths(months []string) (all []time.Time, err error) {
	for _, text := range months {
		month, err := time.Parse(monthLayout, text)
		if err != nil {
			return nil, fmt.Errorf("the month %.20q is none", text)
		}
		all = append(all, month)
	}
	return all, nil
}

// Numbers are given outside of transactions: read after the snapshot was taken, each is at least what its rows have.
const sequencesSQL = `
	SELECT s.sequencename, s.last_value FROM pg_sequences s
	JOIN pg_depend d ON d.objid = format('%I.%I', s.schemaname, s.sequencename)::regclass AND d.classid = 'pg_class'::regclass
		AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
	JOIN pg_class c ON c.oid = d.refobjid
	WHERE s.schemaname = current_schema() AND s.last_value IS NOT NULL AND c.relname <> ALL ($1)`

func sequencesOf(ctx context.Context, tx pgx.Tx) (map[string]int64, error) {
	var without []string
	for name := range leftOut() {
		without = append(without, name)
	}
	rows, err := tx.Query(ctx, sequencesSQL, without)
	if err != nil {
		return nil, err
	}
	all := map[string]int64{}
	var name string
	var last int64
	_, err = pgx.ForEachRow(rows, []any{&name, &last}, func() error {
		all[name] = last
		return nil
	})
	return all, err
}

var plainName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)

func columnList(columns []string) string {
	list := ""
	for i, c := range columns {
		if i > 0 {
			list += ", "
		}
		list += pgx.Identifier{c}.Sanitize()
	}
	return list
}
