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

// LockFleet returns what we hold of the credentials in rs, which are of one provider, and locks
// their rows.
//
// If something was refused or an incident is open, it first locks the provider's row and adds what
// the verdict needs to know of the provider's other credentials: two replicas that judge batches
// of one provider then do so one after the other, each with what the other found.
func (s *Store) LockFleet(ctx context.Context, tx pgx.Tx, rs []checker.Result) (verdict.Fleet, error) {
	if len(rs) == 0 {
		return verdict.Fleet{}, nil
	}
	f := verdict.Fleet{Provider: rs[0].Provider}
	ids := make([]int64, len(rs))
	refused := false
	for i, r := range rs {
		ids[i] = r.CredentialID
		refused = refused || r.Outcome == checker.Rejected
	}
	if !refused {
		open, err := s.incidentIsOpen(ctx, tx, f.Provider)
		if err != nil {
			return f, err
		}
		refused = open
	}
	if refused {
		if err := lockProvider(ctx, tx, f.Provider); err != nil {
			return f, err
		}
	}
	var err error
	if f.States, err = statesForUpdate(ctx, tx, ids); err != nil || !refused {
		return f, err
	}
	if f.Others, err = others(ctx, tx, f.Provider, ids); err != nil {
		return f, err
	}
	return f, incidents(ctx, tx, &f)
}

func (s *Store) incidentIsOpen(ctx context.Context, tx pgx.Tx, provider string) (open bool, err error) {
	err = tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM findings WHERE provider = $1 AND kind = $2 AND state <> 'resolved')`,
		provider, finding.ProviderIncident).Scan(&open)
	return open, err
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
	SELECT credential_id, credential, provider, status, since, changed_at, last_check_at, last_success_at, last_certain_at, suspect_since, memory
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
		err = row.Scan(&st.CredentialID, &st.Credential, &st.Provider, &st.Status, &st.Since, &st.Changed, &check, &success, &certain, &suspect, &memory)
		if err != nil {
			return st, err
		}
		st.LastCheck, st.LastSuccess, st.LastCertain, st.SuspectSince = fromNull(check), fromNull(success), fromNull(certain), fromNull(suspect)
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
		SELECT credential, status, suspect_since, coalesce(last_success_at >= changed_at, false)
		FROM credential_state WHERE provider = $1 AND status <> 'retired' AND NOT credential_id = ANY($2)`, provider, ids)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (o verdict.Other, err error) {
		var since *time.Time
		err = row.Scan(&o.Credential, &o.Status, &since, &o.EverHealthy)
		o.SuspectSince = fromNull(since)
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
