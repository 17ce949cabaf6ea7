package notify

import (
	"fmt"
	"strings"
	"time"

	"github.com/keyrounds/keyrounds/finding"
)

const mostItems = 40

// DescribeAll puts findings into words: one as Describe does, several as a list with what they have in common. Give
// them in the order in which they are to be listed, the most severe first: the title has the severity of the first.
// At most 40 are listed by name.
func DescribeAll(fs []finding.Finding) Words {
	if len(fs) == 1 {
		return Describe(fs[0])
	}
	if len(fs) == 0 {
		return Words{Title: "nothing"}
	}
	open := 0
	var oldest time.Time
	for _, f := range fs {
		if f.State != finding.Resolved {
			open++
		}
		if oldest.IsZero() || f.OpenedAt.Before(oldest) {
			oldest = f.OpenedAt
		}
	}
	w := Words{Title: fmt.Sprintf("%s: %s", strings.ToUpper(string(fs[0].Severity)), together(fs)), State: standings(fs, open)}
	w.Facts = append(w.Facts, Fact{"Since", clock(oldest)})
	for _, f := range fs[:min(len(fs), mostItems)] {
		w.Items = append(w.Items, item(f, fs))
	}
	if n := len(fs) - mostItems; n > 0 {
		w.Items = append(w.Items, fmt.Sprintf("and %d more: keyrounds findings list", n))
	}
	if common(fs, func(f finding.Finding) string { return string(f.Kind) }) {
		w.Steps = steps(sharing(fs), "NAME")
	} else {
		w.Steps = []string{"See each of them: keyrounds findings list"}
	}
	return w
}

// sharing is the first finding with only that evidence for its steps which holds of all.
func sharing(fs []finding.Finding) finding.Finding {
	f := fs[0]
	for _, other := range fs {
		f.Evidence.NeverHealthy = f.Evidence.NeverHealthy && other.Evidence.NeverHealthy
	}
	return f
}

// together is what several findings are, and of what.
func together(fs []finding.Finding) string {
	n, kind, provider := len(fs), fs[0].Kind, fs[0].Subject.Provider
	at := ""
	if common(fs, func(f finding.Finding) string { return f.Subject.Provider }) && provider != "" {
		at = " of " + provider
	}
	if !common(fs, func(f finding.Finding) string { return string(f.Kind) }) {
		return fmt.Sprintf("%d findings%s", n, at)
	}
	switch kind {
	case finding.Revoked:
		return fmt.Sprintf("%d credentials%s are refused", n, at)
	case finding.ScopeLost:
		return fmt.Sprintf("%d credentials%s may do less than they need", n, at)
	case finding.SecretUnreadable:
		return fmt.Sprintf("the secrets of %d credentials%s cannot be read", n, at)
	case finding.Unverifiable:
		return fmt.Sprintf("%d credentials%s cannot be verified", n, at)
	case finding.Expiring:
		first := fs[0].Evidence.ExpiresAt
		for _, f := range fs {
			if f.Evidence.ExpiresAt.Before(first) {
				first = f.Evidence.ExpiresAt
			}
		}
		return fmt.Sprintf("%d credentials%s end soon, the first on %s", n, at, first.UTC().Format("2 Jan 2006"))
	case finding.UnexpectedUse:
		return fmt.Sprintf("%d credentials%s are used from unexpected networks", n, at)
	case finding.CanaryTripped:
		return fmt.Sprintf("%d canaries%s were used: somebody has what only a thief can have", n, at)
	}
	return fmt.Sprintf("%s: %d credentials%s", words(string(kind)), n, at)
}

// standings is where several findings stand; "" while all are open.
func standings(fs []finding.Finding, open int) string {
	switch first := stateOf(fs[0]); {
	case open == 0:
		return "all resolved"
	case open < len(fs):
		return fmt.Sprintf("%d of %d resolved", len(fs)-open, len(fs))
	case first != "" && common(fs, stateOf):
		return first
	}
	return ""
}

// item is one finding in a line; it says only what the others do not.
func item(f finding.Finding, fs []finding.Finding) string {
	text := f.Subject.Name()
	if !common(fs, func(f finding.Finding) string { return string(f.Kind) }) {
		text += ": " + words(string(f.Kind))
	}
	if f.Evidence.Owner != "" {
		text += " (owner " + f.Evidence.Owner + ")"
	}
	if why := f.Evidence.Reason; why != "" && why != "unspecified" &&
		!common(fs, func(f finding.Finding) string { return f.Evidence.Reason }) {
		text += ", " + words(why)
	}
	if !f.Evidence.ExpiresAt.IsZero() {
		text += ", ends on " + f.Evidence.ExpiresAt.UTC().Format("2 Jan 2006")
	}
	if state := stateOf(f); state != "" {
		text += " — " + state
	}
	return text
}

func common(fs []finding.Finding, of func(finding.Finding) string) bool {
	for _, f := range fs {
		if of(f) != of(fs[0]) {
			return false
		}
	}
	return true
}
