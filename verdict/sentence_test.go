package verdict_test

import (
	"testing"

	"github.com/keyrounds/keyrounds/verdict"
)

// The sentence is true: it never says that nothing needs anybody while something does not work.
func TestSentence(t *testing.T) {
	t.Parallel()
	type counts = map[verdict.Status]int
	for _, c := range []struct {
		of      counts
		waiting int
		want    string
	}{
		{nil, 0, "No credential is registered."},
		{counts{verdict.Retired: 3}, 0, "No credential is registered."},
		{counts{verdict.Healthy: 1}, 0, "The only credential works; nothing needs you now."},
		{counts{verdict.Healthy: 2}, 0, "Both credentials work; nothing needs you now."},
		{counts{verdict.Healthy: 15, verdict.Retired: 2}, 0, "All 15 credentials work; nothing needs you now."},
		{counts{verdict.Healthy: 15}, 1, "All 15 credentials work; 1 finding waits for somebody."},
		{
			counts{verdict.Healthy: 486, verdict.Suspect: 10, verdict.Revoked: 4},
			6,
			"14 of 500 credentials do not work: 4 revoked, 10 suspect; 6 findings wait for somebody.",
		},
		{
			counts{verdict.Healthy: 99_996, verdict.Pending: 1234},
			0,
			"99,996 of 101,230 credentials work; 1,234 never worked yet.",
		},
		{counts{verdict.Healthy: 2, verdict.Revoked: 1}, 0, "1 of 3 credentials does not work: 1 revoked."},
		{
			counts{verdict.Healthy: 1, verdict.Degraded: 1, verdict.Pending: 2, verdict.Unknown: 3},
			0,
			"1 of 7 credentials works; 1 gets less than it needs; 2 never worked yet; of 3 it is not known.",
		},
	} {
		if got := verdict.Sentence(c.of, c.waiting); got != c.want {
			t.Errorf("%v: %s\nwant %s", c.of, got, c.want)
		}
	}
}
