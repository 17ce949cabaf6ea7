package usage

import (
	"time"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/finding"
)

// expiring is the finding that the credential ends by itself before long, or should have; false: there is none. One
// that is refused already is told of by the refusal.
func (c Case) expiring(now time.Time) (e finding.Evidence, holds bool) {
	end := c.Credential.End(c.Held.Ends)
	if end.IsZero() || len(c.ExpiringBefore) == 0 || c.Held.Revoked {
		return e, false
	}
	e.ExpiresAt, e.ExpiresBy = end.At, string(end.By)
	if over := end.Over(); !over.After(now) {
		e.Message = "it should have ended, and no check has shown yet whether it is refused"
		if c.Held.LastSuccess.After(over) {
			e.Message = "it should have ended, and the provider does not refuse it"
		}
		return e, true
	}
	left := end.At.Sub(now)
	for _, before := range c.ExpiringBefore {
		if left <= before && (e.Ahead == 0 || before < e.Ahead) {
			e.Ahead, holds = before, true
			e.Message = "at most " + credential.Days(before) + " left"
		}
	}
	return e, holds
}

// notExpiring says why the finding does not hold any more.
func (c Case) notExpiring() string {
	switch end := c.Credential.End(c.Held.Ends); {
	case c.Held.Revoked:
		return "it is refused: the finding revoked tells of that"
	case end.IsZero():
		return "nothing says any more that it ends"
	case len(c.ExpiringBefore) == 0:
		return "nobody is told of ends any more (defaults.expiring_before)"
	default:
		return "it ends on " + end.At.UTC().Format("2 Jan 2006") + " now"
	}
}
