package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/finding"
)

// Daemon is the actor of what keyrounds does on its own schedule, without a person who asked for it.
const Daemon = "daemon"

// Entry is one line of the record of who did what. ID is given by the database: 0 until the entry is read back.
type Entry struct {
	ID      int64           `json:"id"`
	At      time.Time       `json:"at"`
	Actor   string          `json:"actor"`
	Action  string          `json:"action"`
	Subject string          `json:"subject"`
	Detail  json.RawMessage `json:"detail"`
}

// NewEntry makes an entry whose detail is the JSON of any value. The detail must be clean and hold no secret. The
// only error is a detail that JSON cannot have.
func NewEntry(at time.Time, actor, action, subject string, detail any) (Entry, error) {
	b, err := json.Marshal(detail)
	return Entry{At: at, Actor: actor, Action: action, Subject: subject, Detail: b}, err
}

// Append adds entries to the record, in their order, in tx. They can never be changed or removed through keyrounds.
// No entries: nothing is done.
func (s *Store) Append(ctx context.Context, tx pgx.Tx, es ...Entry) error {
	if len(es) == 0 {
		return nil
	}
	at, actors, actions := make([]time.Time, len(es)), make([]string, len(es)), make([]string, len(es))
	subjects, details := make([]string, len(es)), make([]string, len(es))
	for i, e := range es {
		at[i], actors[i], actions[i], subjects[i], details[i] = e.At, e.Actor, e.Action, e.Subject, string(e.Detail)
	}
	_, err := tx.Exec(ctx, appendSQL, at, actors, actions, subjects, details)
	return err
}

const appendSQL = `
	INSERT INTO record (at, actor, action, subject, detail)
	SELECT at, actor, action, subject, detail::jsonb
	FROM unnest($1::timestamptz[], $2::text[], $3::text[], $4::text[], $5::text[])
		WITH ORDINALITY AS e (at, actor, action, subject, detail, place)
	ORDER BY place`

// Note adds one entry to the record, with the time of Options.Now, in a transaction of its own. NewEntry says what
// detail may be.
func (s *Store) Note(ctx context.Context, actor, action, subject string, detail any) error {
	e, err := NewEntry(s.now(), actor, action, subject, detail)
	if err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error { return s.Append(ctx, tx, e) })
}

// Timeline returns what happened to a finding, the oldest first: the entries after the one with that id, at most limit, and how
// many there are.
func (s *Store) Timeline(ctx context.Context, f finding.Finding, after int64, limit int) (total int, es []Entry, err error) {
	const of = `FROM record WHERE subject = $1 AND action LIKE 'finding.%' AND detail->'finding' = to_jsonb($2::bigint)`
	if err = s.pool.QueryRow(ctx, `SELECT count(*) `+of, f.Subject.Key(), f.ID).Scan(&total); err != nil {
		return 0, nil, err
	}
	rows, err := s.pool.Query(ctx, `SELECT id, at, actor, action, subject, detail `+of+` AND id > $3 ORDER BY id LIMIT $4`,
		f.Subject.Key(), f.ID, after, limit)
	if err != nil {
		return 0, nil, err
	}
	es, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Entry])
	return total, es, err
}

// Record chooses entries of the record; the zero value chooses all.
type Record struct {
	Actor        string    // who has it in his name, in any case: ann; "": anybody
	Action       string    // the action, or how it begins: finding.; "": any
	Subject      string    // finding.Subject.Key, such as credential/ats-sync; "": any
	Since, Until time.Time // zero: from the first, to the last
	Subjects     []string  // only of these; nil: of all
	After        int64     // 0: from the end of the list; those after the entry with this id, in the order of Entries
	Oldest       bool      // the oldest first; else the newest
	Limit        int       // 0: none
}

const chosenEntries = `
	FROM record WHERE ($1 = '' OR strpos(lower(actor), lower($1)) > 0) AND starts_with(action, $2)
		AND ($3 = '' OR subject = $3) AND ($4::timestamptz IS NULL OR at >= $4) AND ($5::timestamptz IS NULL OR at < $5)
		AND ($6::text[] IS NULL OR subject = ANY($6))`

func (r Record) args(more ...any) []any {
	return append([]any{r.Actor, r.Action, r.Subject, nullTime(r.Since), nullTime(r.Until), r.Subjects}, more...)
}

// Entries calls each for the entries that r chooses, as they are read.
func (s *Store) Entries(ctx context.Context, r Record, each func(Entry) error) error {
	order := ` AND ($7 = 0 OR id < $7) ORDER BY id DESC`
	if r.Oldest {
		order = ` AND id > $7 ORDER BY id`
	}
	rows, err := s.pool.Query(ctx, `SELECT id, at, actor, action, subject, detail `+chosenEntries+order+` LIMIT nullif($8, 0)`,
		r.args(r.After, r.Limit)...)
	if err != nil {
		return err
	}
	var e Entry
	_, err = pgx.ForEachRow(rows, []any{&e.ID, &e.At, &e.Actor, &e.Action, &e.Subject, &e.Detail}, func() error { return each(e) })
	return err
}

// Log is Entries, at once.
func (s *Store) Log(ctx context.Context, r Record) (all []Entry, err error) {
	err = s.Entries(ctx, r, func(e Entry) error {
		e.Detail = bytes.Clone(e.Detail)
		all = append(all, e)
		return nil
	})
	return all, err
}

// CountEntries counts the entries that r chooses, on all pages.
func (s *Store) CountEntries(ctx context.Context, r Record) (n int, err error) {
	err = s.pool.QueryRow(ctx, `SELECT count(*) `+chosenEntries, r.args()...).Scan(&n)
	return n, err
}
