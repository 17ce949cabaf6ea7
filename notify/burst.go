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
	began := fs[0].Began()
	for _, f := range fs {
		if f.State != finding.Resolved {
			open++
		}
		if f.Began().Before(began) {
			began = f.Began()
		}
	}
	w := Words{Title: urgency(fs...) + ": " + together(fs), State: standings(fs, open)}
	for _, f := range fs[:min(len(fs), mostItems)] {
		w.Items = append(w.Items, item(f, fs))
	}
	if n := len(fs) - mostItems; n > 0 {
		w.Items = append(w.Items, fmt.Sprintf("and %d more: keyrounds findings list", n))
	}
	w.Facts = append(w.Facts, Fact{"Since", clock(began)})
	one := func(of func(finding.Finding) string) string {
		if common(fs, of) {
			return of(fs[0])
		}
		return ""
	}
	w.Owner = one(func(f finding.Finding) string { return f.About.Owner })
	if one(func(f finding.Finding) string { return string(f.Kind) }) == "" {
		w.Steps = []string{"See each of them: keyrounds findings list"}
		return w
	}
	entry := fs[0].Kind.Of()
	w.Guide = guide(entry)
	if entry.Effect != nil {
		w.Effect = one(func(f finding.Finding) string { return entry.Effect(f, len(fs)) })
	}
	if entry.Steps != nil {
		name := exampleOf(fs[0])
		if w.Steps = entry.Steps(sharing(fs), name); strings.Contains(strings.Join(w.Steps, " "), name) {
			w.Steps = append(w.Steps, "The same for each of the others.")
		}
	}
	if open == 0 { // the evidence of what is over is stale
		w.Effect, w.Steps, w.Guide = "", nil, ""
		return w
	}
	w.Facts = append(w.Facts, howSure(fs)...)
	w.Facts = append(w.Facts, nextLook(fs)...)
	var label string
	answer := one(func(f finding.Finding) (text string) { label, text = said(f); return text })
	if answer != "" {
		w.Facts = append(w.Facts, Fact{label, answer})
	}
	return w
}

// howSure says it of several refusals: what holds of each of them.
func howSure(fs []finding.Finding) []Fact {
	least, most, certain, newest := len(fs[0].Evidence.Refusals), 0, true, fs[0]
	var from, to time.Time
	for _, f := range fs {
		n := len(f.Evidence.Refusals)
		least, most, certain = min(least, n), max(most, n), certain && f.Evidence.Certain
		if t := first(f.Evidence.Refusals); n > 0 && (from.IsZero() || t.Before(from)) {
			from = t
		}
		if t := last(f.Evidence.Refusals); t.After(to) {
			to, newest = t, f
		}
	}
	if least == 0 || fs[0].Kind != finding.Revoked {
		return nil
	}
	text := "The provider refused each of them " + times(least)
	if least < most {
		text += " or more"
	}
	text += fmt.Sprintf(", from %s to %s", clock(from), clock(to))
	if certain {
		text += ", and says why."
	} else {
		text += ". It does not say why."
	}
	return []Fact{{"How sure", text + peers(newest.Evidence)}}
}

// nextLook is when the first of several refused credentials is looked at again.
func nextLook(fs []finding.Finding) []Fact {
	var at time.Time
	var names []string
	for _, f := range fs {
		names = append(names, f.Subject.Credential)
		if t := f.Evidence.NextCheck; f.State != finding.Resolved && !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	if at.IsZero() {
		return nil
	}
	return []Fact{
		{
			"Looked at again",
			"the first of them " + clock(
				at,
			) + ", then " + looks(
				fs[0].Evidence,
			) + ". Now: keyrounds check " + strings.Join(
				names[:min(len(names), 5)],
				" ",
			),
		},
	}
}

// sharing is the first finding with only that evidence for what is said of all which holds of all.
func sharing(fs []finding.Finding) finding.Finding {
	f := fs[0]
	var abouts []finding.About
	for _, other := range fs {
		abouts = append(abouts, other.About)
		f.Evidence.NeverHealthy = f.Evidence.NeverHealthy && other.Evidence.NeverHealthy
		f.Evidence.Suspected = f.Evidence.Suspected && other.Evidence.Suspected
		f.Evidence.GotOut = f.Evidence.GotOut && other.Evidence.GotOut
		f.Evidence.NoToken = f.Evidence.NoToken && other.Evidence.NoToken
	}
	f.About = finding.Together(abouts)
	return f
}

// together is what several findings are, and of what.
func together(fs []finding.Finding) string {
	n, provider, at := len(fs), fs[0].Subject.Provider, ""
	if common(fs, func(f finding.Finding) string { return f.Subject.Provider }) && provider != "" {
		at = " of " + provider
	}
	var names []string
	for _, f := range fs {
		names = append(names, f.Subject.Name())
	}
	if !common(fs, func(f finding.Finding) string { return string(f.Kind) }) {
		return fmt.Sprintf("%d findings%s: %s", n, at, list(names, 3))
	}
	if in := fs[0].Incident(); in != "" && Ended(fs) == withdrawn && common(fs, finding.Finding.Incident) {
		return fmt.Sprintf("%d credentials%s belong to the incident of %s: %s", n, at, in, list(names, 3))
	}
	if Ended(fs) != "" {
		return fmt.Sprintf("%d credentials%s (%s): %s", n, at, words(string(fs[0].Kind)), list(names, 3))
	}
	return fmt.Sprintf("%d credentials%s %s: %s", n, at, fs[0].Kind.Of().Many(sharing(fs)), list(names, 3))
}

// standings is where several findings stand; "" while all are open.
func standings(fs []finding.Finding, open int) string {
	switch first := stateOf(fs[0]); {
	case open == 0 && Ended(fs) == withdrawn:
		return "all withdrawn"
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
	if !common(fs, func(f finding.Finding) string { return f.Subject.Provider }) {
		text = f.Subject.Who()
	}
	several := !common(fs, func(f finding.Finding) string { return string(f.Kind) })
	switch {
	case several && f.State != finding.Resolved:
		text += " " + f.Kind.Of().Says(f)
	case several:
		text += ": " + words(string(f.Kind))
	}
	if f.About.Owner != "" && !common(fs, func(f finding.Finding) string { return f.About.Owner }) {
		text += " (owner " + f.About.Owner + ")"
	}
	if why := f.Evidence.Reason; why != "" && why != "unspecified" && !several &&
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

// openAlready is the title of what a new place hears: how many of which severity, and who and what, the most severe first.
func openAlready(fs []finding.Finding) string {
	var counts, whats []string
	for _, s := range []finding.Severity{finding.Critical, finding.Warning, finding.Info} {
		n := 0
		for _, f := range fs {
			if f.State != finding.Resolved && f.Severity == s {
				n++
			}
		}
		if n > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", n, s))
		}
	}
	for _, f := range fs {
		whats = append(whats, f.Headline())
	}
	return "Open already (" + strings.Join(counts, ", ") + "): " + list(whats, 3)
}
