package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Owner is the role that owns the schema: it migrates and keeps partitions, and is connected for just that. It is
// another one than the application's, or, for a Postgres of one's own without an admin_url, the same.
type Owner struct {
	App *pgxpool.Pool // the application's role
	// URL is where and as whom to connect, asked for anew each time; nil: App is the owner.
	URL func(context.Context) (string, error)
}

// Separate reports whether the owner is another role than the application's.
func (o Owner) Separate() bool { return o.URL != nil }

// Do calls f with connections of the owner, which are closed after it.
func (o Owner) Do(ctx context.Context, f func(*pgxpool.Pool) error) error {
	if !o.Separate() {
		return f(o.App)
	}
	url, err := o.URL(ctx)
	if err != nil {
		return err
	}
	pool, err := Open(ctx, url)
	if err != nil {
		return fmt.Errorf("database.admin_url: %w", err)
	}
	defer pool.Close()
	return f(pool)
}

// ElsewhereError says that the two roles were given different databases.
type ElsewhereError struct{}

func (ElsewhereError) Error() string {
	return "database.admin_url is another database, or another schema, than database.url: what was migrated is not there"
}

// Hint says what a person does about it.
func (ElsewhereError) Hint() string {
	return "let both name the same server and database, the one as the owner of the tables and the other as keyrounds' own role"
}

// Migrate brings the schema up to date as the owner (the function Migrate), and gives the application's role what it needs.
func (o Owner) Migrate(ctx context.Context) (v Version, err error) {
	err = o.Do(ctx, func(pool *pgxpool.Pool) error {
		if v, err = Migrate(ctx, pool); err != nil || !o.Separate() {
			return err
		}
		return Grant(ctx, pool, o.App.Config().ConnConfig.User)
	})
	if err != nil || !o.Separate() {
		return v, err
	}
	if RequireCurrent(ctx, o.App) != nil {
		return v, ElsewhereError{}
	}
	return v, nil
}
