package usage

import (
	"time"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/finding"
)

// expiring is the finding that the credential ends by itself before long, or should have; false: there is none. One
// that ended and is refused since is told by the refusal.
func (c Case) expiring(now time.Time) (e finding.Evidence, holds bool) {
	end := c.Credential.End(c.Held.Ends)
	if end.IsZero() || len(c.ExpiringBefore) == 0 {
		return e, false
	}
	e.ExpiresAt, e.ExpiresBy = end.At, string(end.By)
	left := end.At.Sub(now)
	if left <= 0 {
		e.Message = end.By.Words() + "; that is over, and the provider does not refuse it"
		return e, !c.Held.Revoked
	}
	for _, before := range c.ExpiringBefore {
		if left <= before && (e.Ahead == 0 || before < e.Ahead) {
			e.Ahead, holds = before, true
			e.Message = end.By.Words() + "; at most " + credential.FormatDuration(before) + " are left"
		}
	}
	return e, holds
}

// notExpiring says why the finding does not hold any more.
func (c Case) notExpiring(now time.Time) string {
	switch end := c.Credential.End(c.Held.Ends); {
	case end.IsZero():
		return "nothing says any more that it ends"
	case len(c.ExpiringBefore) == 0:
		return "nobody is told of ends any more (defaults.expiring_before)"
	case end.At.After(now):
		return "it ends on " + end.At.UTC().Format("2 Jan 2006") + " now"
	default:
		return "it ended on " + end.At.UTC().Format("2 Jan 2006") + ", and is refused since: the finding revoked tells of that"
	}
}
