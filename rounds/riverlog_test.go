package rounds

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// What River says of a lost database names neither its user nor its address.
func TestRiverLogHidesTheDatabase(t *testing.T) {
	_, err := pgconn.Connect(t.Context(), "postgres://c4n4ry-user:c4n4ry-pass@127.0.0.1:1/c4n4ry-db")
	if err == nil || !strings.Contains(err.Error(), "c4n4ry-user") {
		t.Fatalf("pgx says %v, which hides nothing worth a test", err)
	}
	var out strings.Builder
	log := slog.New(riverLog{slog.NewJSONHandler(&out, nil)})
	log.Error("producer: Error fetching jobs", slog.String("err", "fetch: "+err.Error()), slog.String("queue", "checks"))
	log.Error("client: Error", slog.Any("err", err))
	if got := out.String(); strings.Contains(got, "c4n4ry") || strings.Contains(got, "127.0.0.1") {
		t.Errorf("the log shows the database's address: %s", got)
	}
	if got := out.String(); !strings.Contains(got, `"err":"fetch: no connection to the database","queue":"checks"`) {
		t.Errorf("the log lost what happened: %s", got)
	}
}
