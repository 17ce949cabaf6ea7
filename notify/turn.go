package notify

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/keyrounds/keyrounds/finding"
)

// turn is what happened to the findings since they were told, in words, a line each; loud: everybody in the channel
// should see it. Each line stands alone: a push or a channel shows it without what it answers. all has those as well that
// were found again since.
func (r record) turn(fs, all []finding.Finding, traits Traits, now time.Time) (text string, loud bool) {
	if r.digest == "" {
		return "", false
	}
	var (
		whats []string
		of    = map[string][]finding.Finding{} // what happened → to which
		calm  = true                           // nobody has to look at it any more
	)
	for _, was := range r.was {
		calm = calm && was.state != finding.Open
	}
	for _, f := range fs {
		was := r.was[f.ID]
		ended := before(f, all)
		what := happened(f, was, ended)
		if what != "" && len(fs) > 1 {
			what = amongOthers(f, was, ended)
		}
		if what == "" {
			continue
		}
		// What is acknowledged is looked after; that its time runs out is news all the same.
		told := f.State == finding.Open || f.State == finding.Acknowledged && was.news != news(f)
		if was.state == "" && ended.IsZero() && traits.Edits && !calm {
			told = false // it joined what people look at already
		}
		if told && r.holds[f.ID] != (hold{}) {
			r.unsaid[f.ID] = true
			continue
		}
		if told && f.Severity != finding.Info {
			loud = true
		}
		if !slices.Contains(whats, what) {
			whats = append(whats, what)
		}
		of[what] = append(of[what], f)
	}
	var lines []string
	for _, what := range whats {
		space := " "
		if len(fs) > 1 {
			space = ": "
		}
		lines = append(lines, subjects(of[what])+space+what)
	}
	if open := r.nagging(fs); r.nudge != "" && len(open) > 0 {
		lines, loud = append(lines, nudge(r.nudge, open, now)), true
	}
	return strings.Join(lines, "\n"), loud
}

// occasion is why a message is told again where it cannot be updated, or told elsewhere, in a word for its title; "": it is news,
// or the end.
func (r record) occasion(fs, all []finding.Finding) string {
	is := func(of func(f finding.Finding, was told) bool) bool {
		return slices.ContainsFunc(fs, func(f finding.Finding) bool {
			return f.State == finding.Open && r.holds[f.ID] == (hold{}) && of(f, r.was[f.ID])
		})
	}
	switch {
	case Ended(fs) != "":
		return ""
	case r.digest == "":
		if r.escalation && r.burst == "" {
			return "ESCALATED"
		}
		return ""
	case is(func(f finding.Finding, was told) bool { return was.news == notConfirmed && news(f) == "" }):
		return "CONFIRMED"
	case is(func(f finding.Finding, was told) bool {
		return was.state != "" && was.state != finding.Open || was.state == "" && !before(f, all).IsZero()
	}):
		return "OPEN AGAIN"
	case r.nudge == nudgeRemind && len(r.nagging(fs)) > 0:
		return "REMINDER"
	case r.nudge == nudgeEscalate && len(r.nagging(fs)) > 0:
		return "ESCALATED"
	}
	return ""
}

// before is when the same was over the last time; zero: it was not found before.
func before(f finding.Finding, all []finding.Finding) (ended time.Time) {
	for _, o := range all {
		if o.ID < f.ID && o.Kind == f.Kind && o.Subject == f.Subject && o.ResolvedAt.After(ended) {
			ended = o.ResolvedAt
		}
	}
	return ended
}

