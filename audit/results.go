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

// Record stores rs and the states that the verdict made of them, in the same order, in tx: one COPY and one statement
// for the states. It also takes out the intents of rs. A credential that was retired meanwhile keeps its state. Lists
// of another length, and a result that is stored already, are an error.
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
	made := make([]Intent, len(rs))
	for i, r := range rs {
		made[i] = Intent{Check: r.ID, CredentialID: r.CredentialID}
	}
	if err := s.Withdraw(ctx, tx, made); err != nil {
		return err
	}
	return putStates(ctx, tx, rs, next)
}

// Stored reports whether r was recorded. Ask after a commit whose answer was lost.
func (s *Store) Stored(ctx context.Context, tx pgx.Tx, r checker.Result) (stored bool, err error) {
	err = tx.QueryRow(ctx, `
		SELECT EXISTS (SELECT FROM checks WHERE credential_id = $1 AND checked_at = $2 AND id = $3)`,
		r.CredentialID, r.At, r.ID).Scan(&stored)
	return stored, err
}

var checkColumns = []string{
	"id",
	"checked_at",
	"credential_id",
	"provider",
	"outcome",
	"reason",
	"rule",
	"status",
	"http_status",
	"error_code",
	"error_description",
	"message",
	"latency_us",
	"dns_us",
	"connect_us",
	"tls_us",
	"first_byte_us",
	"expires_in_s",
	"granted_scopes",
	"missing_scopes",
	"extra_scopes",
	"probes",
	"token_hash",
	"clock_skew_ms",
	"jti_hash",
	"egress",
	"requests",
	"took_us",
}

func checkRow(r checker.Result, st verdict.State) ([]any, error) {
	probes, err := json.Marshal(orEmpty(r.Probes))
	if err != nil {
		return nil, err
	}
	return []any{
		[16]byte(r.ID), // which pgx writes without asking its driver.Valuer
		r.At,
		r.CredentialID,
		r.Provider,
		string(r.Outcome),
		string(r.Reason),
		r.Rule,
		string(st.Status),
		int16(r.HTTPStatus),
		r.ErrorCode,
		r.ErrorDescription,
		r.Message,
		r.Phases.Total.Microseconds(),
		r.Phases.DNS.Microseconds(),
		r.Phases.Connect.Microseconds(),
		r.Phases.TLS.Microseconds(),
		r.Phases.FirstByte.Microseconds(),
		int32(r.ExpiresIn / time.Second),
		r.Granted,
		orEmpty(r.Missing),
		orEmpty(r.Extra),
		probes,
		r.Trail.TokenHash,
		int32(min(max(r.ClockSkew.Milliseconds(), -1<<31), 1<<31-1)),
		r.Trail.JTIHash,
		nullAddr(r.Trail.Egress),
		int16(min(r.Trail.Requests, 1<<15-1)),
		r.Trail.Took.Microseconds(),
	}, nil
}

func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// stateRow is a row of credential_state; the keys are its columns. Times have the microseconds that Postgres keeps.
type stateRow struct {
	CredentialID  int64           `json:"credential_id"`
	Credential    string          `json:"credential"`
	Provider      string          `json:"provider"`
	Status        verdict.Status  `json:"status"`
	Since         time.Time       `json:"since"`
	ChangedAt     time.Time       `json:"changed_at"`
	LastCheckAt   time.Time       `json:"last_check_at"`
	LastSuccessAt *time.Time      `json:"last_success_at"`
	LastCertainAt *time.Time      `json:"last_certain_at"`
	SuspectSince  *time.Time      `json:"suspect_since"`
	LastCheck     uuid.UUID       `json:"last_check"`
	Outcome       checker.Outcome `json:"outcome"`
	Reason        checker.Reason  `json:"reason"`
	Message       string          `json:"message"`
	LatencyUS     int64           `json:"latency_us"`
	Memory        verdict.State   `json:"memory"`
	ExpiresInS    int32           `json:"expires_in_s"`
}

func newStateRow(r checker.Result, st verdict.State) stateRow {
	us := func(t time.Time) time.Time { return t.Truncate(time.Microsecond) }
	orNull := func(t time.Time) *time.Time { return nullTime(us(t)) }
	return stateRow{
		CredentialID: st.CredentialID, Credential: st.Credential, Provider: st.Provider,
		Status: st.Status, Since: us(st.Since), ChangedAt: us(st.Changed), LastCheckAt: us(r.At),
		LastSuccessAt: orNull(st.LastSuccess), LastCertainAt: orNull(st.LastCertain), SuspectSince: orNull(st.SuspectSince),
		LastCheck: r.ID, Outcome: r.Outcome, Reason: r.Reason, Message: r.Message,
		LatencyUS: r.Phases.Total.Microseconds(), Memory: st, ExpiresInS: int32(r.ExpiresIn / time.Second),
	}
}

