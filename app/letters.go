package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/postgres"
	"github.com/keyrounds/keyrounds/report"
)

// monthly makes the report of the last month when it is due, and the digest.
func (a *App) monthly(ctx context.Context) error {
	c, now := a.config.Load(), a.Now()
	var errs []error
	if c.Reports.Unused != "" {
		s, err := credential.ParseSchedule(c.Reports.Unused, c.Zone)
		if err == nil {
			var month report.Month
			var made bool
			if month, made, err = a.Reports.Due(ctx, s.Next, now); made {
				a.Log.Info("the monthly report was made", "month", month.String())
			}
		}
		errs = append(errs, err)
	}
	return errors.Join(append(errs, a.digest(ctx, now))...)
}

// reportFrozen writes the hashes of a report into the record and puts it into the outbox, in the transaction
// that freezes it.
func (a *App) reportFrozen(ctx context.Context, tx pgx.Tx, f report.Frozen) error {
	key := "report/" + f.Month.String()
	e, err := audit.NewEntry(f.MadeAt, audit.Daemon, "report.made", key, map[string]any{"sha256": f.Sums, "summary": f.Summary, "owners": len(f.Owners)})
	if err != nil {
		return err
	}
	if err := a.Audit.Append(ctx, tx, e); err != nil {
		return err
	}
	// A month that was asked for by hand, long after, is no news for a channel.
	if report.MonthOf(f.MadeAt, a.config.Load().Zone).Add(-1) != f.Month {
		return nil
	}
	_, err = a.Notifier.EnqueueLetter(ctx, tx, key)
	return err
}

// letter writes what Slack shows for a key.
func (a *App) letter(ctx context.Context, key string) (l notify.Letter, err error) {
	kind, rest, _ := strings.Cut(key, "/")
	switch kind {
	case "report":
		l, err = a.reportLetter(ctx, rest)
	case "digest":
		l, err = a.digestLetter(ctx, rest)
	default:
		err = fmt.Errorf("no letter is known under %q", key)
	}
	return l, postgres.Plain(err)
}

func (a *App) reportLetter(ctx context.Context, text string) (notify.Letter, error) {
	month, err := report.ParseMonth(text)
	if err != nil {
		return notify.Letter{}, err
	}
	page, err := a.Reports.Monthly(ctx, month, "", report.HTML, a.Now())
	if err != nil {
		return notify.Letter{}, err
	}
	l, err := a.Reports.Letter(ctx, month, a.Now())
	return notify.Letter{Title: l.Title, Lines: l.Lines, File: &notify.File{Name: "unused-credentials-" + month.String() + ".html", Content: page}}, err
}

// The kinds that a digest tells, in its order.
func digestKinds(fs []finding.Finding) []finding.Kind {
	var kinds []finding.Kind
	for _, f := range fs {
		if !slices.Contains(kinds, f.Kind) {
			kinds = append(kinds, f.Kind)
		}
	}
	slices.Sort(kinds)
	return kinds
}

// digest puts the digest of low severities into the outbox at its time, if there is something new.
func (a *App) digest(ctx context.Context, now time.Time) error {
	c := a.config.Load()
	if c.Digest == "" {
		return nil
	}
	s, err := credential.ParseSchedule(c.Digest, c.Zone)
	if err != nil {
		return err
	}
	last, err := a.Notifier.LastLetter(ctx, "digest/")
	if err != nil {
		return err
	}
	from := last
	if from.IsZero() {
		from = a.opened
	}
	slot := s.Next(from)
	if slot.IsZero() || slot.After(now) {
		return nil
	}
	fresh, ended, err := a.lowSeverities(ctx, last)
	if err != nil || len(fresh)+len(ended) == 0 {
		return err
	}
	return postgres.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		_, err := a.Notifier.EnqueueLetter(ctx, tx, fmt.Sprintf("digest/%s/%s", now.UTC().Format(time.RFC3339), last.UTC().Format(time.RFC3339)))
		return err
	})
}

// lowSeverities are those findings that opened, or ended, since a time.
func (a *App) lowSeverities(ctx context.Context, since time.Time) (fresh, ended []finding.Finding, err error) {
	all, err := a.Audit.Findings(ctx, audit.Filter{Severity: finding.Info, Resolved: true, Limit: 5000})
	for _, f := range all {
		switch {
		case f.State == finding.Open && f.OpenedAt.After(since):
			fresh = append(fresh, f)
		case f.State == finding.Resolved && f.ResolvedAt.After(since) && !f.OpenedAt.After(since):
			ended = append(ended, f)
		}
	}
	return fresh, ended, err
}

const mostInDigest = 15

func (a *App) digestLetter(ctx context.Context, rest string) (notify.Letter, error) {
	_, text, _ := strings.Cut(rest, "/")
	since, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return notify.Letter{}, fmt.Errorf("the digest's time: %w", err)
	}
	fresh, ended, err := a.lowSeverities(ctx, since)
	if err != nil {
		return notify.Letter{}, err
	}
	l := notify.Letter{Title: fmt.Sprintf("Digest: %d new findings of low severity, %d ended", len(fresh), len(ended))}
	for _, k := range digestKinds(fresh) {
		var of []finding.Finding
		for _, f := range fresh {
			if f.Kind == k {
				of = append(of, f)
			}
		}
		l.Lines = append(l.Lines, fmt.Sprintf("%s (%d):", strings.ReplaceAll(string(k), "_", " "), len(of)))
		for _, f := range of[:min(len(of), mostInDigest)] {
			l.Lines = append(l.Lines, "• "+f.Subject.Name()+": "+notify.Brief(f))
		}
		if n := len(of) - mostInDigest; n > 0 {
			l.Lines = append(l.Lines, fmt.Sprintf("• and %d more: keyrounds findings list --kind %s", n, k))
		}
	}
	if len(ended) > 0 {
		var names []string
		for _, f := range ended[:min(len(ended), mostInDigest)] {
			names = append(names, fmt.Sprintf("%s (%s)", f.Subject.Name(), strings.ReplaceAll(string(f.Kind), "_", " ")))
		}
		l.Lines = append(l.Lines, "Ended: "+strings.Join(names, ", "))
	}
	return l, nil
}