// happened is what happened to a finding since it was told as was says, after its subject: "is refused again". "": nothing.
// ended is when it was over the last time.
func happened(f finding.Finding, was told, ended time.Time) string {
	switch {
	case f.Kind == finding.Revoked && f.State == finding.Open && was.news == notConfirmed && news(f) == "":
		return f.Kind.Of().Says(f) + ", and that is confirmed now"
	case was == knownOf(f) || was.state == f.State && (f.State == finding.Resolved || news(f) == ""):
		return ""
	case was.news != news(f) && was.state != "" && f.State != finding.Resolved:
		return strings.TrimSuffix("has "+news(f)+"; "+stateOf(f), "; ")
	case f.State == finding.Resolved && f.Incident() != "":
		return strings.TrimPrefix(f.ResolvedWhy, "it ") + ": withdrawn"
	case f.State == finding.Resolved && f.Withdrawn:
		return strings.TrimPrefix(f.Headline(), f.Who()+" ") + ": withdrawn, " + f.ResolvedWhy
	case f.State == finding.Resolved:
		said := strings.TrimPrefix(f.Headline(), f.Who()+" ")
		return strings.TrimSuffix(said+"; "+f.ResolvedWhy, "; ")
	case f.State == finding.Open && !ended.IsZero() && was.state == "":
		return fmt.Sprintf("%s; open again, %s after it was over", f.Kind.Of().Says(f), finding.Span(f.OpenedAt.Sub(ended)))
	case f.State == finding.Open && was.state == "":
		return f.Kind.Of().Says(f) + ", too"
	case f.State == finding.Open:
		return f.Kind.Of().Says(f) + ", and is open again" + forgotten(": ", f)
	}
	return f.Kind.Of().Says(f) + ": " + stateOf(f)
}

// forgotten says of what is open again that somebody acknowledged it, and that the time for that ran out; else "".
func forgotten(before string, f finding.Finding) string {
	if f.State != finding.Open || f.AcknowledgedBy == "" {
		return ""
	}
	text := before + "the acknowledgement of " + f.AcknowledgedBy + " ran out"
	if !f.AcknowledgedAt.IsZero() && f.UpdatedAt.After(f.AcknowledgedAt) {
		text += " after " + finding.Span(f.UpdatedAt.Sub(f.AcknowledgedAt))
	}
	return text
}

// amongOthers is happened in few words, the same for those to which the same happened.
func amongOthers(f finding.Finding, was told, ended time.Time) string {
	what := stateOf(f)
	switch {
	case f.State == finding.Resolved && f.Withdrawn:
		what = "withdrawn, " + f.ResolvedWhy
	case f.State == finding.Resolved:
		what = strings.TrimSuffix("resolved, "+f.ResolvedWhy, ", ")
	case was.news == notConfirmed && news(f) == "" && was.state != "":
		return words(string(f.Kind)) + ", and that is confirmed now"
	case was.news != news(f) && was.state != "":
		what = strings.TrimSuffix(news(f)+"; "+what, "; ")
	case f.State == finding.Open && was.state == "" && ended.IsZero():
		what = "found, too"
	case f.State == finding.Open:
		what = "open again" + forgotten(": ", f)
	}
	return words(string(f.Kind)) + ", " + what
}

// subjects names those of fs: credentials of one provider with it.
func subjects(fs []finding.Finding) string {
	if len(fs) == 1 {
		return fs[0].Who()
	}
	var names []string
	for _, f := range fs {
		names = append(names, f.Subject.Name())
	}
	text := list(names, 20)
	if provider := fs[0].Subject.Provider; provider != "" && common(fs, func(f finding.Finding) string { return f.Subject.Provider }) {
		text += " (" + provider + ")"
	}
	return text
}

// nagging are those of fs that people are told of again: not what nobody is told of now.
func (r record) nagging(fs []finding.Finding) (list []finding.Finding) {
	for _, f := range fs {
		if nagging(f) && r.holds[f.ID] == (hold{}) {
			list = append(list, f)
		}
	}
	return list
}

// nudge says again that all of open are.
func nudge(kind string, open []finding.Finding, now time.Time) string {
	since := open[0].OpenedAt
	for _, f := range open {
		if f.OpenedAt.Before(since) {
			since = f.OpenedAt
		}
	}
	text := open[0].Headline()
	if len(open) > 1 {
		text = together(open)
	}
	text += "; open for " + finding.Span(now.Sub(since))
	them := "it"
	if len(open) > 1 {
		them = "them"
	}
	if again := forgotten("; ", open[0]); again != "" && common(open, func(f finding.Finding) string { return forgotten("", f) }) {
		text += again + ", and nobody has acknowledged " + them + " since"
	} else {
		text += ", and nobody has acknowledged " + them
	}
	if kind == nudgeEscalate {
		text += ". Others are told now."
	}
	return text
}
