package postgres

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// Nor does it where the name of the database's host is not known.
func TestPlainHidesTheHost(t *testing.T) {
	c, err := pgconn.ParseConfig("postgres://c4n4ry-user@c4n4ry-host.example/c4n4ry-db")
	if err != nil {
		t.Fatal(err)
	}
	c.LookupFunc = func(_ context.Context, host string) ([]string, error) {
		return nil, &net.DNSError{Err: "no such host", Name: host, Server: "192.0.2.53:53"}
	}
	_, err = pgconn.ConnectConfig(t.Context(), c)
	if got := Plain(err).Error(); got != "database: no connection: no such host" {
		t.Errorf("%s, of %v", got, err)
	}
	got := PlainAttr(slog.Any("error", fmt.Errorf("store: %w", err))).Value.String()
	if got != "store: no connection to the database: no such host" {
		t.Errorf("the log says %s", got)
	}
}

// What a log says of a lost database names neither its user nor its address, whether it comes as an error
// or as River gives it, as a text.
func TestLogHidesTheDatabase(t *testing.T) {
	_, err := pgconn.Connect(t.Context(), "postgres://c4n4ry-user:c4n4ry-pass@127.0.0.1:1/c4n4ry-db")
	if err == nil || !strings.Contains(err.Error(), "c4n4ry-user") {
		t.Fatalf("pgx says %v, which hides nothing worth a test", err)
	}
	var out strings.Builder
	log := slog.New(
		slog.NewJSONHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr { return PlainAttr(a) }}),
	)
	log.Error("as a text", "err", "fetch: "+err.Error(), "queue", "checks")
	log.With("error", err).WithGroup("g").Error("as an error", "error", fmt.Errorf("store: %w", err))
	log.Error("as itself", "error", err, "none", nil)
	got := out.String()
	if strings.Contains(got, "c4n4ry") || strings.Contains(got, "127.0.0.1") {
		t.Errorf("the log shows the database's address: %s", got)
	}
	for _, kept := range []string{
		`"err":"fetch: no connection to the database","queue":"checks"`,
		`"g":{"error":"store: no connection to the database: connection refused"}`,
		`"error":"no connection to the database: connection refused","none":null`,
	} {
		if !strings.Contains(got, kept) {
			t.Errorf("the log lost %s: %s", kept, got)
		}
	}
}
