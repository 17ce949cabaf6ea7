package rounds

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/finding"
)

// endWide ends the findings of providers as a whole at which nobody is checked any more: its credentials were retired, it
// left the configuration, or it became passive. No answer would end them.
func (r *Rounds) endWide(ctx context.Context) error {
	var changes []finding.Change
	err := pgx.BeginFunc(ctx, r.Pool, func(tx pgx.Tx) error {
		open, err := r.Audit.OpenOf(ctx, tx, finding.ProviderIncident, finding.ProviderDown, finding.Unverifiable)
		if err != nil {
			return err
		}
		var events []finding.Event
		for _, f := range open {
			if f.Subject.Provider == "" || f.Subject.Credential != "" {
				continue
			}
			asked := false
			for _, p := range append(slices.Clone(f.Evidence.Providers), f.Subject.Provider) {
				is, err := r.isAsked(ctx, tx, p)
				if err != nil {
					return err
				}
				asked = asked || is
			}
			if !asked {
				events = append(events, finding.Event{
					Op: finding.OpResolve, Kind: f.Kind, Subject: f.Subject, At: r.Now(), Why: "no credential is checked there any more",
				})
			}
		}
		changes, err = r.Audit.Publish(ctx, tx, events)
		return err
	})
	if err == nil {
		r.tellChanges(ctx, changes)
	}
	return err
}

// isAsked reports whether any credential of a provider is checked.
func (r *Rounds) isAsked(ctx context.Context, tx pgx.Tx, provider string) (bool, error) {
	p, known := r.settings.Load().Providers[provider]
	if !known || p.Passive {
		return false, nil
	}
	of, err := r.Registry.Schedules(ctx, tx, provider)
	return len(of) > 0, err
}
