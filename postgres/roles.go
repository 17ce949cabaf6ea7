package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Grants are what the application's role (ROLE) needs in the schema (SCHEMA) that Migrate made, and no more: it owns nothing, and
// of what is only ever added to (record, reports) it can change and remove nothing, nor switch off what keeps it so.
const Grants = `
	REVOKE CREATE ON SCHEMA SCHEMA FROM PUBLIC; -- on Postgres 14 all may
	GRANT USAGE ON SCHEMA SCHEMA TO ROLE;
	GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA SCHEMA TO ROLE;
	REVOKE UPDATE, DELETE, TRUNCATE ON record, reports FROM ROLE;
	REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON schema_migrations, river_migration FROM ROLE;
	GRANT USAGE ON ALL SEQUENCES IN SCHEMA SCHEMA TO ROLE;`

// Grant gives role what Grants say. Call it as the owner of the schema, after each Migrate.
func Grant(ctx context.Context, admin *pgxpool.Pool, role string) error {
	return admin.AcquireFunc(ctx, func(c *pgxpool.Conn) error { return grant(ctx, c.Conn(), role) })
}

func grant(ctx context.Context, admin *pgx.Conn, role string) error {
	var schema string
	err := admin.QueryRow(ctx, `SELECT quote_ident(current_schema())`).Scan(&schema)
	if err == nil {
		sql := strings.NewReplacer("SCHEMA SCHEMA", "SCHEMA "+schema, "ROLE", pgx.Identifier{role}.Sanitize()).Replace(Grants)
		_, err = admin.Exec(ctx, fmt.Sprintf(`SELECT pg_advisory_xact_lock(%d); %s`, migrationLock, sql)) // one transaction
	}
	if err != nil {
		return fmt.Errorf("grant to the application's role %s: %w", role, Plain(err))
	}
	return nil
}
