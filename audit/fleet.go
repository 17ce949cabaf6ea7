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
// ends. Judge and Record belong in the same tx. Credentials without a row are not in States. Told, Unsaid and Lockout are
// left empty: they are others' to know. neighbours are the names of other providers with the same token endpoint.
//
// If something was refused or uncertain, or a finding of the provider as a whole or of keyrounds itself is open, it
// first locks the rows of the provider and its neighbours and adds what the verdict needs to know of the other
// credentials: two replicas that judge batches of one provider then do so one after the other, each with what the other
// found. Where something is accepted again it adds that without the lock, for verdict.Wishes.
func (s *Store) LockFleet(ctx context.Context, tx pgx.Tx, rs []checker.Result, neighbours []string) (verdict.Fleet, error) {
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
	whole = whole || incident || f.Outage || f.Down || f.Blind
	if whole {
		if err := lockProviders(ctx, tx, append([]string{f.Provider}, neighbours...)); err != nil {
			return f, err
		}
	}
	if f.States, err = statesForUpdate(ctx, tx, ids); err != nil {
		return f, err
	}
	for _, r := range rs {
		status := f.States[r.CredentialID].Status
		whole = whole || r.Outcome.HasToken() && (status == verdict.Suspect || status == verdict.Revoked)
	}
	if !whole {
		return f, nil
	}
	if f.Others, err = others(ctx, tx, []string{f.Provider}, ids); err != nil {
		return f, err
	}
	if len(neighbours) > 0 {
		if f.Neighbours, err = others(ctx, tx, neighbours, nil); err != nil {
			return f, err
		}
	}
	if silent {
		if err := elsewhere(ctx, tx, &f, silentSince(f, rs)); err != nil {
			return f, err
		}
	}
	return f, incidents(ctx, tx, &f)
}

// wideFindings notes which findings of the provider as a whole, or of keyrounds itself, are open. incident: one of the
// provider is, or of a neighbour and it belongs to that.
func wideFindings(ctx context.Context, tx pgx.Tx, f *verdict.Fleet) (incident bool, err error) {
	rows, err := tx.Query(ctx, `
		SELECT kind, provider FROM findings
		WHERE state <> 'resolved' AND kind IN ('provider_incident', 'provider_down', 'unverifiable') AND credential = ''
			AND (provider IN ('', $1) OR kind = $2 AND evidence->'providers' ? $1)`,
		f.Provider, finding.ProviderIncident)
	if err != nil {
		return false, err
	}
	var (
		kind     finding.Kind
		provider string
	)
	_, err = pgx.ForEachRow(rows, []any{&kind, &provider}, func() error {
		switch {
		case kind == finding.ProviderIncident:
			incident = true
		case kind == finding.ProviderDown:
			f.Down = true
		case kind == finding.Unverifiable && provider == "":
			f.Blind = true
		case kind == finding.Unverifiable:
			f.Outage = true
		}
		return nil
	})
	return incident, err
}

// silentSince is when the first of rs, or of the provider's others, got no certain answer.
func silentSince(f verdict.Fleet, rs []checker.Result) time.Time {
	since := rs[0].At
	earlier := func(t time.Time) {
		if !t.IsZero() && t.Before(since) && rs[0].At.Sub(t) < time.Hour {
			since = t
		}
	}
	for _, s := range f.States {
		earlier(s.UncertainSince)
	}
	for _, o := range f.Others {
		earlier(o.UncertainSince)
	}
	return since
}

// elsewhere tells whether the other providers that were asked since then are silent as well: what they answered before
// says nothing.
func elsewhere(ctx context.Context, tx pgx.Tx, f *verdict.Fleet, since time.Time) error {
	var began *time.Time
	err := tx.QueryRow(ctx, `
		SELECT coalesce(bool_and(outcome = 'unreachable'), false), max((memory->>'uncertain_since')::timestamptz)
		FROM credential_state WHERE provider <> $1 AND status <> 'retired' AND last_check_at >= $2`,
		f.Provider, since).Scan(&f.ElsewhereSilent, &began)
	f.ElsewhereSince = fromNull(began)
	return err
}

// lockProviders locks their rows in the order of their names, in which everybody does.
func lockProviders(ctx context.Context, tx pgx.Tx, providers []string) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO provider_state (provider) SELECT name FROM unnest($1::text[]) AS name ORDER BY name ON CONFLICT DO NOTHING`, providers)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `SELECT FROM provider_state WHERE provider = ANY($1) ORDER BY provider FOR UPDATE`, providers)
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

func others(ctx context.Context, tx pgx.Tx, providers []string, but []int64) ([]verdict.Other, error) {
	rows, err := tx.Query(ctx, `
		SELECT credential_id, credential, provider, status, suspect_since, last_check_at, last_certain_at,
			coalesce(last_success_at >= changed_at, false), (memory->>'uncertain_since')::timestamptz,
			(memory->>'trouble_since')::timestamptz,
			coalesce((memory->>'flapping')::boolean, false), coalesce((memory->>'proven')::boolean, false),
			coalesce((memory->>'cleared')::boolean, false), coalesce((memory->>'secret_lost')::boolean, false),
			CASE WHEN status IN ('suspect', 'revoked') THEN memory->'refusals' END
		FROM credential_state WHERE provider = ANY($1) AND status <> 'retired' AND NOT credential_id = ANY($2)`,
		providers, append([]int64{}, but...))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (o verdict.Other, err error) {
		var since, check, certain, uncertain, trouble *time.Time
		err = row.Scan(&o.CredentialID, &o.Credential, &o.Provider, &o.Status, &since, &check, &certain, &o.EverHealthy, &uncertain,
			&trouble, &o.Flapping, &o.Proven, &o.Cleared, &o.SecretLost, &o.Refusals)
		o.SuspectSince, o.LastCheck = fromNull(since), fromNull(check)
		o.LastCertain, o.UncertainSince, o.TroubleSince = fromNull(certain), fromNull(uncertain), fromNull(trouble)
		return o, err
	})
}

// incidents adds the open incident that the provider belongs to, and the last one that ended.
func incidents(ctx context.Context, tx pgx.Tx, f *verdict.Fleet) error {
	const columns = `SELECT provider, opened_at, coalesce(resolved_at, opened_at), evidence FROM findings
		WHERE kind = $2 AND (provider = $1 OR evidence->'providers' ? $1)`
	for into, sql := range map[*verdict.Incident]string{
		&f.Incident:     columns + ` AND state <> 'resolved' ORDER BY id LIMIT 1`,
		&f.LastIncident: columns + ` AND state = 'resolved' ORDER BY resolved_at DESC LIMIT 1`,
	} {
		var e finding.Evidence
		i := verdict.Incident{}
		err := tx.QueryRow(ctx, sql, f.Provider, finding.ProviderIncident).Scan(&i.Provider, &i.Opened, &i.Ended, &e)
		if errors.Is(err, pgx.ErrNoRows) {
			continue
		}
		if err != nil {
			return err
		}
		if i.First, i.Affected, i.Providers = e.Since, e.Affected, e.Providers; into == &f.Incident {
			i.Ended = time.Time{}
		}
		*into = i
	}
	return nil
}
