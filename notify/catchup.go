package notify

import (
	"context"
	"errors"

	"github.com/keyrounds/keyrounds/finding"
)

// catchUpKey is the burst of what a new place hears.
const catchUpKey = "open when its place became known"

// catchUp tells places that the configuration names now what is open already: a new receiver, channel, route or owner.
// Each place hears it in one message. It does so once for each setup.
func (a attendance) catchUp(ctx context.Context) error {
	if a.n.caughtUp.Load() == a.setup {
		return nil
	}
	open, err := a.n.Findings.OpenOf(ctx, a.tx, finding.Kinds()...)
	if err != nil {
		return err
	}
	waiting := map[int64]bool{} // in the outbox: they go their usual way
	pending, err := a.n.Findings.Pending(ctx, a.tx, mostPending)
	if err != nil {
		return err
	}
	for _, p := range pending {
		waiting[p.Finding] = true
	}
	of := map[Target][]int64{}
	for _, f := range open {
		if waiting[f.ID] || f.Kind == finding.ReceiverFailing || f.State == finding.Snoozed ||
			f.Severity == finding.Info && a.setup.Policy.Digest {
			continue
		}
		// What a message says about its credential decides the route.
		if f, err = a.n.Findings.Finding(ctx, f.ID); errors.Is(err, finding.ErrNotFound) {
			continue
		} else if err != nil { // it holds nobody up
			a.n.Log.Error("a finding cannot be read, and no new place is told of it", "error", err)
			continue
		}
		for _, t := range a.setup.places(a.setup.Policy.Targets(f, a.setup.names())) {
			told, err := a.told(ctx, f.ID, t)
			if err != nil {
				return err
			}
			if !told {
				of[t] = append(of[t], f.ID)
			}
		}
	}
	for t, ids := range of {
		if err := a.create(ctx, t, catchUpKey, ids, ""); err != nil {
			return err
		}
	}
	return nil
}

// told reports whether a place has a message about a finding.
func (a attendance) told(ctx context.Context, id int64, t Target) (is bool, err error) {
	err = a.tx.QueryRow(ctx, `
		SELECT EXISTS (SELECT FROM notify_members JOIN notify_messages m ON m.id = message_id
			WHERE finding_id = $1 AND receiver = $2 AND channel = $3)`, id, t.Receiver, t.Channel).Scan(&is)
	return is, err
}