// One statement for a batch. A state that was retired meanwhile stays so.
const updateStatesSQL = `
	UPDATE credential_state s SET
		status = r.status, since = r.since, last_check_at = r.last_check_at, last_success_at = r.last_success_at,
		last_certain_at = r.last_certain_at, suspect_since = r.suspect_since, last_check = r.last_check, outcome = r.outcome,
		reason = r.reason, message = r.message, latency_us = r.latency_us, memory = r.memory::jsonb,
		expires_in_s = CASE WHEN r.expires_in_s > 0 THEN r.expires_in_s ELSE s.expires_in_s END
	FROM unnest($1::bigint[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[], $7::timestamptz[],
		$8::uuid[], $9::text[], $10::text[], $11::text[], $12::bigint[], $13::text[], $14::integer[]) AS r (credential_id, status, since,
		last_check_at, last_success_at, last_certain_at, suspect_since, last_check, outcome, reason, message, latency_us, memory,
		expires_in_s)
	WHERE s.credential_id = r.credential_id AND s.status <> 'retired'`

// For those of a batch that have no state yet; the others are as the statement before left them.
const putStatesSQL = `
	INSERT INTO credential_state AS s (credential_id, credential, provider, status, since, changed_at, last_check_at, last_success_at,
		last_certain_at, suspect_since, last_check, outcome, reason, message, latency_us, memory, expires_in_s)
	SELECT credential_id, credential, provider, status, since, changed_at, last_check_at, last_success_at,
		last_certain_at, suspect_since, last_check, outcome, reason, message, latency_us, memory, expires_in_s
	FROM json_to_recordset($1::json) AS r (credential_id bigint, credential text, provider text, status text, since timestamptz,
		changed_at timestamptz, last_check_at timestamptz, last_success_at timestamptz, last_certain_at timestamptz,
		suspect_since timestamptz, last_check uuid, outcome text, reason text, message text, latency_us bigint, memory jsonb,
		expires_in_s integer)
	ON CONFLICT (credential_id) DO UPDATE SET
		status = excluded.status, since = excluded.since, last_check_at = excluded.last_check_at,
		last_success_at = excluded.last_success_at, last_certain_at = excluded.last_certain_at,
		suspect_since = excluded.suspect_since, last_check = excluded.last_check, outcome = excluded.outcome,
		reason = excluded.reason, message = excluded.message, latency_us = excluded.latency_us, memory = excluded.memory,
		expires_in_s = CASE WHEN excluded.expires_in_s > 0 THEN excluded.expires_in_s ELSE s.expires_in_s END
	WHERE s.status <> 'retired'`

func putStates(ctx context.Context, tx pgx.Tx, rs []checker.Result, next []verdict.State) error {
	rows := make([]stateRow, len(next))
	for i, st := range next {
		rows[i] = newStateRow(rs[i], st)
	}
	updated, err := updateStates(ctx, tx, rows)
	if err != nil {
		return fmt.Errorf("record states: %w", err)
	}
	if updated == len(rows) {
		return nil
	}
	text, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, putStatesSQL, string(text)); err != nil {
		return fmt.Errorf("record states: %w", err)
	}
	return nil
}

func updateStates(ctx context.Context, tx pgx.Tx, rows []stateRow) (int, error) {
	n := len(rows)
	var (
		ids, latency              = make([]int64, n), make([]int64, n)
		status, outcome, reason   = make([]string, n), make([]string, n), make([]string, n)
		message, memory           = make([]string, n), make([]string, n)
		since, check              = make([]time.Time, n), make([]time.Time, n)
		success, certain, suspect = make([]*time.Time, n), make([]*time.Time, n), make([]*time.Time, n)
		lastCheck                 = make([][16]byte, n)
		expires                   = make([]int32, n)
	)
	for i, r := range rows {
		text, err := json.Marshal(r.Memory)
		if err != nil {
			return 0, err
		}
		ids[i], status[i], since[i], check[i], success[i] = r.CredentialID, string(r.Status), r.Since, r.LastCheckAt, r.LastSuccessAt
		certain[i], suspect[i], lastCheck[i], outcome[i] = r.LastCertainAt, r.SuspectSince, r.LastCheck, string(r.Outcome)
		reason[i], message[i], latency[i], memory[i], expires[i] = string(r.Reason), r.Message, r.LatencyUS, string(text), r.ExpiresInS
	}
	tag, err := tx.Exec(ctx, updateStatesSQL, ids, status, since, check, success, certain, suspect, lastCheck, outcome, reason, message,
		latency, memory, expires)
	return int(tag.RowsAffected()), err
}

// Latency returns what a check of a provider takes: the median of the last ones of its credentials, 0 where none had
// an answer.
func (s *Store) Latency(ctx context.Context, tx pgx.Tx, provider string) (time.Duration, error) {
	var us int64
	err := tx.QueryRow(ctx, `
		SELECT coalesce(percentile_disc(0.5) WITHIN GROUP (ORDER BY latency_us), 0) FROM credential_state
		WHERE provider = $1 AND latency_us > 0 AND status <> 'retired'`, provider).Scan(&us)
	return time.Duration(us) * time.Microsecond, err
}
