package audit

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/verdict"
)

// LockFleet returns what we hold of the credentials in rs, which are of one provider, and locks their rows until tx
// ends. Judge and Record belong in the same tx. Credentials without a row are not in States. Told and Unsaid are left
// empty: they are package usage's to know.
//
// If something was refused or uncertain, or a finding of the provider as a whole or of keyrounds itself is open, it
// first locks the provider's row and adds what the verdict needs to know of the other credentials: two replicas that
// judge batches of one provider then do so one after the other, each with what the other found.
func (s *Store) LockFleet(ctx context.Context, tx pgx.Tx, rs []checker.Result) (verdict.Fleet, error) {
	if len(rs) == 0 {
		return verdict.Fleet{}, nil
	}
	f := verdict.Fleet{Provider: rs[0].Provider}
	ids := make([]int64, len(rs))
	whole, silent := false, true
	for i, r := range rs {
		ids[i] = r.CredentialID
		whole = whole || r.Outcome == checker.Rejected || !r.Outcome.Certain()
		silent = silent && r.Outcome == checker.Unreachable
	}
	incident, err := wideFindings(ctx, tx, &f)
	if err != nil {
		return f, err
	}
	whole = whole || incident || f.Outage || f.Blind
	if whole {
		if err := lockProvider(ctx, tx, f.Provider); err != nil {
			return f, err
		}
	}
	if f.States, err = statesForUpdate(ctx, tx, ids); err != nil || !whole {
		return f, err
	}
	if f.Others, err = others(ctx, tx, f.Provider, ids); err != nil {
		return f, err
	}
	if silent {
		if err := elsewhere(ctx, tx, &f, rs[0].At); err != nil {
			return f, err
		}
	}
	return f, incidents(ctx, tx, &f)
}

// wideFindings notes which findings of the provider as a whole, or of keyrounds itself, are open.
func wideFindings(ctx context.Context, tx pgx.Tx, f *verdict.Fleet) (incident bool, err error) {
	provider, self := finding.Subject{Provider: f.Provider}.Key(), finding.Subject{}.Key()
	rows, err := tx.Query(
		ctx,
		`SELECT kind, subject FROM findings WHERE subject = ANY($1) AND state <> 'resolved'`,
		[]string{provider, self},
	)
	if err != nil {
		return false, err
	}
	var kind, subject string
	_, err = pgx.ForEachRow(rows, []any{&kind, &subject}, func() error {
		switch {
		case kind == string(finding.ProviderIncident):
			incident = true
		case kind == string(finding.Unverifiable) && subject == self:
			f.Blind = true
		case kind == string(finding.Unverifiable):
			f.Outage = true
		}
		return nil
	})
	return incident, err
}

// elsewhere tells whether the other providers that were asked in the last hour are silent as well.
func elsewhere(ctx context.Context, tx pgx.Tx, f *verdict.Fleet, now time.Time) error {
	var since *time.Time
	err := tx.QueryRow(ctx, `
		SELECT coalesce(bool_and(outcome = 'unreachable'), false), max((memory->>'uncertain_since')::timestamptz)
		FROM credential_state WHERE provider <> $1 AND status <> 'retired' AND last_check_at > $2::timestamptz - interval '1 hour'`,
		f.Provider, now).Scan(&f.ElsewhereSilent, &since)
	f.ElsewhereSince = fromNull(since)
	return err
}

func lockProvider(ctx context.Context, tx pgx.Tx, provider string) error {
	if _, err := tx.Exec(ctx, `INSERT INTO provider_state (provider) VALUES ($1) ON CONFLICT DO NOTHING`, provider); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `SELECT FROM provider_state WHERE provider = $1 FOR UPDATE`, provider)
	return err
}

// Rows are locked in the order of their ids, so that two batches never wait for each other.
const statesSQL = `
	SELECT credential_id, credential, provider, status, since, changed_at, last_check_at, last_success_at,
		last_certain_at, suspect_since, memory
	FROM credential_state WHERE credential_id = ANY($1) ORDER BY credential_id FOR UPDATE`

func statesForUpdate(ctx context.Context, tx pgx.Tx, ids []int64) (map[int64]verdict.State, error) {
	rows, err := tx.Query(ctx, statesSQL, ids)
	if err != nil {
		return nil, err
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (st verdict.State, err error) {
		var (
			check, success, certain, suspect *time.Time
			memory                           []byte // pgx would clear what it decodes JSON into
		)
		err = row.Scan(
			&st.CredentialID,
			&st.Credential,
			&st.Provider,
			&st.Status,
			&st.Since,
			&st.Changed,
			&check,
			&success,
			&certain,
			&suspect,
			&memory,
		)
		if err != nil {
			return st, err
		}
		st.LastCheck, st.LastSuccess = fromNull(check), fromNull(success)
		st.LastCertain, st.SuspectSince = fromNull(certain), fromNull(suspect)
		return st, json.Unmarshal(memory, &st)
	})
	states := map[int64]verdict.State{}
	for _, st := range list {
		states[st.CredentialID] = st
	}
	return states, err
}

func others(ctx context.Context, tx pgx.Tx, provider string, ids []int64) ([]verdict.Other, error) {
	rows, err := tx.Query(ctx, `
		SELECT credential, status, suspect_since, coalesce(last_success_at >= changed_at, false),
			(memory->>'uncertain_since')::timestamptz
		FROM credential_state WHERE provider = $1 AND status <> 'retired' AND NOT credential_id = ANY($2)`, provider, ids)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (o verdict.Other, err error) {
		var since, uncertain *time.Time
		err = row.Scan(&o.Credential, &o.Status, &since, &o.EverHealthy, &uncertain)
		o.SuspectSince, o.UncertainSince = fromNull(since), fromNull(uncertain)
		return o, err
	})
}

func incidents(ctx context.Context, tx pgx.Tx, f *verdict.Fleet) error {
	var (
		opened   time.Time
		resolved *time.Time
		e        finding.Evidence
	)
	err := tx.QueryRow(ctx, `
		SELECT opened_at, resolved_at, evidence FROM findings WHERE provider = $1 AND kind = $2
		ORDER BY opened_at DESC LIMIT 1`, f.Provider, finding.ProviderIncident).Scan(&opened, &resolved, &e)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil
	case err != nil:
		return err
	case resolved == nil:
		f.IncidentSince, f.Affected = opened, e.Affected
	default:
		f.IncidentEnded = *resolved
	}
	return nil
}
