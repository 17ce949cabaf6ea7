package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/postgres"
)

// RestoreOptions say what becomes of a backup. All are required.
type RestoreOptions struct {
	Owner postgres.Owner // of an empty database
	Open  Key
	Actor string // who asked, for the record
	Now   func() time.Time
}

// Restore makes an empty database what the backup r says, brings its schema up to date, and says in the record who did it. c is
// what Check returned of the same backup. It is whole or not at all: a database where this was cut short is refused by all who
// open it (postgres.ErrHalfRestored). The sealing key is the caller's business (Check). Errors: those of Check, of
// postgres.Owner.Restore, and that r is not what c says.
func Restore(ctx context.Context, r io.Reader, c Contents, o RestoreOptions) (postgres.Version, error) {
	fill := func(ctx context.Context, tx pgx.Tx) error {
		months, err := parseMonths(c.Months)
		if err != nil {
			return err
		}
		for _, month := range months {
			if err := audit.MakePartition(ctx, tx, month); err != nil {
				return err
			}
		}
		if err := sameTables(ctx, tx, c.Manifest); err != nil {
			return err
		}
		table := func(t Table, rows io.Reader) (int64, error) {
			sql := fmt.Sprintf(`COPY %s (%s) FROM STDIN (FORMAT binary)`, pgx.Identifier{t.Name}.Sanitize(), columnList(t.Columns))
			tag, err := tx.Conn().PgConn().CopyFrom(ctx, rows, sql)
			return tag.RowsAffected(), err
		}
		again, err := read(r, o.Open, visitor{table: table})
		if err != nil {
			return err
		}
		if !maps.Equal(again.Sums, c.Sums) || !again.At.Equal(c.At) {
			return errors.New("the backup was exchanged for another one while it was read")
		}
		return setSequences(ctx, tx, c.Sequences)
	}
	finish := func(ctx context.Context, tx pgx.Tx) error {
		detail := map[string]any{"made_at": c.At, "made_by": c.Keyrounds, "schema": c.Schema, "rows": c.Rows()}
		e, err := audit.NewEntry(o.Now(), o.Actor, "database.restored", subject, detail)
		if err != nil {
			return err
		}
		return audit.New(audit.Options{}).Append(ctx, tx, e)
	}
	return o.Owner.Restore(ctx, c.Schema, fill, finish)
}

const subject = "database"

// sameTables: what the backup names is what the schema of its version has, no more and no less.
func sameTables(ctx context.Context, tx pgx.Tx, m Manifest) error {
	have, err := tablesOf(ctx, tx)
	if err != nil {
		return err
	}
	columns := map[string]map[string]bool{}
	for _, t := range have {
		columns[t.Name] = set(t.Columns)
	}
	for _, t := range m.Tables {
		if !maps.Equal(columns[t.Name], set(t.Columns)) {
			return fmt.Errorf("the backup has the table %s, which schema %d does not have like that", t.Name, m.Schema)
		}
		delete(columns, t.Name)
	}
	for name := range columns {
		return fmt.Errorf("the backup lacks the table %s, which schema %d has", name, m.Schema)
	}
	return nil
}

func set(names []string) map[string]bool {
	all := map[string]bool{}
	for _, n := range names {
		all[n] = true
	}
	return all
}

func setSequences(ctx context.Context, tx pgx.Tx, sequences map[string]int64) error {
	for name, last := range sequences {
		if !plainName.MatchString(name) {
			return fmt.Errorf("%s names the sequence %.80q", manifestName, name)
		}
		if _, err := tx.Exec(ctx, `SELECT setval($1::text::regclass, $2)`, name, last); err != nil {
			return fmt.Errorf("sequence %s: %w", name, err)
		}
	}
	return nil
}

// Note says in the record who made the backup c.
func Note(ctx context.Context, store *audit.Store, actor string, c Contents) error {
	detail := map[string]any{"schema": c.Schema, "rows": c.Rows(), "bytes": c.Size, "sealing_key": c.SealingKey, "as_of": c.At}
	return postgres.Plain(store.Note(ctx, actor, "database.backed_up", subject, detail))
}
