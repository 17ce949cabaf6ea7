package rounds

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/decision"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/usage"
	"github.com/keyrounds/keyrounds/verdict"
)

// JudgeUsage opens and closes the findings that hold of credentials by themselves (usage.Judged), such as unused,
// never used, expiring and without an owner. It looks at all of them first, and then, a transaction for each provider,
// again at those of which something changes, while nobody takes in events of that provider: a use that comes in
// meanwhile is never overlooked. A provider whose events are taken in for long is tried once more at the end. After an
// error of one provider the others are done.
func (r *Rounds) JudgeUsage(ctx context.Context) error {
	owners, err := r.Registry.AnyOwner(ctx)
	if err != nil {
		return err
	}
	changing := map[string][]credential.Credential{}
	for after := ""; ; {
		creds, err := r.Registry.Page(ctx, true, after, judgedAtOnce)
		if err != nil {
			return err
		}
		if len(creds) == 0 {
			break
		}
		after = creds[len(creds)-1].Name
		err = pgx.BeginTxFunc(ctx, r.Pool, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
			events, err := r.judgements(ctx, tx, creds, owners)
			for _, c := range creds {
				if len(events[c.ID]) > 0 {
					changing[c.Provider] = append(changing[c.Provider], c)
				}
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	var (
		errs []error
		busy []string
	)
	for _, provider := range slices.Sorted(maps.Keys(changing)) {
		err := r.judgeProvider(ctx, provider, changing[provider], owners)
		if errors.Is(err, usage.ErrBusy) {
			busy = append(busy, provider)
			continue
		}
		errs = append(errs, err)
	}
	for _, provider := range busy {
		errs = append(errs, r.judgeProvider(ctx, provider, changing[provider], owners))
	}
	return errors.Join(errs...)
}

// judgedAtOnce is how many credentials are held with all that is known of their use.
const judgedAtOnce = 5000

// JudgeSoon has a daemon judge the credentials again at once, in tx: something changed that they are judged by. Where
// that waits already it does nothing.
func (r *Rounds) JudgeSoon(ctx context.Context, tx pgx.Tx) error {
	_, err := r.client.InsertTx(ctx, tx, judgeArgs{}, nil)
	return err
}

// judgedBy reports whether results changed what JudgeUsage goes by: when credentials end, or that they are refused.
func judgedBy(before verdict.Fleet, after []verdict.State) bool {
	return slices.ContainsFunc(after, func(s verdict.State) bool {
		was := before.States[s.CredentialID]
		return s.Ends != was.Ends || s.Status == verdict.Revoked && was.Status != verdict.Revoked
	})
}

// judgeProvider judges some credentials of a provider, as they are by then.
func (r *Rounds) judgeProvider(ctx context.Context, provider string, creds []credential.Credential, owners bool) error {
	var changes []finding.Change
	err := pgx.BeginFunc(ctx, r.Pool, func(tx pgx.Tx) error {
		if err := r.Usage.Lock(ctx, tx, provider); err != nil {
			return err
		}
		creds, err := r.Registry.ReadAll(ctx, tx, batch{creds: creds}.ids())
		if err != nil {
			return err
		}
		events, err := r.judgements(ctx, tx, creds, owners)
		if err != nil {
			return err
		}
		var all []finding.Event
		for _, c := range creds {
			all = append(all, events[c.ID]...)
		}
		changes, err = r.Audit.Publish(ctx, tx, all)
		return err
	})
	if err == nil {
		r.tellChanges(ctx, changes)
	}
	return err
}

// judgements are the findings that would change, by credential.
func (r *Rounds) judgements(
	ctx context.Context,
	tx pgx.Tx,
	creds []credential.Credential,
	owners bool,
) (map[int64][]finding.Event, error) {
	now := r.Now()
	book, err := r.Usage.Open(ctx, tx, creds)
	if err != nil {
		return nil, err
	}
	found, err := r.Audit.OpenOf(ctx, tx, usage.Judged()...)
	if err != nil {
		return nil, err
	}
	open := map[string][]finding.Finding{}
	for _, f := range found {
		open[f.Subject.Credential] = append(open[f.Subject.Credential], f)
	}
	ids := make([]int64, len(creds))
	for i, c := range creds {
		ids[i] = c.ID
	}
	held, err := r.held(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	kept, err := r.kept(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	events := map[int64][]finding.Event{}
	for _, c := range creds {
		if !c.Retired.IsZero() && len(open[c.Name]) == 0 {
			continue
		}
		events[c.ID] = news(usage.Case{
			Credential: c, Answer: book.Assess(c, now), Held: held[c.ID], Open: open[c.Name], OwnersNamed: owners,
			ExpiringBefore: r.settings.Load().ExpiringBefore, Kept: kept[c.ID],
		}, now)
	}
	return events, nil
}

// kept are those of credentials that somebody decided to keep, also where that is over, by their ids.
func (r *Rounds) kept(ctx context.Context, tx pgx.Tx, ids []int64) (map[int64]usage.Kept, error) {
	all := map[int64]usage.Kept{}
	if r.Decisions == nil {
		return all, nil
	}
	decided, err := r.Decisions.Of(ctx, tx, r.Now(), ids)
	for id, d := range decided {
		if d.Choice == decision.Keep {
			all[id] = usage.Kept{By: d.By, Until: d.Until}
		}
	}
	return all, err
}

// news are what changes of a case. What is open already stays as it was found, but where it says more.
func news(c usage.Case, now time.Time) []finding.Event {
	return slices.DeleteFunc(usage.JudgeCredential(c, now), func(e finding.Event) bool {
		if e.Op != finding.OpOpen {
			return false
		}
		i := slices.IndexFunc(c.Open, func(f finding.Finding) bool { return f.Kind == e.Kind })
		return !c.Credential.Retired.IsZero() || i >= 0 && (!moves[e.Kind] || !audit.SaysMore(c.Open[i].Evidence, e.Evidence))
	})
}

// moves are the kinds whose findings say more as time goes by.
var moves = map[finding.Kind]bool{finding.UnusedScopes: true, finding.Expiring: true}
