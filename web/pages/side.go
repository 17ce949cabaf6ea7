package pages

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/usage"
)

// side is the second column of the overview: what is not urgent, and easily forgotten.
type side struct {
	Ends, Unused, Silent []sideRow
	MoreEnds, MoreUnused int // that are not listed
	Own                  Mark
	OwnFacts             []ownFact
}

// sideRow is a line with one below it.
type sideRow struct {
	Name, URL string
	Mark      Mark   // Word "": there is none
	Text      string // instead of a mark
	Below     string
	At        Moment // after Below
	After     string
}

// ownFact is something about keyrounds itself.
type ownFact struct {
	Label, Text string
	At          Moment // instead of Text
}

const mostSideRows = 5

func (p *Pages) side(ctx context.Context, f Frame) (s side, err error) {
	if s.Ends, s.MoreEnds, err = p.endsSoon(ctx, f); err != nil {
		return s, err
	}
	if s.Unused, s.MoreUnused, err = p.undecided(ctx, f); err != nil {
		return s, err
	}
	if s.Silent, err = p.silent(ctx, f); err != nil {
		return s, err
	}
	return s, p.own(ctx, f, &s)
}

// endsSoon are the credentials that end by themselves soon: those with a finding that says so.
func (p *Pages) endsSoon(ctx context.Context, f Frame) (rows []sideRow, more int, err error) {
	total := openOf(f.Nav.severities, finding.Expiring)
	if total == 0 {
		return nil, 0, nil
	}
	found, err := p.Audit.Findings(ctx, audit.Filter{Kind: finding.Expiring, Limit: mostSideRows})
	for _, fi := range found {
		if fi, err = p.About(ctx, fi); err != nil {
			return nil, 0, err
		}
		row := sideRow{
			Name: fi.Subject.Name(), URL: fmt.Sprintf("/findings/%d", fi.ID), At: f.Day(fi.Evidence.ExpiresAt),
			After: ownerWords(fi.About.Owner),
			Below: credential.EndSource(fi.Evidence.ExpiresBy).Words() + ",",
		}
		left := fi.Evidence.ExpiresAt.Sub(f.Now)
		row.Text = span(max(left, 0))
		if left <= 0 {
			row.Text = "over"
		}
		if left < 14*24*time.Hour {
			row.Mark = Mark{"less", "warning", row.Text}
		}
		rows = append(rows, row)
	}
	return rows, total - len(rows), err
}

func ownerWords(owner string) string {
	if owner == "" {
		return ""
	}
	return "· " + owner
}

// undecided are the credentials that nobody uses, and of which nobody has decided anything.
func (p *Pages) undecided(ctx context.Context, f Frame) (rows []sideRow, more int, err error) {
	for _, kind := range []finding.Kind{finding.NeverUsed, finding.Unused} {
		filter := audit.Filter{Kind: kind, State: finding.Open, Limit: mostSideRows}
		found, err := p.Audit.Findings(ctx, filter)
		if err != nil {
			return nil, 0, err
		}
		for _, c := range f.Nav.severities {
			if c.Kind == kind && c.State == finding.Open {
				more += c.N
			}
		}
		for _, fi := range found[:min(len(found), mostSideRows-len(rows))] {
			if fi, err = p.About(ctx, fi); err != nil {
				return nil, 0, err
			}
			row := sideRow{
				Name: fi.Subject.Name(), URL: "/credentials/" + url.PathEscape(fi.Subject.Credential),
				Mark:  usageMark(string(usage.NeverUsed)),
				Below: "found", At: f.When(fi.OpenedAt), After: ownerWords(fi.About.Owner),
			}
			if kind == finding.Unused {
				row.Mark = usageMark(string(usage.Unused))
				if !fi.Evidence.LastUsed.IsZero() {
					row.Below, row.At = "last used", f.When(fi.Evidence.LastUsed)
				}
			}
			rows = append(rows, row)
		}
	}
	return rows, more - len(rows), nil
}

