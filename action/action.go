// Package action does what people ask for: about findings, credentials, checks and usage. A command, a
// page and a button of Slack ask the same thing here, by the name of who asked.
//
// Each deed is done in a transaction of its own, is in the record with its actor, and tells whoever is to
// be told. Who may ask for what is its callers' business.
package action

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/decision"
	"github.com/keyrounds/keyrounds/leak"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/postgres"
	"github.com/keyrounds/keyrounds/registry"
	"github.com/keyrounds/keyrounds/report"
	"github.com/keyrounds/keyrounds/rounds"
	"github.com/keyrounds/keyrounds/sealing"
	"github.com/keyrounds/keyrounds/usage"
)

// Options are options of New. All are required; all stores are on Pool.
type Options struct {
	Pool      *pgxpool.Pool
	Registry  *registry.Store
	Audit     *audit.Store
	Usage     *usage.Store
	Leaks     *leak.Store
	Notifier  *notify.Notifier
	Rounds    *rounds.Rounds
	Reports   *report.Maker
	Decisions *decision.Store
	Sealing   *sealing.Keeper // seals secrets
	Now       func() time.Time
}

// Actions is what can be asked for. It is safe for concurrent use.
//
// An actor is who asked, as the record names it: "user ann", "Ann (slack U01)", audit.Daemon. An error that
// has a method Public says why something was refused, in words for whoever asked.
type Actions struct {
	Options
	match func(credential.Credential) error // see If
}

// New makes Actions. It asks nothing, and there is nothing to close.
func New(o Options) *Actions { return &Actions{Options: o} }

// refusal is why something was not done, in words for whoever asked.
type refusal string

func (r refusal) Error() string  { return string(r) }
func (r refusal) Public() string { return string(r) }

func (a *Actions) inTx(ctx context.Context, f func(pgx.Tx) error) error {
	return postgres.InTx(ctx, a.Pool, f)
}
