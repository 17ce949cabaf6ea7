package audit

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/verdict"
)

// Tracked is a credential whose state is to begin, begin anew, or end. Retired comes before Anew; with neither,
// nothing is to be done.
type Tracked struct {
	CredentialID int64
	Credential   string
	Provider     string
	Anew         bool // what was known no longer counts
	Retired      bool
}

// Track follows what happened in the registry, in the transaction of that: a retired credential is retired since now,
// and one that is new or changed is Pending since now, with nothing remembered. It may be called with none.
func (s *Store) Track(ctx context.Context, tx pgx.Tx, ts []Tracked, now time.Time) error {
	var retired, anew []int64
	var names, providers []string
	for _, t := range ts {
		switch {
		case t.Retired:
			retired = append(retired, t.CredentialID)
		case t.Anew:
			anew, names, providers = append(anew, t.CredentialID), append(names, t.Credential), append(providers, t.Provider)
		}
	}
	if len(retired) > 0 {
		_, err := tx.Exec(ctx, `UPDATE credential_state SET status = 'retired', since = $2 WHERE credential_id = ANY($1)`, retired, now)
		if err != nil {
			return err
		}
	}
	if len(anew) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, beginSQL, anew, names, providers, now)
	return err
}

const beginSQL = `
	INSERT INTO credential_state (credential_id, credential, provider, status, since, changed_at)
	SELECT id, credential, provider, 'pending', $4, $4
	FROM unnest($1::bigint[], $2::text[], $3::text[]) AS t (id, credential, provider)
	ON CONFLICT (credential_id) DO UPDATE SET provider = excluded.provider, status = 'pending', since = $4, changed_at = $4,
		suspect_since = NULL, memory = '{}'`

// Statuses returns the status of some credentials, since when they have it, when they end and when they last got a
// token, by id; nothing else of a State is filled in. Those that are not known are left out. It locks nothing.
func (s *Store) Statuses(ctx context.Context, q Querier, ids []int64) (map[int64]verdict.State, error) {
	rows, err := q.Query(ctx, `
		SELECT credential_id, status, since, coalesce(memory->'ends', '{}'), last_success_at
		FROM credential_state WHERE credential_id = ANY($1)`, ids)
	if err != nil {
		return nil, err
	}
	all := map[int64]verdict.State{}
	for rows.Next() {
		var (
			v       verdict.State
			success *time.Time
		)
		if err := rows.Scan(&v.CredentialID, &v.Status, &v.Since, &v.Ends, &success); err != nil {
			rows.Close()
			return nil, err
		}
		v.LastSuccess = fromNull(success)
		all[v.CredentialID] = v
	}
	return all, rows.Err()
}

// LastSuccesses returns when some credentials last got a token, by id. Those that never did, or are not known, are left
// out. It is Statuses for those who ask before each check, and need no more.
func (s *Store) LastSuccesses(ctx context.Context, q Querier, ids []int64) (map[int64]time.Time, error) {
	rows, err := q.Query(ctx, `
		SELECT credential_id, last_success_at FROM credential_state WHERE credential_id = ANY($1) AND last_success_at IS NOT NULL`, ids)
	if err != nil {
		return nil, err
	}
	all := make(map[int64]time.Time, len(ids))
	var (
		id int64
		at time.Time
	)
	_, err = pgx.ForEachRow(rows, []any{&id, &at}, func() error {
		all[id] = at
		return nil
	})
	return all, err
}

// Standing is a credential as it stands, with its last check. Outcome is "" where it was never checked.
type Standing struct {
	verdict.State
	Outcome checker.Outcome
	Reason  checker.Reason
	Message string
	Latency time.Duration
}

// Standings returns the credentials as they stand, by name; retired ones only if asked for.
func (s *Store) Standings(ctx context.Context, retired bool) ([]Standing, error) {
	return s.standings(ctx, `$1 OR status <> 'retired' ORDER BY credential`, retired)
}

// StandingsOf returns those of some credentials as they stand, retired or not, in no order.
func (s *Store) StandingsOf(ctx context.Context, ids []int64) ([]Standing, error) {
	return s.standings(ctx, `credential_id = ANY($1)`, ids)
}

// standings' condition is a constant of this package.
func (s *Store) standings(ctx context.Context, where string, args ...any) ([]Standing, error) {
	rows, err := s.pool.Query(ctx, `
		SELECT credential_id, credential, provider, status, since, changed_at, last_check_at, last_success_at,
			last_certain_at, suspect_since, memory, outcome, reason, message, latency_us
		FROM credential_state WHERE `+where, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (st Standing, err error) {
		var (
			check, success, certain, suspect *time.Time
			memory                           []byte
			latency                          int64
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
			&st.Outcome,
			&st.Reason,
			&st.Message,
			&latency,
		)
		if err != nil {
			return st, err
		}
		st.LastCheck, st.LastSuccess = fromNull(check), fromNull(success)
		st.LastCertain, st.SuspectSince = fromNull(certain), fromNull(suspect)
		st.Latency = time.Duration(latency) * time.Microsecond
		return st, json.Unmarshal(memory, &st.State)
	})
}

