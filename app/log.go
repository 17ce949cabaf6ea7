package app

import (
	"log/slog"

	"github.com/keyrounds/keyrounds/postgres"
)

// LogAttr is for the ReplaceAttr of what Options.Log writes with: durations have their unit, which slog's JSON leaves
// out, and errors of a database that is away do not have its user and address. It is pure.
func LogAttr(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return postgres.PlainAttr(a)
}
