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
	// Effect is what it does to those who use the credential, or n of them, in a sentence; nil where it does nothing.
	Effect func(f Finding, n int) string
	// Says is what is the matter, after the subject: "is refused".
	Says func(Finding) string
	// Was says it of one that is over, before how long it lasted: "was refused". Over says it where that means nothing.
	Was, Over string
	// Many says it of several, after how many, by what holds of all of them: "3 credentials of sr are refused".
	Many func(Finding) string
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
	return Entry{
		Kind:     k,
		Severity: Warning,
		Says:     says("has a finding of the kind " + string(k)),
		Was:      "had one",
		Many:     says("have findings of the kind " + string(k)),
		Page:     "verdicts.md",
	}
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
	case f.Incident() != "":
		return who + " " + strings.TrimPrefix(f.ResolvedWhy, "it ")
	case f.Withdrawn: // what was told is taken back as it was told
		return who + " " + e.Says(f)
	case e.Over != "":
		return who + " " + e.Over
	}
	return who + " " + e.Was + " for " + Span(f.ResolvedAt.Sub(f.Began()))
}

// The reason of a withdrawal for an incident, around its provider.
const (
	belongs = "it belongs to the incident of "
	noBlame = ", and nobody blames it alone any more"
)

// BelongsTo is why a finding about one credential is withdrawn: it is part of the incident of a provider.
func BelongsTo(provider string) string { return belongs + provider + noBlame }

// Incident is the provider of the incident that a finding was withdrawn for; "": there is none.
func (f Finding) Incident() string {
	provider, ok := strings.CutPrefix(f.ResolvedWhy, belongs)
	if !ok || !f.Withdrawn {
		return ""
	}
	return strings.TrimSuffix(provider, noBlame)
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

// Age says how old something is, as people say it: 12 days, 3 months, 4 years and 1 month.
func Age(d time.Duration) string {
	const day = 24 * time.Hour
	days := int(d / day)
	months := days * 12 / 365
	switch years := months / 12; {
	case d < 2*day:
		return Span(d)
	case days < 60:
		return Plural(days, "day")
	case months < 12:
		return Plural(months, "month")
	case months%12 == 0:
		return Plural(years, "year")
	default:
		return Plural(years, "year") + " and " + Plural(months%12, "month")
	}
}

// Plural writes a number of things: 1 credential, 2 credentials.
func Plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

func says(text string) func(Finding) string { return func(Finding) string { return text } }

// does is an effect that is always the same: of one and, where that is said otherwise, of several.
func does(one string, several ...string) func(Finding, int) string {
	return func(_ Finding, n int) string { return pick(n, one, append(several, one)[0]) }
}

func pick(n int, one, several string) string {
	if n == 1 {
		return one
	}
	return several
}

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
