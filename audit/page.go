package audit

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/verdict"
)

// Query chooses credentials, and a page of them. The zero value chooses all that are not retired, and the first page.
type Query struct {
	Provider string
	Status   verdict.Status
	Search   string // a part of the name, in any case
	After    Cursor
	Limit    int          // 0: 50
	Among    []int64      // only of these ids; nil: of all
	Retired  bool         // also those that are retired; with the status retired only those
	ByName   bool         // sorted by name, not the worst first
	With     finding.Kind // only those with a finding of this kind that is not resolved
}

// Cursor is a place in the order of pages: after the credential with that name and rank. The zero Cursor is before all.
type Cursor struct {
	rank int
	name string
}

// ErrCursor is returned for a text that is no Cursor.
var ErrCursor = errors.New("not a place in a list")

// ParseCursor reads what String writes.
func ParseCursor(s string) (Cursor, error) {
	if s == "" {
		return Cursor{}, nil
	}
	rank, name, ok := strings.Cut(s, ".")
	n, err := strconv.Atoi(rank)
	if !ok || err != nil || n < 0 || n > 9 || name == "" {
		return Cursor{}, fmt.Errorf("%q is %w", s, ErrCursor)
	}
	return Cursor{n, name}, nil
}

// String is what a link holds; "" for the zero Cursor.
func (c Cursor) String() string {
	if c.name == "" {
		return ""
	}
	return strconv.Itoa(c.rank) + "." + c.name
}

const defaultPage = 50

// worstFirst is the rank of a status in lists, the lowest first. An index has it: migration 19.
const worstFirst = `(CASE status WHEN 'revoked' THEN 0 WHEN 'suspect' THEN 1 WHEN 'degraded' THEN 2 WHEN 'pending' THEN 3
	WHEN 'healthy' THEN 5 ELSE 4 END)`

var ranks = map[verdict.Status]int{verdict.Revoked: 0, verdict.Suspect: 1, verdict.Degraded: 2, verdict.Pending: 3, verdict.Healthy: 5}

// after is the place of st.
func after(st Standing) Cursor {
	rank, ok := ranks[st.Status]
	if !ok {
		rank = 4
	}
	return Cursor{rank, st.Credential}
}

// Page returns the credentials that q chooses as they stand, the worst first, then by name, or by name alone, and where the
// next page begins; the zero Cursor: this is the last one.
func (s *Store) Page(ctx context.Context, q Query) (page []Standing, next Cursor, err error) {
	if q.Limit <= 0 {
		q.Limit = defaultPage
	}
	where, args := q.chosen()
	arg := func(v any) string {
		args = append(args, v)
		return "$" + strconv.Itoa(len(args))
	}
	order := "credential"
	switch {
	case q.ByName && q.After.name != "":
		where += ` AND credential > ` + arg(q.After.name)
	case !q.ByName:
		order = worstFirst + ", credential"
		where += ` AND (` + order + `) > (` + arg(q.After.rank) + `, ` + arg(q.After.name) + `)`
	}
	page, err = s.standings(ctx, where+` ORDER BY `+order+` LIMIT `+arg(q.Limit+1), args...)
	if err != nil || len(page) <= q.Limit {
		return page, next, err
	}
	page = page[:q.Limit]
	return page, after(page[q.Limit-1]), nil
}

// Chosen counts the credentials that q chooses, on all pages.
func (s *Store) Chosen(ctx context.Context, q Query) (n int, err error) {
	where, args := q.chosen()
	err = s.pool.QueryRow(ctx, `SELECT count(*) FROM credential_state WHERE `+where, args...).Scan(&n)
	return n, err
}

// chosen is the condition, of constants, and its values. What is not asked for is not in it, so that also a plan that is made once for
// all values finds its index.
func (q Query) chosen() (where string, args []any) {
	where = `true`
	and := func(sql string, v any) {
		args = append(args, v)
		where += ` AND ` + strings.ReplaceAll(sql, "?", "$"+strconv.Itoa(len(args)))
	}
	if !q.Retired && q.Status != verdict.Retired { // the indices of the worst have only those
		where = `status <> 'retired'`
	}
	if q.Provider != "" {
		and(`provider = ?`, q.Provider)
	}
	if rank, ok := ranks[q.Status]; ok {
		where += ` AND ` + worstFirst + ` = ` + strconv.Itoa(rank)
	}
	if q.Status != "" {
		and(`status = ?`, q.Status)
	}
	if q.Search != "" {
		and(`position(lower(?) IN credential) > 0`, q.Search)
	}
	if q.Among != nil {
		and(`credential_id = ANY(?::bigint[])`, q.Among)
	}
	if q.With != "" {
		and(`credential_id IN (SELECT credential_id FROM findings WHERE state <> 'resolved' AND kind = ?)`, q.With)
	}
	return where, args
}