// silent are feeds that do not tell what they should, and receivers that take nothing.
func (p *Pages) silent(ctx context.Context, f Frame) (rows []sideRow, err error) {
	feeds, err := p.Usage.Feeds(ctx)
	if err != nil {
		return nil, err
	}
	for _, fd := range feeds {
		why := SilentFeed(fd, f.Now)
		if why == "" || len(rows) == mostSideRows {
			continue
		}
		row := sideRow{
			Name: fd.Feed, URL: "/feeds#" + url.PathEscape(fd.Feed), Mark: Mark{"less", "warning", "Silent"},
			Below: "feed of " + fd.Provider + ": " + why,
		}
		if !fd.LastSeen.IsZero() {
			row.Mark.Word = span(f.Now.Sub(fd.LastSeen))
			row.At = f.At(fd.LastSeen)
			row.Below += "; its last sign of life"
		}
		rows = append(rows, row)
	}
	if p.Notifier == nil {
		return rows, nil
	}
	lanes, err := p.Notifier.Lanes(ctx)
	for _, l := range lanes {
		if !l.FailingSince.IsZero() && len(rows) < 2*mostSideRows {
			rows = append(rows, sideRow{
				Name: l.Receiver, URL: "/settings#receivers", Mark: Mark{"less", "warning", "Fails"},
				Below: "receiver " + l.Channel + ", " + count(l.Waiting, "message") + " wait; since", At: f.At(l.FailingSince),
			})
		}
	}
	return rows, err
}

// SilentFeed says why a feed does not show who uses what; "": it does, or is not configured any more.
func SilentFeed(fd usage.FeedStatus, now time.Time) string {
	switch {
	case !fd.Configured:
		return ""
	case fd.Error != "":
		return fd.Error
	case fd.Blind != "":
		return fd.Blind
	case fd.LastSeen.IsZero() && now.Sub(fd.FirstAt) > fd.Silence:
		return "nothing came yet"
	case !fd.LastSeen.IsZero() && fd.Silence > 0 && now.Sub(fd.LastSeen) > fd.Silence:
		return "nothing comes any more"
	}
	return ""
}

// own says how keyrounds itself is.
func (p *Pages) own(ctx context.Context, f Frame, s *side) error {
	s.Own = Mark{"ok", "healthy", "Healthy"}
	troubled := openOf(f.Nav.severities, finding.FallingBehind, finding.StorageFailing, finding.ReloadFailed, finding.ReceiverFailing)
	if troubled > 0 {
		s.Own = Mark{"less", "warning", count(troubled, "finding")}
	}
	lags, err := p.Registry.Lags(ctx, f.Now)
	if err != nil {
		return err
	}
	var (
		late  string
		worst time.Duration
	)
	for name, lag := range lags {
		if lag > worst {
			late, worst = name, lag
		}
	}
	if f.Nav.LastCheck.IsZero() {
		s.OwnFacts = append(s.OwnFacts, ownFact{Label: "Last check", Text: "none yet"})
	} else {
		s.OwnFacts = append(s.OwnFacts, ownFact{Label: "Last check", At: f.When(f.Nav.LastCheck)})
	}
	if worst < time.Minute {
		s.OwnFacts = append(s.OwnFacts, ownFact{Label: "Checks", Text: "on time"})
	} else {
		s.OwnFacts = append(s.OwnFacts, ownFact{Label: "Checks", Text: span(worst) + " late, at " + late})
	}
	if p.Notifier != nil {
		lanes, err := p.Notifier.Lanes(ctx)
		if err != nil {
			return err
		}
		waiting := 0
		for _, l := range lanes {
			waiting += l.Waiting
		}
		text := "none waits"
		if waiting > 0 {
			text = strings.TrimSpace(count(waiting, "message") + " " + pick(waiting, "waits", "wait"))
		}
		if len(lanes) == 0 {
			text = "no receiver is configured"
		}
		s.OwnFacts = append(s.OwnFacts, ownFact{Label: "Messages", Text: text})
	}
	s.OwnFacts = append(s.OwnFacts, ownFact{Label: "Version", Text: f.Version})
	return nil
}
