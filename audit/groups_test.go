package audit_test

import (
	"fmt"
	"testing"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
)

// The parts of an inbox: findings that are alike are counted together, and each part has those that belong there.
func TestTheInbox(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	store := audit.New(audit.Options{Pool: pool})
	_, err := pool.Exec(t.Context(), `
		INSERT INTO findings (id, kind, severity, subject, credential_id, credential, provider, state, evidence, opened_at, updated_at,
			assigned_to, acknowledged_by, false_alarm_by, resolved_at)
		OVERRIDING SYSTEM VALUE
		SELECT id, kind, severity, 'credential/' || c, id, c, p, state, '{}', now() - id * interval '1 minute', now(), a, k, f,
			CASE state WHEN 'resolved' THEN now() END
		FROM (VALUES
			(1, 'unused', 'info', 'alpha', 'hris', 'open', '', '', ''),
			(2, 'unused', 'info', 'beta', 'hris', 'open', '', '', ''),
			(3, 'unused', 'info', 'Gamma', 'sr', 'open', 'ann', '', ''),
			(4, 'revoked', 'critical', 'delta', 'sr', 'acknowledged', '', 'user ann', ''),
			(5, 'revoked', 'critical', 'epsilon', 'sr', 'snoozed', '', '', ''),
			(6, 'scope_lost', 'warning', 'zeta', 'sr', 'acknowledged', '', 'user bob', 'user bob'),
			(7, 'canary_tripped', 'critical', 'eta', 'sr', 'resolved', '', '', 'user ann')
		) v (id, kind, severity, c, p, state, a, k, f)`)
	if err != nil {
		t.Fatal(err)
	}
	ann := []string{"user ann", "ann"}
	for name, c := range map[string]struct {
		filter audit.Filter
		want   string
	}{
		"without those put aside": {audit.Filter{Awake: true}, "[4 6 1 2 3]"},
		"mine":                    {audit.Filter{With: ann, Awake: true}, "[4 3]"},
		"nobody's":                {audit.Filter{Nobody: true}, "[1 2]"},
		"put aside":               {audit.Filter{State: finding.Snoozed}, "[5]"},
		"false alarms":            {audit.Filter{FalseAlarms: true, Newest: true}, "[7 6]"},
		"by a part of a name":     {audit.Filter{Search: "gAMm"}, "[3]"},
		"by a part of a provider": {audit.Filter{Search: "ris"}, "[1 2]"},
		"a sign of LIKE":          {audit.Filter{Search: "%"}, "[]"},
	} {
		found, err := store.Findings(t.Context(), c.filter)
		if err != nil {
			t.Fatal(err)
		}
		ids := []int64{}
		for _, f := range found {
			ids = append(ids, f.ID)
		}
		if got := fmt.Sprint(ids); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		if n, err := store.Found(t.Context(), c.filter); err != nil || n != len(ids) {
			t.Errorf("%s: %d are counted, and %d found (%v)", name, n, len(ids), err)
		}
	}
	groups, err := store.Groups(t.Context(), audit.Filter{Awake: true}, 2)
	want := "[{critical revoked 1 [4]} {warning scope_lost 1 [6]} {info unused 3 [1 2]}]"
	if got := fmt.Sprint(groups); err != nil || got != want {
		t.Errorf("the groups are %s (%v), want %s", got, err, want)
	}
	if v, err := store.Views(t.Context(), nil, ann); err != nil || v != (audit.Views{Awake: 5, Mine: 2, Nobody: 2, Snoozed: 1}) {
		t.Errorf("the parts have %+v (%v)", v, err)
	}
	if v, err := store.Views(t.Context(), []int64{1, 5}, ann); err != nil || v != (audit.Views{Awake: 1, Nobody: 1, Snoozed: 1}) {
		t.Errorf("of two credentials the parts have %+v (%v)", v, err)
	}
}
