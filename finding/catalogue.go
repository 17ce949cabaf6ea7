package finding

import (
	"fmt"
	"strings"
	"time"
)

// Entry is all that is known of a kind of findings: whoever tells of one, or documents it, reads it here. Texts are plain
// and clean, but not escaped for any markup.
type Entry struct {
	Kind     Kind
	Severity Severity // where nothing of the event says otherwise: Event.Severity

	Means string // when such a finding opens, in a sentence
	// Effect is what it does to those who use the credential, in a sentence; "" where it does nothing.
	Effect func(Finding) string
	// Says is what is the matter, after the subject: "is refused".
	Says func(Finding) string
	// Was says it of one that is over, before how long it lasted: "was refused". Over says it where that means nothing.
	Was, Over string
	// Many says it of several, after how many: "3 credentials of sr are refused".
	Many string
	// Steps are what a person does, the first thing first. name is the credential's, or NAME for several.
	Steps func(f Finding, name string) []string

	Sample func(f *Finding, now time.Time) // fills in the evidence that such findings have
	Alert  string                          // of the Prometheus rules, and the page of docs/runbooks; "": there is none
	Page   string                          // of docs, where more is said
}

// Of returns the entry of a kind. One that is not known has a Warning's severity and no more words than its name.
func (k Kind) Of() Entry {
	for _, e := range catalogue {
		if e.Kind == k {
			return e
		}
	}
	return Entry{Kind: k, Severity: Warning, Says: says("has a finding of the kind " + string(k)), Was: "had one", Page: "verdicts.md"}
}

// Kinds lists every kind, in the order of the constants.
func Kinds() []Kind {
	kinds := make([]Kind, len(catalogue))
	for i, e := range catalogue {
		kinds[i] = e.Kind
	}
	return kinds
}

// Severity returns how urgent the findings of a kind are. One that is not known is Warning.
func (k Kind) Severity() Severity { return k.Of().Severity }

// catalogue has the kinds in the order of the constants.
var catalogue = []Entry{
	revoked, scopeLost, scopeExcess, unused, neverUsed, leaked, unexpectedUse, usedAfterRevocation, canaryTripped, secretUnreadable,
	orphaned, staleSecret, expiring, unverifiable, flapping, providerIncident, providerDown, fallingBehind, lifetimeShrunk, unusedScopes,
	unpresented, receiverFailing, reloadFailed, storageFailing,
}

// Who names the subject as messages begin: the credential and its provider, or the provider, or keyrounds.
func (s Subject) Who() string {
	if s.Credential == "" || s.Provider == "" {
		return s.Name()
	}
	return s.Credential + " (" + s.Provider + ")"
}

// Who names what f is about, as messages begin: the credential and its provider, or the providers, or keyrounds.
func (f Finding) Who() string {
	if ps := f.Evidence.Providers; len(ps) > 1 {
		return join(ps)
	}
	return f.Subject.Who()
}

// Headline is who and what, in one line.
func (f Finding) Headline() string {
	e, who := f.Kind.Of(), f.Who()
	if f.State != Resolved {
		return who + " " + e.Says(f)
	}
	switch {
	case e.Over != "":
		return who + " " + e.Over
	case f.Withdrawn && strings.HasPrefix(f.ResolvedWhy, "it "): // it belongs to the incident of …
		return who + " " + strings.TrimPrefix(f.ResolvedWhy, "it ")
	case f.Withdrawn:
		return who + " " + e.Was
	}
	return who + " " + e.Was + " for " + Span(f.ResolvedAt.Sub(f.Began()))
}

// Began is when it began, as far as is known: not after it was opened.
func (f Finding) Began() time.Time {
	if t := f.Evidence.Since; !t.IsZero() && t.Before(f.OpenedAt) {
		return t
	}
	return f.OpenedAt
}

// Span says how long something lasts, in its two largest units: 14 min, 4 h 10 min, 3 days.
func Span(d time.Duration) string {
	switch d = d.Round(time.Second); {
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 48*time.Hour:
		if min := d % time.Hour / time.Minute; min > 0 {
			return fmt.Sprintf("%d h %d min", d/time.Hour, min)
		}
		return fmt.Sprintf("%d h", d/time.Hour)
	}
	return fmt.Sprintf("%d days", d/(24*time.Hour))
}

// Plural writes a number of things: 1 credential, 2 credentials.
func Plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

func says(text string) func(Finding) string { return func(Finding) string { return text } }

func do(steps ...string) func(Finding, string) []string {
	return func(_ Finding, name string) []string {
		var list []string
		for _, s := range steps {
			list = append(list, strings.ReplaceAll(s, "NAME", name))
		}
		return list
	}
}

// atConsole adds where the provider shows its credentials.
func atConsole(steps func(Finding, string) []string) func(Finding, string) []string {
	return func(f Finding, name string) []string {
		list := steps(f, name)
		if f.About.Console != "" {
			list = append(list, "The provider's console: "+f.About.Console)
		}
		return list
	}
}

func words(s string) string { return strings.ReplaceAll(s, "_", " ") }

func join(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

func day(t time.Time) string { return t.UTC().Format("2 Jan 2006") }
