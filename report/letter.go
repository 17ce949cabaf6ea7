package report

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

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
	n := 0
	for _, c := range r.Credentials {
		if slices.Index(urgency, c.Recommendation) > slices.Index(urgency, NameOwner) { // what is not about the credential
			continue
		}
		if n++; n > mostInLetter {
			continue
		}
		line := fmt.Sprintf("• %s: %s, %s", strings.ToUpper(c.Recommendation.Words()), c.Credential, c.Why)
		if c.Owner != "" && owner == "" {
			line += " (owner " + c.Owner + ")"
		}
		l.Lines = append(l.Lines, line)
	}
	if n > mostInLetter {
		l.Lines = append(l.Lines, fmt.Sprintf("• and %d more, in the file", n-mostInLetter))
	}
	if owner == "" {
		l.Lines = append(l.Lines, "The list of one owner: keyrounds report unused --month "+month.String()+" --owner NAME")
	}
	return l, nil
}
