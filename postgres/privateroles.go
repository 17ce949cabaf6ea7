//go:build linux

package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
)

// The roles of a private server. The first owns all, migrates and keeps partitions, and is connected for just that; it
// is the one that initdb makes. The other is the application's.
const (
	adminRole = "keyrounds"
	appRole   = "keyrounds_app"
)

// convert gives the application's role what it needs in a database that an earlier version made, where one role did all. A
// schema that is older yet is migrated, and granted, later.
func (p place) convert(ctx context.Context) error {
	return p.withConn(ctx, adminRole, database, func(c *pgx.Conn) error {
		var current bool
		err := c.QueryRow(ctx, `SELECT to_regclass('reports') IS NOT NULL AND to_regclass('river_migration') IS NOT NULL`).Scan(&current)
		if err != nil || !current {
			return err
		}
		return grant(ctx, c, appRole)
	})
}

// haveRoles reports whether the roles have their passwords. The file is put in place when all else is done, so where
// it is missing (a new server, one of an earlier version, one that was cut short) they get new ones.
func (p place) haveRoles() (bool, error) {
	text, err := os.ReadFile(p.passwords())
	st, failed := os.Lstat(p.passwords())
	switch {
	case errors.Is(err, os.ErrNotExist):
		return false, nil
	case failed == nil && st.Mode().IsRegular() && st.Mode().Perm()&0o077 != 0:
		return false, nil // others may have read them
	case errors.Is(err, syscall.EISDIR):
		return false, &passwordsError{p.passwords(), "it is a directory"}
	case err != nil:
		return false, err
	}
	for _, role := range []string{adminRole, appRole} {
		if passwordIn(string(text), role) == "" {
			return false, &passwordsError{p.passwords(), "it has no password of " + role}
		}
	}
	return true, nil
}

// passwordIn is the password of a role in the file of passwords, "" where it has none.
func passwordIn(file, role string) string {
	for line := range strings.Lines(file) {
		if password, ok := strings.CutPrefix(strings.TrimSpace(line), "*:*:*:"+role+":"); ok {
			return password
		}
	}
	return ""
}

// allow writes who may connect: with a password, or for a moment, before there are passwords, the owner alone without.
// The server reads it at its start and at a reload.
func (p place) allow(known bool) error {
	rule := "local all all scram-sha-256\n"
	if !known {
		rule = "local all " + adminRole + " trust\n"
	}
	return replaceFile(p.hba(), "# Made by keyrounds at each start.\n"+rule, 0o644)
}

// furnish makes the database and the roles where they are missing.
func (p place) furnish(ctx context.Context, c *pgx.Conn, known bool) error {
	var exists bool
	if err := c.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, database).Scan(&exists); err != nil {
		return err
	}
	if !exists {
		if _, err := c.Exec(ctx, "CREATE DATABASE "+database); err != nil {
			return err
		}
	}
	if err := p.deny(ctx, c); err != nil {
		return err
	}
	if known {
		return p.asMade(ctx, c)
	}
	if err := c.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)`, appRole).Scan(&exists); err != nil {
		return err
	}
	if !exists {
		if _, err := c.Exec(ctx, "CREATE ROLE "+appRole); err != nil {
			return err
		}
	}
	if _, err := c.Exec(ctx, "ALTER ROLE "+appRole+appIs); err != nil {
		return err
	}
	if err := resetSettings(ctx, c, appRole); err != nil {
		return err
	}
	var file strings.Builder
	if _, err := c.Exec(ctx, `SET password_encryption = 'scram-sha-256'`); err != nil {
		return err
	}
	for _, role := range []string{adminRole, appRole} {
		password := rand.Text()
		if _, err := c.Exec(ctx, fmt.Sprintf("ALTER ROLE %s PASSWORD '%s'", role, password)); err != nil {
			return err
		}
		fmt.Fprintf(&file, "*:*:*:%s:%s\n", role, password)
	}
	if err := p.convert(ctx); err != nil {
		return err
	}
	if err := replaceFile(p.passwords(), file.String(), 0o600); err != nil {
		return err
	}
	if err := p.allow(true); err != nil {
		return err
	}
	_, err := c.Exec(ctx, `SELECT pg_reload_conf()`)
	return err
}

const appIs = " LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"

// asMade takes back what a role can always change of itself, its password and its settings: who came to speak for the application
// once would lock the daemon out by them.
func (p place) asMade(ctx context.Context, c *pgx.Conn) error {
	text, err := os.ReadFile(p.passwords())
	if err != nil {
		return err
	}
	password := passwordIn(string(text), appRole)
	_, err = c.Exec(ctx, fmt.Sprintf(`
		SET LOCAL password_encryption = 'scram-sha-256';
		ALTER ROLE %[1]s %[2]s PASSWORD '%[3]s' VALID UNTIL 'infinity' CONNECTION LIMIT -1`,
		appRole, appIs, strings.ReplaceAll(password, "'", "''")))
	if err != nil {
		return err
	}
	return resetSettings(ctx, c, appRole)
}

// resetSettings takes back every ALTER ROLE … SET of role, for all databases and for each of them.
func resetSettings(ctx context.Context, admin *pgx.Conn, role string) error {
	var sql string
	err := admin.QueryRow(ctx, `
		SELECT coalesce(string_agg(format('ALTER ROLE %I IN DATABASE %I RESET ALL', $1::text, d.datname), '; '), '')
		FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
		WHERE s.setrole = $1::regrole`, role).Scan(&sql)
	if err == nil {
		_, err = admin.Exec(ctx, fmt.Sprintf("ALTER ROLE %s RESET ALL; %s", pgx.Identifier{role}.Sanitize(), sql))
	}
	return err
}

// deny takes from everybody but a superuser what Postgres gives to everybody and nothing here needs: large objects, which whoever makes
// one owns, and the databases that initdb makes.
func (p place) deny(ctx context.Context, c *pgx.Conn) error {
	if _, err := c.Exec(ctx, `REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC`); err != nil {
		return err
	}
	return p.withConn(ctx, adminRole, database, func(c *pgx.Conn) error {
		_, err := c.Exec(ctx, denyLargeObjects)
		return err
	})
}

// denyLargeObjects is for one database, for good, and for a superuser.
const denyLargeObjects = `
	DO $$
	DECLARE f regprocedure;
	BEGIN
		FOR f IN
			SELECT oid FROM pg_proc
			WHERE pronamespace = 'pg_catalog'::regnamespace AND (proname LIKE 'lo\_%' OR proname IN ('loread', 'lowrite'))
				AND EXISTS (SELECT FROM aclexplode(coalesce(proacl, acldefault('f', proowner))) WHERE grantee = 0)
		LOOP
			EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f);
		END LOOP;
	END $$`

// replaceFile writes a file of ours whole, or not at all.
func replaceFile(path, text string, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // where it is not in place
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
