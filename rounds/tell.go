package rounds

import (
	"context"
	"time"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/finding"
)

// What is said of results in metrics and the log.

// tell counts and logs, after the commit only. A stream sums its batches up and tells of them at its end.
func (r *Rounds) tell(ctx context.Context, o Order, judged []Judged, changes []finding.Change, took time.Duration) {
	owners := map[int64]string{}
	for _, c := range o.Credentials {
		owners[c.ID] = c.Owner
	}
	for _, j := range judged {
		r.metrics.check(ctx, j.Result, owners[j.Result.CredentialID])
		r.Log.Debug("checked", "credential", j.Result.Credential, "provider", o.Provider, "outcome", j.Result.Outcome,
			"reason", j.Result.Reason, "status", j.State.Status, "took", j.Result.Phases.Total)
	}
	if len(judged) > 0 {
		r.metrics.observe(ctx, r.metrics.batch, took)
	}
	if len(o.Leases) == 0 {
		r.tellRound(ctx, o.Provider, count(judged), took)
	}
	r.tellChanges(ctx, changes)
}

// tally is what came of a round at a provider, in numbers.
type tally struct {
	checked, ok, rejected int
	last                  checker.Result
}

func count(judged []Judged) (t tally) {
	for _, j := range judged {
		t.checked++
		t.last = j.Result
		switch j.Result.Outcome {
		case checker.OK:
			t.ok++
		case checker.Rejected:
			t.rejected++
		}
	}
	return t
}

func (t tally) plus(more tally) tally {
	if more.checked > 0 {
		t.last = more.last
	}
	t.checked, t.ok, t.rejected = t.checked+more.checked, t.ok+more.ok, t.rejected+more.rejected
	return t
}

// tellRound logs what came of a round at a provider.
func (r *Rounds) tellRound(ctx context.Context, provider string, t tally, took time.Duration) {
	if t.checked == 0 {
		return
	}
	r.warnOfCertificate(t.last)
	r.log(ctx).Info(
		"round finished",
		"provider", provider,
		"checked", t.checked,
		"ok", t.ok,
		"rejected", t.rejected,
		"uncertain", t.checked-t.ok-t.rejected,
		"took", took.Round(time.Millisecond),
	)
}

func (r *Rounds) tellChanges(ctx context.Context, changes []finding.Change) {
	for _, c := range changes {
		f := c.Finding
		r.log(ctx).Warn(
			"finding",
			"finding", f.ID,
			"kind", f.Kind,
			"severity", f.Severity,
			"subject", f.Subject.Key(),
			"state", f.State,
			"was", c.From,
		)
	}
}

// A server's certificate that ends within this time is warned of, once a round.
const certificateSoon = 14 * 24 * time.Hour

func (r *Rounds) warnOfCertificate(res checker.Result) {
	if left := res.CertificateExpires.Sub(res.At); !res.CertificateExpires.IsZero() && left < certificateSoon {
		r.Log.Warn("the token endpoint's certificate expires soon", "provider", res.Provider, "expires", res.CertificateExpires)
	}
}
