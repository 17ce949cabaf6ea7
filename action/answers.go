package action

import (
	"context"
	"fmt"
	"strings"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/usage"
	"github.com/keyrounds/keyrounds/verdict"
)

// mostLines bounds what an answer on Slack lists.
const mostLines = 20

func (a *Actions) statusText(ctx context.Context) (string, error) {
	byProvider, err := a.Audit.StatusCounts(ctx)
	if err != nil {
		return "", err
	}
	open, err := a.Audit.Findings(ctx, audit.Filter{Limit: mostLines})
	if err != nil {
		return "", err
	}
	findings, err := a.Audit.Counts(ctx)
	if err != nil {
		return "", err
	}
	counts, all := map[verdict.Status]int{}, 0
	for _, statuses := range byProvider {
		for status, n := range statuses {
			counts[status] += n
			all += n
		}
	}
	lines := []string{fmt.Sprintf("%d of %d credentials work.", counts[verdict.Healthy], all)}
	for _, s := range []verdict.Status{verdict.Revoked, verdict.Suspect, verdict.Degraded, verdict.Pending, verdict.Unknown} {
		if n := counts[s]; n > 0 {
			lines = append(lines, fmt.Sprintf("%s: %d", s, n))
		}
	}
	more := -len(open)
	for _, c := range findings {
		more += c.N
	}
	for _, f := range open {
		lines = append(lines, fmt.Sprintf("• %s (finding %d, %s)", notify.Describe(f).Title, f.ID, f.State))
	}
	if more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more findings: keyrounds findings list", more))
	}
	return strings.Join(lines, "\n"), nil
}

func (a *Actions) unusedText(ctx context.Context) (string, error) {
	cs, err := a.Registry.List(ctx, false)
	if err != nil {
		return "", err
	}
	book, err := a.Usage.Open(ctx, a.Pool, cs)
	if err != nil {
		return "", err
	}
	var lines []string
	unknown := 0
	for _, c := range cs {
		switch state := book.Assess(c, a.Now()).State; state {
		case usage.Unused, usage.NeverUsed:
			lines = append(lines, fmt.Sprintf("• %s of %s: %s", c.Name, c.Provider, strings.ReplaceAll(string(state), "_", " ")))
		case usage.NotKnown:
			unknown++
		}
	}
	head := fmt.Sprintf("%d of %d credentials are not used.", len(lines), len(cs))
	if unknown > 0 {
		head += fmt.Sprintf(" Of %d it is not known: no feed watched them long enough.", unknown)
	}
	if n := len(lines) - mostLines; n > 0 {
		lines = append(lines[:mostLines], fmt.Sprintf("and %d more: keyrounds usage list", n))
	}
	return strings.Join(append([]string{head}, lines...), "\n"), nil
}
