package report

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/postgres"
)

// digestKinds are the kinds that a digest tells, in its order.
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
func (a *Announcer) digest(ctx context.Context, set *Settings, now time.Time) error {
	if set.Digest == "" {
		return nil
	}
	s, err := credential.ParseSchedule(set.Digest, set.Zone)
	if err != nil {
		return err
	}
	last, err := a.Notifier.LastLetter(ctx, "digest/") // an owner's comes with the one of all
	if err != nil {
		return err
	}
	from := last
	if from.IsZero() {
		from = a.began
	}
	slot := s.Next(from)
	if slot.IsZero() || slot.After(now) {
		return nil
	}
	fresh, ended, err := a.lowSeverities(ctx, last)
	if err != nil || len(fresh)+len(ended) == 0 {
		return err
	}
	owners, err := a.owners(ctx, append(slices.Clone(fresh), ended...))
	if err != nil {
		return err
	}
	key := fmt.Sprintf("digest/%s/%s", now.UTC().Format(time.RFC3339), last.UTC().Format(time.RFC3339))
	return postgres.InTx(ctx, a.Maker.Pool, func(tx pgx.Tx) error {
		if _, err := a.Notifier.EnqueueLetter(ctx, tx, key); err != nil {
			return err
		}
		for _, owner := range a.Notifier.Owners() {
			if !slices.Contains(slices.Collect(maps.Values(owners)), owner) {
				continue
			}
			if _, err := a.Notifier.EnqueueForOwner(ctx, tx, ofOwner(key, owner), owner); err != nil {
				return err
			}
		}
		return nil
	})
}

// owners are the owners of the credentials of findings, by the credential's name.
func (a *Announcer) owners(ctx context.Context, fs []finding.Finding) (map[string]string, error) {
	var names []string
	for _, f := range fs {
		if f.Subject.Credential != "" {
			names = append(names, f.Subject.Credential)
		}
	}
	creds, err := a.Maker.Registry.Named(ctx, names)
	if err != nil {
		return nil, err
	}
	owners := map[string]string{}
	for _, c := range creds {
		if c.Owner != "" {
			owners[c.Name] = c.Owner
		}
	}
	return owners, nil
}

// lowSeverities are those findings that opened, or ended, since a time.
func (a *Announcer) lowSeverities(ctx context.Context, since time.Time) (fresh, ended []finding.Finding, err error) {
	all, err := a.Maker.Audit.Findings(ctx, audit.Filter{Severity: finding.Info, Resolved: true, Limit: 5000})
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

func (a *Announcer) digestLetter(ctx context.Context, rest, owner string) (notify.Letter, error) {
	_, text, _ := strings.Cut(rest, "/")
	since, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return notify.Letter{}, fmt.Errorf("the digest's time: %w", err)
	}
	fresh, ended, err := a.lowSeverities(ctx, since)
	if err != nil {
		return notify.Letter{}, err
	}
	whose := ""
	if owner != "" {
		owners, err := a.owners(ctx, append(slices.Clone(fresh), ended...))
		if err != nil {
			return notify.Letter{}, err
		}
		others := func(f finding.Finding) bool { return owners[f.Subject.Credential] != owner }
		fresh, ended, whose = slices.DeleteFunc(fresh, others), slices.DeleteFunc(ended, others), " of "+owner
	}
	l := notify.Letter{
		Title: fmt.Sprintf("Digest%s: %s of low severity, %d ended", whose, finding.Plural(len(fresh), "new finding"), len(ended)),
	}
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
