package notify

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/keyrounds/keyrounds/finding"
)

// Told is a place that heard of something by Direct, and where the message is.
type Told struct {
	Target  Target
	Receipt Receipt
}

// Direct tells of a finding that no database knows, because it cannot: that nothing can be stored. It tells whom the policy says
// and who is not in told yet, and returns told with those who heard; of a finding that is resolved it tells those in told, in the same
// message where the receiver edits, and returns those who did not hear yet. Neither quiet hours nor silences hold it. The
// error joins those of the receivers.
func (n *Notifier) Direct(ctx context.Context, f finding.Finding, told []Told) ([]Told, error) {
	setup := n.setup.Load()
	over := f.State == finding.Resolved
	var rest []Told
	var errs []error
	for _, t := range direct(setup, f, told) {
		receipt, err := n.sendDirect(ctx, setup, f, t)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", t.Target.Receiver, err))
		}
		if over && err != nil || !over && err == nil {
			rest = append(rest, Told{t.Target, receipt})
		}
	}
	if !over {
		rest = append(slices.Clone(told), rest...)
	}
	return rest, errors.Join(errs...)
}

// direct returns who is told now.
func direct(setup *Setup, f finding.Finding, told []Told) []Told {
	if f.State == finding.Resolved {
		return slices.Clone(told)
	}
	var list []Told
	for _, t := range setup.places(setup.Policy.Targets(f, setup.names())) {
		heard := func(o Told) bool { return o.Target.Receiver == t.Receiver && o.Target.Channel == t.Channel }
		if !slices.ContainsFunc(told, heard) {
			list = append(list, Told{Target: t})
		}
	}
	return list
}

func (n *Notifier) sendDirect(ctx context.Context, setup *Setup, f finding.Finding, t Told) (Receipt, error) {
	receiver, ok := n.receiver(t.Target.Receiver)
	if !ok {
		return Receipt{}, ErrNoReceiver
	}
	fs := []finding.Finding{f}
	key := fmt.Sprintf("direct-%s-%d", f.Kind, f.OpenedAt.UnixMicro())
	m := Message{
		Key: key, Findings: fs, Words: setup.words(fs), Zone: setup.Policy.Zone, Mention: t.Target.Mention, Channel: t.Target.Channel,
		Made: f.UpdatedAt, Told: t.Receipt, Direct: true,
	}
	if f.State == finding.Resolved {
		m.Turn, m.TurnKey, m.Loud = f.Headline(), key+"-over", true
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	return receiver.Send(ctx, m)
}
