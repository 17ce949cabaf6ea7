package audit

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/verdict"
)

// Story is what a finding's verdict rests on: the results of its provider's credentials from an hour
// before it began until it was opened, and how each of them stood before that.
type Story struct {
	Before  map[int64]verdict.State
	Results []checker.Result
	Then    []verdict.Status // what was held after each result
}

// MaxStory is the most results that a Story has; of more, the newest.
const MaxStory = 20000

// Story returns what is still stored of a finding's evidence. Results whose partition was dropped are missing,
// without an error; of credentials that were not checked before it begins there is no state in Before.
func (s *Store) Story(ctx context.Context, f finding.Finding) (Story, error) {
	begin := f.OpenedAt
	if at := f.Evidence.Since; !at.IsZero() && at.Before(begin) {
		begin = at
	}
	begin = begin.Add(-time.Hour)
	st := Story{Before: map[int64]verdict.State{}}
	rows, err := s.pool.Query(ctx, `
		SELECT * FROM (
			SELECT k.id, k.checked_at, k.credential_id, coalesce(c.credential, ''), k.provider, k.outcome, k.reason, k.rule,
				k.status, k.http_status, k.error_code, k.error_description, k.message, k.expires_in_s, k.granted_scopes,
				k.missing_scopes, k.extra_scopes, k.token_hash, k.clock_skew_ms
			FROM checks k LEFT JOIN credential_state c USING (credential_id)
			WHERE k.provider = $1 AND k.checked_at BETWEEN $2 AND $3
			ORDER BY k.checked_at DESC, k.id DESC LIMIT $4) newest
		ORDER BY checked_at, id`, f.Subject.Provider, begin, f.OpenedAt, MaxStory)
	if err != nil {
		return st, err
	}
	st.Results, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (r checker.Result, err error) {
		var (
			then          verdict.Status
			expires, skew int64
		)
		err = row.Scan(&r.ID, &r.At, &r.CredentialID, &r.Credential, &r.Provider, &r.Outcome, &r.Reason, &r.Rule, &then, &r.HTTPStatus,
			&r.ErrorCode, &r.ErrorDescription, &r.Message, &expires, &r.Granted, &r.Missing, &r.Extra, &r.Trail.TokenHash, &skew)
		r.ExpiresIn, r.ClockSkew = time.Duration(expires)*time.Second, time.Duration(skew)*time.Millisecond
		st.Then = append(st.Then, then)
		return r, err
	})
	if err != nil {
		return st, err
	}
	rows, err = s.pool.Query(ctx, `
		SELECT c.credential_id, c.credential, c.provider, least(c.changed_at, $2), b.status, b.checked_at,
			(SELECT max(k.checked_at) FROM checks k
				WHERE k.credential_id = c.credential_id AND k.checked_at < $2 AND k.outcome IN ('ok', 'scope_reduced'))
		FROM credential_state c
		CROSS JOIN LATERAL (
			SELECT status, checked_at FROM checks k
			WHERE k.credential_id = c.credential_id AND k.checked_at < $2 ORDER BY checked_at DESC LIMIT 1) b
		WHERE c.provider = $1`, f.Subject.Provider, begin)
	if err != nil {
		return st, err
	}
	before, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (v verdict.State, err error) {
		var success *time.Time
		err = row.Scan(&v.CredentialID, &v.Credential, &v.Provider, &v.Changed, &v.Status, &v.Since, &success)
		v.LastSuccess = fromNull(success)
		return v, err
	})
	for _, v := range before {
		st.Before[v.CredentialID] = v
	}
	return st, err
}

// Drift is a change of what the provider grants a credential.
type Drift struct {
	At      time.Time `json:"at"`
	Gained  []string  `json:"gained"`
	Lost    []string  `json:"lost"`
	Granted []string  `json:"granted"`
}

// ScopeDrift returns the changes of a credential's granted scopes, the newest first, at most limit. Answers that did
// not say are passed over. It looks as far back as checks are stored.
func (s *Store) ScopeDrift(ctx context.Context, credentialID int64, limit int) ([]Drift, error) {
	rows, err := s.pool.Query(ctx, `
		SELECT checked_at, granted_scopes,
			ARRAY(SELECT unnest(granted_scopes) EXCEPT SELECT unnest(before) ORDER BY 1),
			ARRAY(SELECT unnest(before) EXCEPT SELECT unnest(granted_scopes) ORDER BY 1)
		FROM (SELECT checked_at, granted_scopes, lag(granted_scopes) OVER (ORDER BY checked_at) AS before
			FROM checks WHERE credential_id = $1 AND granted_scopes IS NOT NULL) k
		WHERE before IS NOT NULL AND granted_scopes <> before ORDER BY checked_at DESC LIMIT $2`, credentialID, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (d Drift, err error) {
		return d, row.Scan(&d.At, &d.Granted, &d.Gained, &d.Lost)
	})
}

// LastScopes is what the newest token of a credential could do, zero where there is none.
type LastScopes struct {
	At             time.Time
	Granted        []string // nil: the provider does not say, which means as requested
	Missing, Extra []string
	Probes         []checker.ProbeResult
}

// Scopes returns what the newest token that is still stored of a credential could do; the zero value where there is
// none.
func (s *Store) Scopes(ctx context.Context, credentialID int64) (l LastScopes, err error) {
	rows, err := s.pool.Query(ctx, `
		SELECT checked_at, granted_scopes, missing_scopes, extra_scopes, probes FROM checks
		WHERE credential_id = $1 AND outcome IN ('ok', 'scope_reduced') ORDER BY checked_at DESC LIMIT 1`, credentialID)
	if err != nil {
		return l, err
	}
	_, err = pgx.ForEachRow(rows, []any{&l.At, &l.Granted, &l.Missing, &l.Extra, &l.Probes}, func() error { return nil })
	return l, err
}

// Watch marks the credentials of passive providers, which no check will ever tell anything of, as unknown since now,
// in tx. What the rules remembered of them is dropped. Those that are unknown already, or retired, stay as they are.
func (s *Store) Watch(ctx context.Context, tx pgx.Tx, passive []string, now time.Time) error {
	_, err := tx.Exec(ctx, `
		UPDATE credential_state SET status = 'unknown', since = $2, suspect_since = NULL, memory = '{}'
		WHERE provider = ANY($1) AND status NOT IN ('unknown', 'retired')`, passive, now)
	return err
}
