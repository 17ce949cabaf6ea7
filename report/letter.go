package report

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/keyrounds/keyrounds/notify"
)

const mostInLetter = 10

// letter summarizes a month's report as it was frozen.
func (m *Maker) letter(ctx context.Context, month Month) (notify.Letter, error) {
	text, err := m.stored(ctx, month, "", JSON)
	if err != nil {
		return notify.Letter{}, err
	}
	var r Report
	if err := json.Unmarshal(text, &r); err != nil {
		return notify.Letter{}, err
	}
	s, b := r.Summary, r.Before
	l := notify.Letter{Title: "Unused credentials, " + month.first.Format("January 2006") + ": " + headline(&r)}
	l.Lines = append(
		l.Lines,
		fmt.Sprintf(
			"%d registered: %d used, %d unused, %d never used, %d not known.",
			s.Registered,
			s.Used,
			s.Unused,
			s.NeverUsed,
			s.NotKnown,
		),
		fmt.Sprintf(
			"The month before: %d registered: %d used, %d unused, %d never used, %d not known.",
			b.Registered,
			b.Used,
			b.Unused,
			b.NeverUsed,
			b.NotKnown,
		),
	)
	n := 0
	for _, c := range r.Credentials {
		if c.Recommendation == Keep || c.Recommendation == ConnectFeed {
			continue
		}
		if n++; n > mostInLetter {
			continue
		}
		line := fmt.Sprintf("• %s: %s, %s", strings.ToUpper(c.Recommendation.Words()), c.Credential, c.Why)
		if c.Owner != "" {
			line += " (owner " + c.Owner + ")"
		}
		l.Lines = append(l.Lines, line)
	}
	if n > mostInLetter {
		l.Lines = append(l.Lines, fmt.Sprintf("• and %d more, in the file", n-mostInLetter))
	}
	l.Lines = append(l.Lines, "The list of one owner: keyrounds report unused --month "+month.String()+" --owner NAME")
	return l, nil
}
