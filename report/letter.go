package report

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/keyrounds/keyrounds/decision"
	"github.com/keyrounds/keyrounds/notify"
)

const mostInLetter = 10

// letter summarizes a month's report as it was frozen, of one owner or, with "", of all.
func (m *Maker) letter(ctx context.Context, month Month, owner string, edition int) (notify.Letter, error) {
	text, ok, err := m.Stored(ctx, month, owner, edition, JSON)
	if err != nil || !ok {
		return notify.Letter{}, err
	}
	var r Report
	if err := json.Unmarshal(text, &r); err != nil {
		return notify.Letter{}, err
	}
	title := "Unused credentials"
	if owner != "" {
		title += " of " + owner
	}
	title += ", " + month.first.Format("January 2006")
	if edition > 1 {
		title += fmt.Sprintf(", edition %d", edition)
	}
	l := notify.Letter{Title: title + ": " + headline(&r)}
	l.Lines = append(l.Lines, r.Summary.Words()+".", "The month before: "+r.Before.Words()+".")
	for _, o := range r.Overtaken {
		l.Lines = append(l.Lines, o.Words())
	}
	if text := r.DecisionWords(); text != "" {
		l.Lines = append(l.Lines, text+".")
	}
	if r.SignedOff != nil {
		l.Lines = append(l.Lines, r.SignedOff.Words())
	}
	n := 0
	for _, c := range r.Credentials {
		if slices.Index(urgency, c.Recommendation) > slices.Index(urgency, NameOwner) || c.Holds() { // not about the credential, or decided
			continue
		}
		if n++; n > mostInLetter {
			continue
		}
		line := fmt.Sprintf("• %s: %s, %s", strings.ToUpper(c.Recommendation.Words()), c.Credential, c.Why)
		if c.Owner != "" && owner == "" {
			line += " (owner " + c.Owner + ")"
		}
		if c.Decision != nil {
			line += "; " + c.Decision.Words()
		}
		l.Asks = append(l.Asks, notify.Ask{Text: line, Credential: c.Credential, Options: c.options()})
	}
	if n > mostInLetter {
		l.Tail = append(l.Tail, fmt.Sprintf("• and %d more, in the file", n-mostInLetter))
	}
	l.Tail = append(l.Tail, r.decidedLines()...)
	if owner == "" {
		l.Tail = append(l.Tail, "The list of one owner: keyrounds report unused --month "+month.String()+" --owner NAME")
	}
	return l, nil
}

// decidedLines are those of what is decided.
func (r *Report) decidedLines() (lines []string) {
	n := 0
	for _, c := range r.Credentials {
		if !c.Holds() {
			continue
		}
		if n++; n <= mostInLetter {
			lines = append(lines, fmt.Sprintf("• DECIDED: %s, %s", c.Credential, c.Decision.Words()))
		}
	}
	if n > mostInLetter {
		lines = append(lines, fmt.Sprintf("• and %d more decided, in the file", n-mostInLetter))
	}
	return lines
}

// options are what may be decided of a credential, the recommended first; nil: its recommendation asks for no decision.
func (r Row) options() (list []notify.Option) {
	if !r.Undecided {
		return nil
	}
	var first decision.Choice
	switch r.Recommendation {
	case Rotate:
		first = decision.Rotate
	case DropScopes:
		first = decision.DropScopes
	case Revoke, Retire:
		first = decision.Revoke
	}
	for _, c := range []decision.Choice{first, decision.Keep, decision.Revoke} {
		label := map[decision.Choice]string{
			decision.Keep: "Keep", decision.Revoke: "Revoke", decision.Rotate: "Rotate", decision.DropScopes: "Drop scopes",
		}[c]
		o := notify.Option{Choice: string(c), Label: label, Days: c.Days()}
		if c == decision.Keep {
			o.Label = fmt.Sprintf("Keep %d days", o.Days)
		}
		if c != "" && !slices.Contains(list, o) {
			list = append(list, o)
		}
	}
	return list
}