// StandingOf returns what is held of one credential, retired or not; ok is false where nothing is.
func (s *Store) StandingOf(ctx context.Context, credentialID int64) (st Standing, ok bool, err error) {
	all, err := s.standings(ctx, `credential_id = $1`, credentialID)
	if err != nil || len(all) == 0 {
		return st, false, err
	}
	return all[0], true, nil
}

// Peers counts the credentials of a provider that are not retired, without the one with that id: how many are
// healthy, and all. Degraded ones are not healthy.
func (s *Store) Peers(ctx context.Context, provider string, without int64) (works, all int, err error) {
	err = s.pool.QueryRow(ctx, `
		SELECT count(*) FILTER (WHERE status = 'healthy'), count(*) FROM credential_state
		WHERE provider = $1 AND status <> 'retired' AND credential_id <> $2`,
		provider, without).Scan(&works, &all)
	return works, all, err
}

// Brief is what metrics say of a credential. A zero time is one that never was.
type Brief struct {
	CredentialID         int64
	Credential, Provider string
	Status               verdict.Status
	Since                time.Time
	LastCheck            time.Time
	LastSuccess          time.Time
	Latency              time.Duration  // of the last check
	ExpiresIn            time.Duration  // of the last token
	Ends                 credential.End // as was seen
	Missing, Excess      int            // scopes
	Unproven             int            // likewise
}

// StatusCounts counts the credentials that are not retired, by provider and status. What there is none of is left
// out.
func (s *Store) StatusCounts(ctx context.Context) (map[string]map[verdict.Status]int, error) {
	rows, err := s.pool.Query(ctx, `SELECT provider, status, count(*) FROM credential_state WHERE status <> 'retired' GROUP BY 1, 2`)
	if err != nil {
		return nil, err
	}
	all := map[string]map[verdict.Status]int{}
	var (
		provider string
		status   verdict.Status
		n        int
	)
	_, err = pgx.ForEachRow(rows, []any{&provider, &status, &n}, func() error {
		if all[provider] == nil {
			all[provider] = map[verdict.Status]int{}
		}
		all[provider][status] = n
		return nil
	})
	return all, err
}

// Briefs returns the credentials that are not retired, the revoked ones first, then those that are suspect, then others
// that are not healthy, then the healthy ones; by name within each. Only those of ids, nil: all. At most limit; 0 means
// all.
func (s *Store) Briefs(ctx context.Context, ids []int64, limit int) ([]Brief, error) {
	rows, err := s.pool.Query(ctx, `
		SELECT credential_id, credential, provider, status, since, last_check_at, last_success_at, latency_us, expires_in_s,
			jsonb_array_length(coalesce(memory->'missing_scopes', '[]')), jsonb_array_length(coalesce(memory->'extra_scopes', '[]')),
			jsonb_array_length(coalesce(memory->'unproven_scopes', '[]')), coalesce(memory->'ends', '{}')
		FROM credential_state WHERE status <> 'retired' AND ($2::bigint[] IS NULL OR credential_id = ANY($2))
		ORDER BY `+worstFirst+`, credential
		LIMIT nullif($1, 0)`, limit, ids)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (b Brief, err error) {
		var (
			check, success *time.Time
			latency        int64
			expires        int32
		)
		err = row.Scan(
			&b.CredentialID,
			&b.Credential,
			&b.Provider,
			&b.Status,
			&b.Since,
			&check,
			&success,
			&latency,
			&expires,
			&b.Missing,
			&b.Excess,
			&b.Unproven,
			&b.Ends,
		)
		b.LastCheck, b.LastSuccess = fromNull(check), fromNull(success)
		b.Latency, b.ExpiresIn = time.Duration(latency)*time.Microsecond, time.Duration(expires)*time.Second
		return b, err
	})
}

// Check is one stored result, for people and for JSON. Status is what was held after it; LatencyMS is in
// milliseconds.
type Check struct {
	At         time.Time       `json:"checked_at"`
	Outcome    checker.Outcome `json:"outcome"`
	Reason     checker.Reason  `json:"reason"`
	Status     verdict.Status  `json:"status"`
	HTTPStatus int             `json:"http_status"`
	Message    string          `json:"message"`
	LatencyMS  float64         `json:"latency_ms"`
}

// History returns the newest checks of a credential that are still stored, the newest first, at most limit.
func (s *Store) History(ctx context.Context, credentialID int64, limit int) ([]Check, error) {
	rows, err := s.pool.Query(ctx, `
		SELECT checked_at, outcome, reason, status, http_status, message, latency_us / 1000.0
		FROM checks WHERE credential_id = $1 ORDER BY checked_at DESC LIMIT $2`, credentialID, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (c Check, err error) {
		err = row.Scan(&c.At, &c.Outcome, &c.Reason, &c.Status, &c.HTTPStatus, &c.Message, &c.LatencyMS)
		return c, err
	})
}

// LastCheck returns when the newest check of any credential began, zero where nothing was ever checked.
func (s *Store) LastCheck(ctx context.Context) (time.Time, error) {
	var last *time.Time
	err := s.pool.QueryRow(ctx, `SELECT max(last_check_at) FROM credential_state`).Scan(&last)
	return fromNull(last), err
}
