package report

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Letter is what a channel is told of a report.
type Letter struct {
	Title string
	Lines []string
}

const mostInLetter = 10

// Letter summarizes a month's frozen report.
func (m *Maker) Letter(ctx context.Context, month Month, now time.Time) (Letter, error) {
	text, err := m.Monthly(ctx, month, "", JSON, now)
	if err != nil {
		return Letter{}, err
	}
	var r Report
	if err := json.Unmarshal(text, &r); err != nil {
		return Letter{}, err
	}
	s, b := r.Summary, r.Before
	l := Letter{Title: "Unused credentials, " + month.first.Format("January 2006") + ": " + headline(&r)}
	l.Lines = append(l.Lines, fmt.Sprintf("%d registered: %d used, %d unused, %d never used, %d not known.", s.Registered, s.Used, s.Unused, s.NeverUsed, s.NotKnown),
		fmt.Sprintf("The month before: %d registered: %d used, %d unused, %d never used, %d not known.", b.Registered, b.Used, b.Unused, b.NeverUsed, b.NotKnown))
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
