package action

import (
	"context"
	"fmt"
	"strings"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/registry"
	"github.com/keyrounds/keyrounds/usage"
	"github.com/keyrounds/keyrounds/verdict"
)

const (
	mostLines    = 20  // that an answer on Slack lists
	judgedAtOnce = 500 // credentials that are held with what is known of their use
)

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
	counts := map[verdict.Status]int{}
	for _, statuses := range byProvider {
		for status, n := range statuses {
			counts[status] += n
		}
	}
	lines := []string{verdict.Sentence(counts, audit.Waiting(findings))}
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
	var (
		lines                []string
		all, unused, unknown int
		book                 *usage.Book
	)
	for page := (registry.Choice{Limit: judgedAtOnce}); ; {
		cs, err := a.Registry.Choose(ctx, page)
		if err != nil {
			return "", err
		}
		if book == nil {
			book, err = a.Usage.Open(ctx, a.Pool, cs)
		} else {
			err = book.Turn(ctx, a.Pool, cs)
		}
		if err != nil {
			return "", err
		}
		for _, c := range cs {
			switch state := book.Assess(c, a.Now()).State; state {
			case usage.Unused, usage.NeverUsed:
				if unused++; unused <= mostLines {
					lines = append(lines, fmt.Sprintf("• %s of %s: %s", c.Name, c.Provider, strings.ReplaceAll(string(state), "_", " ")))
				}
			case usage.NotKnown:
				unknown++
			}
		}
		if all += len(cs); len(cs) < page.Limit {
			break
		}
		page.After = cs[len(cs)-1].Name
	}
	head := fmt.Sprintf("%d of %d credentials are not used.", unused, all)
	if unused == 1 && all == 1 {
		head = "The only credential is not used."
	}
	if unknown > 0 {
		head += fmt.Sprintf(" Of %d it is not known: no feed watched them long enough.", unknown)
	}
	if n := unused - len(lines); n > 0 {
		lines = append(lines, fmt.Sprintf("and %d more: keyrounds usage list --status unused, or never_used", n))
	}
	return strings.Join(append([]string{head}, lines...), "\n"), nil
}
