package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/verdict"
)

// Record stores rs and the states that the verdict made of them, in the same order: one COPY and
// one statement for the states.
func (s *Store) Record(ctx context.Context, tx pgx.Tx, rs []checker.Result, next []verdict.State) error {
	if len(rs) != len(next) {
		return fmt.Errorf("record: %d results and %d states", len(rs), len(next))
	}
	if len(rs) == 0 {
		return nil
	}
	rows := make([][]any, len(rs))
	for i, r := range rs {
		var err error
		if rows[i], err = checkRow(r, next[i]); err != nil {
			return err
		}
	}
	if _, err := tx.CopyFrom(ctx, pgx.Identifier{"checks"}, checkColumns, pgx.CopyFromRows(rows)); err != nil {
		return fmt.Errorf("record results: %w", err)
	}
	if err := settle(ctx, tx, rs); err != nil {
		return err
	}
	return putStates(ctx, tx, rs, next)
}

// Stored reports whether r was recorded: after a commit whose answer was lost.
func (s *Store) Stored(ctx context.Context, tx pgx.Tx, r checker.Result) (stored bool, err error) {
	err = tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM checks WHERE checked_at = $1 AND id = $2)`, r.At, r.ID).Scan(&stored)
	return stored, err
}

var checkColumns = []string{
	"id", "checked_at", "credential_id", "provider", "outcome", "reason", "rule", "status", "http_status", "error_code", "error_description", "message",
	"latency_us", "dns_us", "connect_us", "tls_us", "first_byte_us", "expires_in_s", "granted_scopes", "missing_scopes", "extra_scopes", "probes",
	"token_hash", "clock_skew_ms", "jti_hash", "egress", "requests", "took_us",
}

func checkRow(r checker.Result, st verdict.State) ([]any, error) {
	probes, err := json.Marshal(orEmpty(r.Probes))
	if err != nil {
		return nil, err
	}
	return []any{
		r.ID, r.At, r.CredentialID, r.Provider, string(r.Outcome), string(r.Reason), r.Rule, string(st.Status), int16(r.HTTPStatus), r.ErrorCode, r.ErrorDescription, r.Message,
		r.Phases.Total.Microseconds(), r.Phases.DNS.Microseconds(), r.Phases.Connect.Microseconds(), r.Phases.TLS.Microseconds(), r.Phases.FirstByte.Microseconds(),
		int32(r.ExpiresIn / time.Second), r.Granted, orEmpty(r.Missing), orEmpty(r.Extra), probes,
		r.Trail.TokenHash, int32(min(max(r.ClockSkew.Milliseconds(), -1<<31), 1<<31-1)),
		r.Trail.JTIHash, nullAddr(r.Trail.Egress), int16(min(r.Trail.Requests, 1<<15-1)), r.Trail.Took.Microseconds(),
	}, nil
}

func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// A state that was retired meanwhile stays so.
const putStatesSQL = `
	INSERT INTO credential_state AS s (credential_id, credential, provider, status, since, changed_at, last_check_at, last_success_at,
		last_certain_at, suspect_since, last_check, outcome, reason, message, latency_us, memory, expires_in_s)
	SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[], $7::timestamptz[], $8::timestamptz[],
		$9::timestamptz[], $10::timestamptz[], $11::uuid[], $12::text[], $13::text[], $14::text[], $15::bigint[], $16::jsonb[], $17::integer[])
	ON CONFLICT (credential_id) DO UPDATE SET
		status = excluded.status, since = excluded.since, last_check_at = excluded.last_check_at, last_success_at = excluded.last_success_at,
		last_certain_at = excluded.last_certain_at, suspect_since = excluded.suspect_since, last_check = excluded.last_check,
		outcome = excluded.outcome, reason = excluded.reason, message = excluded.message, latency_us = excluded.latency_us, memory = excluded.memory,
		expires_in_s = CASE WHEN excluded.expires_in_s > 0 THEN excluded.expires_in_s ELSE s.expires_in_s END
	WHERE s.status <> 'retired'`

func putStates(ctx context.Context, tx pgx.Tx, rs []checker.Result, next []verdict.State) error {
	var (
		n                                                 = len(next)
		credentials, latencies                            = make([]int64, n), make([]int64, n)
		names, providers, statuses                        = make([]string, n), make([]string, n), make([]string, n)
		outcomes, reasons, messages                       = make([]string, n), make([]string, n), make([]string, n)
		since, changed, check, success, certain, suspects = make([]time.Time, n), make([]time.Time, n), make([]time.Time, n), make([]*time.Time, n), make([]*time.Time, n), make([]*time.Time, n)
		memories                                          = make([][]byte, n)
		expires                                           = make([]int32, n)
		ids                                               = make([]uuid.UUID, n)
	)
	for i, st := range next {
		r := rs[i]
		ids[i] = r.ID
		credentials[i], names[i], providers[i], statuses[i] = st.CredentialID, st.Credential, st.Provider, string(st.Status)
		since[i], changed[i], check[i], success[i], certain[i], suspects[i] = st.Since, st.Changed, r.At, nullTime(st.LastSuccess), nullTime(st.LastCertain), nullTime(st.SuspectSince)
		outcomes[i], reasons[i], messages[i], latencies[i] = string(r.Outcome), string(r.Reason), r.Message, r.Phases.Total.Microseconds()
		expires[i] = int32(r.ExpiresIn / time.Second)
		var err error
		if memories[i], err = json.Marshal(st); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, putStatesSQL, credentials, names, providers, statuses, since, changed, check, success, certain, suspects, ids,
		outcomes, reasons, messages, latencies, memories, expires)
	if err != nil {
		return fmt.Errorf("record states: %w", err)
	}
	return nil
}
