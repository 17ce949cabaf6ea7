package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// Plain drops from an error of pgx what it says of the connection: user, database and host; of what the server said
// it keeps message and SQLSTATE. The types of pgx, and what was wrapped around them, are gone then. Every other
// error, and nil, is returned as it is.
func Plain(err error) error {
	var ce *pgconn.ConnectError
	var pe *pgconn.PgError
	switch {
	case errors.As(err, &pe):
		return fmt.Errorf("database: %s (SQLSTATE %s)", pe.Message, pe.Code)
	case errors.As(err, &ce) && errors.Is(err, context.DeadlineExceeded):
		return lateError{"database: no connection in time"}
	case errors.As(err, &ce):
		return fmt.Errorf("database: no connection: %w", innermost(ce))
	case errors.Is(err, context.DeadlineExceeded):
		return lateError{"database: no answer in time"}
	}
	return err
}

// lateError is context.DeadlineExceeded in words that a person understands.
type lateError struct{ text string }

func (e lateError) Error() string        { return e.text }
func (e lateError) Is(target error) bool { return target == context.DeadlineExceeded }
func (e lateError) Timeout() bool        { return true }

// PlainAttr drops the same from an attribute of a log, and keeps what the error says besides. River gives
// the text of an error only, which is known by pgx's words.
func PlainAttr(a slog.Attr) slog.Attr {
	text, address, why := "", "failed to connect to `", ""
	switch v := a.Value.Any().(type) {
	case string:
		text = v
	case error:
		text = v.Error()
		if ce := (*pgconn.ConnectError)(nil); errors.As(v, &ce) {
			address, why = ce.Error(), ": "+innermost(ce).Error()
		}
	}
	if before, _, found := strings.Cut(text, address); found {
		a.Value = slog.StringValue(before + "no connection to the database" + why)
	}
	return a
}

// innermost is why a connection failed, without where to.
func innermost(err error) error {
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return errors.New(dns.Err)
	}
	for {
		next := errors.Unwrap(err)
		if joined, ok := err.(interface{ Unwrap() []error }); ok && len(joined.Unwrap()) > 0 {
			next = joined.Unwrap()[0]
		}
		if next == nil {
			return err
		}
		err = next
	}
}
