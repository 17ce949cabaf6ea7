package postgres

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// What is counted as which error of the database, and what is none.
func TestClassOf(t *testing.T) {
	t.Parallel()
	code := func(c string) error { return fmt.Errorf("wrapped: %w", &pgconn.PgError{Code: c}) }
	for _, c := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{context.Canceled, ""},
		{pgx.ErrNoRows, ""},
		{code("55P03"), ""}, // a lock that somebody can do without
		{&pgconn.ConnectError{}, classConnection},
		{errors.New("unexpected EOF"), classConnection},
		{code("57P01"), classConnection}, // admin_shutdown
		{code("08006"), classConnection},
		{code("28P01"), classConnection}, // invalid_password
		{code("25P03"), classConnection}, // idle_in_transaction_session_timeout
		{code("53100"), classResources},  // disk_full
		{code("53300"), classResources},  // too_many_connections
		{code("40P01"), classConflict},   // deadlock_detected
		{code("57014"), classTimeout},    // statement timeout
		{context.DeadlineExceeded, classTimeout},
		{code("42P01"), classOther}, // undefined_table
	} {
		if got := classOf(c.err); got != c.want {
			t.Errorf("%v is %q, want %q", c.err, got, c.want)
		}
	}
}
