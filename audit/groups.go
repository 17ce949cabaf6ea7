package audit

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/finding"
)

// Group is how many of the findings that are chosen are of a kind and a severity.
type Group struct {
	Severity finding.Severity
	Kind     finding.Kind
	N        int
	Newest   []int64 // the ids of the first of them, the newest first
}

// Groups groups the findings that f chooses: the most severe first, then those of which the newest was opened last. Each names at most
// named of its findings. f.Limit and f.After say nothing here.
func (s *Store) Groups(ctx context.Context, f Filter, named int) ([]Group, error) {
	rows, err := s.pool.Query(ctx, `
		SELECT severity, kind, count(*), (array_agg(id ORDER BY opened_at DESC, id DESC))[1:$16]
		FROM findings WHERE `+chosenFindings+`
		GROUP BY severity, kind
		ORDER BY array_position(ARRAY['critical', 'warning', 'info'], severity), max(opened_at) DESC, kind`, f.args(named)...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Group])
}

// Views is how many findings a list of them has in each of its parts.
type Views struct {
	Awake   int // neither resolved nor put aside
	Mine    int // of those, that are with whoever asks
	Nobody  int // open, and assigned to nobody
	Snoozed int // put aside
}

// Views counts the findings that are not resolved, in the parts of a list; of the credentials among, nil: of
// all. with are the names of whoever asks.
func (s *Store) Views(ctx context.Context, among []int64, with []string) (v Views, err error) {
	err = s.pool.QueryRow(ctx, `
		SELECT count(*) FILTER (WHERE state <> 'snoozed'),
			count(*) FILTER (WHERE state <> 'snoozed' AND (assigned_to = ANY($2) OR state = 'acknowledged' AND acknowledged_by = ANY($2))),
			count(*) FILTER (WHERE state = 'open' AND assigned_to = ''), count(*) FILTER (WHERE state = 'snoozed')
		FROM findings WHERE state <> 'resolved' AND ($1::bigint[] IS NULL OR credential_id = ANY($1))`, among, with,
	).Scan(&v.Awake, &v.Mine, &v.Nobody, &v.Snoozed)
	return v, err
}
