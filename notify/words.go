package notify

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/finding"
)

// Words is a finding, or a burst of them, in plain text, the same for every receiver and for `findings show`. It is in
// the order in which people need it.
type Words struct {
	Title  string   // how urgent, who and what: it stands alone
	State  string   // where it stands; "" while it is open
	Effect string   // what it does to those who use the credential
	Owner  string   // who is asked; "": nobody is named
	Steps  []string // what to do, the first thing first; none when it is over
	Items  []string // of a burst: each finding in a line
	Facts  []Fact   // the evidence: since when, how sure, what was seen
	Link   string   // to the page about it; "": there is none
	Guide  string   // to the runbook; "": there is none
}

// Fact is one line of Words: what it is about ("": it says so itself), and what is known.
type Fact struct{ Label, Text string }

// Describe puts a finding into words. The text is clean but not escaped for any markup; times in it are UTC (Localize). It
// is pure.
func Describe(f finding.Finding) Words {
	e, entry := f.Evidence, f.Kind.Of()
	w := Words{Title: urgency(f) + ": " + f.Headline(), State: stateOf(f), Guide: guide(entry)}
	w.Owner = cmp.Or(f.About.Owner, list(f.About.Owners, 6))
	add := func(label, text string) {
		if text != "" {
			w.Facts = append(w.Facts, Fact{label, text})
		}
	}
	if f.State == finding.Resolved {
		add("It lasted", finding.Span(f.ResolvedAt.Sub(f.Began()))+", since "+clock(f.Began()))
		w.Facts = append(w.Facts, leakFacts(e.Leak, true)...)
		w.Guide = ""
		return w
	}
	if entry.Effect != nil {
		w.Effect = entry.Effect(f, 1)
	}
	if entry.Steps != nil {
		w.Steps = entry.Steps(f, exampleOf(f))
	}
	w.Facts = append(w.Facts, Evidence(f)...)
	return w
}

// Evidence is what a finding rests on, also of one that is over: since when, how sure, what was seen.
func Evidence(f finding.Finding) (facts []Fact) {
	e := f.Evidence
	add := func(label, text string) {
		if text != "" {
			facts = append(facts, Fact{label, text})
		}
	}
	add("Since", clock(e.Since))
	if f.About.Key {
		add("Last worked", clock(e.LastSuccess))
	} else {
		add("Last token", clock(e.LastSuccess))
	}
	add("How sure", certainty(f))
	add("It could be", couldBe(f))
	add(said(f))
	if !e.RevokedAt.IsZero() {
		add("The provider's log", revocation(e))
	}
	if !e.ExpiresAt.IsZero() {
		add("Ends", clock(e.ExpiresAt)+", "+credential.EndSource(e.ExpiresBy).Words())
	}
	if !e.NextCheck.IsZero() {
		add("Looked at again", clock(e.NextCheck)+", then "+looks(e)+", and at once when another credential of "+f.Subject.Provider+
			" is accepted again. Now: keyrounds check "+f.Subject.Name())
	}
	add("Last used", clock(e.LastUsed))
	add("Watched", e.Coverage)
	add("Used from", usedFrom(e.Uses))
	facts = append(facts, leakFacts(e.Leak, false)...)
	if e.NoToken {
		add("Scopes refused", strings.Join(e.MissingScopes, " "))
	} else {
		add("Scopes missing", strings.Join(e.MissingScopes, " "))
	}
	add("Scopes not declared", strings.Join(e.ExtraScopes, " "))
	if f.Kind != finding.ReceiverFailing {
		add("Credentials", list(e.Affected, 30))
	}
	add("Used for", f.About.Description)
	add("Scopes", strings.Join(f.About.Scopes, " "))
	add("Labels", labels(f.About.Labels))
	if skew := e.ClockSkew.Abs(); skew > time.Minute {
		add("Clock", fmt.Sprintf("the provider's clock and this machine's differ by %s", skew))
	}
	return facts
}

// exampleOf is the credential that the steps name: that of the finding, or one of its provider's that is affected.
func exampleOf(f finding.Finding) string {
	if a := f.Evidence.Affected; f.Subject.Provider != "" && f.Subject.Credential == "" && len(a) > 0 {
		return a[0]
	}
	return cmp.Or(f.Subject.Credential, "NAME")
}

// looks says how often what is refused is looked at, after the next time.
func looks(e finding.Evidence) string {
	if e.LooksEvery > 0 {
		return "every " + finding.Span(e.LooksEvery)
	}
	return "less often"
}

// urgency is how a title begins.
func urgency(fs ...finding.Finding) string {
	if over := Ended(fs); over != "" {
		return over
	}
	return strings.ToUpper(string(fs[0].Severity))
}

// guide is where the runbook of an alert is.
func guide(e finding.Entry) string {
	if e.Alert == "" {
		return ""
	}
	return "https://github.com/keyrounds/keyrounds/blob/main/docs/runbooks/" + e.Alert + ".md"
}

// Brief is a finding in half a line, for a list of its kind: its scopes, or its message, or since when it is open.
func Brief(f finding.Finding) string {
	e := f.Evidence
	switch {
	case len(e.UnusedScopes) > 0:
		return strings.Join(e.UnusedScopes, " ")
	case len(e.ExtraScopes) > 0:
		return strings.Join(e.ExtraScopes, " ")
	case e.Message != "":
		return e.Message
	}
	return "since " + clock(f.OpenedAt)
}

// news is what a finding has to say anew, beside its state: whoever was told is told again when it changes. "": nothing.
func news(f finding.Finding) string {
	switch {
	case f.Kind == finding.Revoked && f.Evidence.Suspected:
		return notConfirmed
	case f.Severity.Above(f.Kind.Severity()):
		return "become " + string(f.Severity)
	case f.Kind != finding.Expiring:
		return ""
	}
	if f.Evidence.Ahead == 0 {
		return "it should have ended by now"
	}
	return "at most " + credential.Days(f.Evidence.Ahead) + " left"
}

const notConfirmed = "not been confirmed"

func revocation(e finding.Evidence) string {
	who := "somebody"
	if e.RevokedBy != "" {
		who = e.RevokedBy
	}
	text := fmt.Sprintf("%s revoked it on %s (feed %s)", who, clock(e.RevokedAt), e.RevokedFeed)
	if e.RevokedOne {
		text = fmt.Sprintf("%s revoked a credential on %s; it does not say which one (feed %s)", who, clock(e.RevokedAt), e.RevokedFeed)
	}
	return text
}

// usedFrom lists networks, those that are new to the credential first.
func usedFrom(uses []finding.Use) string {
	var parts []string
	for _, known := range []bool{false, true} {
		for _, u := range uses {
			if u.Known != known || len(parts) >= 5 {
				continue
			}
			text := u.Network
			if u.Address != "" {
				text = u.Address
			}
			if u.UserAgent != "" {
				text += " by " + u.UserAgent
			}
			text += fmt.Sprintf(", last %s, %s", clock(u.Last), finding.Plural(int(u.Uses+u.Failures), "event"))
			if u.Failures > 0 {
				text += fmt.Sprintf(" (%d refused)", u.Failures)
			}
			if known {
				text += ", as before it ended"
			}
			parts = append(parts, text)
		}
	}
	if n := len(uses) - len(parts); n > 0 {
		parts = append(parts, fmt.Sprintf("and %d networks more", n))
	}
	return strings.Join(parts, "; ")
}

func words(s string) string { return strings.ReplaceAll(s, "_", " ") }

// certainty says how sure a refusal is, in sentences.
func certainty(f finding.Finding) string {
	e := f.Evidence
	if f.Kind != finding.Revoked || len(e.Refusals) == 0 {
		return ""
	}
	text := fmt.Sprintf("The provider refused it %s", times(len(e.Refusals)))
	if len(e.Refusals) > 1 {
		text += fmt.Sprintf(", from %s to %s", clock(first(e.Refusals)), clock(last(e.Refusals)))
	}
	switch {
	case !e.RevokedAt.IsZero() && !e.RevokedOne:
		text += ". Its own log has the revocation."
	case e.Certain:
		text += ". It says why."
	default:
		text += ". It does not say why."
	}
	if e.SetupChanged {
		text += " The provider's settings in keyrounds changed since it last worked."
	}
	if e.NeverHealthy {
		text += " It never worked with the present secret."
	}
	return text + peers(e)
}

// peers says how the provider's other credentials do, in a sentence after others; "": there are none, or it is not known.
func peers(e finding.Evidence) string {
	switch {
	case e.PeersTotal == 0:
		return ""
	case e.PeersHealthy == 1 && e.PeersTotal == 1:
		return " The provider's other credential works."
	case e.PeersHealthy == e.PeersTotal:
		return fmt.Sprintf(" All %d other credentials of the provider work.", e.PeersTotal)
	}
	return fmt.Sprintf(" %d of the provider's %s work.", e.PeersHealthy, finding.Plural(e.PeersTotal, "other credential"))
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// couldBe says why a credential can be refused, where the provider does not.
func couldBe(f finding.Finding) string {
	e := f.Evidence
	switch {
	case f.Kind != finding.Revoked, e.Certain && !e.NeverHealthy, e.NeverHealthy && len(e.CouldBe) == 0:
		return ""
	case e.NeverHealthy:
		return "of what was chosen here: " + strings.Join(e.CouldBe, "; ")
	}
	could := []string{"revoked or rotated"}
	if !e.ExpiresAt.IsZero() {
		could = []string{"at its end, " + clock(e.ExpiresAt), could[0]}
	}
	return strings.Join(append(could, e.CouldBe...), "; ")
}

// said is what came instead of a token, with its label.
func said(f finding.Finding) (label, text string) {
	e := f.Evidence
	switch {
	case f.Kind == finding.Expiring:
		return "How soon", e.Message
	case e.HTTPStatus == 0, e.HTTPStatus < 300 && e.ErrorCode == "" && e.Outcome != "intercepted": // what it said was a token
		return "What happened", e.Message
	case e.Outcome == "intercepted":
		if strings.Contains(e.Message, " instead of ") { // it says so itself
			return "What answered", fmt.Sprintf("%s (HTTP %d)", e.Message, e.HTTPStatus)
		}
		return "What answered", fmt.Sprintf(
			"a web page, a firewall or a proxy answered instead of the provider (HTTP %d): %s", e.HTTPStatus, e.Message)
	}
	parts := []string{fmt.Sprintf("HTTP %d", e.HTTPStatus)}
	if e.ErrorCode != "" {
		parts = append(parts, e.ErrorCode)
	}
	if e.ErrorDescription != "" {
		parts = append(parts, "“"+e.ErrorDescription+"”")
	}
	return "The provider said", strings.Join(parts, ", ")
}

func labels(of map[string]string) string {
	var list []string
	for _, k := range slices.Sorted(maps.Keys(of)) {
		list = append(list, k+"="+of[k])
	}
	return strings.Join(list, " ")
}

func stateOf(f finding.Finding) string {
	switch f.State {
	case finding.Acknowledged:
		text := "acknowledged by " + f.AcknowledgedBy
		if f.FalseAlarmBy != "" {
			text += "; a false alarm, says " + f.FalseAlarmBy
			if f.FalseAlarmWhy != "" {
				text += ": " + f.FalseAlarmWhy
			}
		}
		return text
	case finding.Snoozed:
		return "snoozed until " + clock(f.SnoozedUntil)
	case finding.Resolved:
		text := "resolved " + clock(f.ResolvedAt)
		if f.Withdrawn {
			text = "withdrawn " + clock(f.ResolvedAt)
		}
		if f.ResolvedWhy != "" {
			text += ": " + f.ResolvedWhy
		}
		return text
	}
	return ""
}

func clock(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(TimeLayout)
}

func list(names []string, most int) string {
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

func first(ts []time.Time) time.Time {
	if len(ts) == 0 {
		return time.Time{}
	}
	return slices.MinFunc(ts, time.Time.Compare)
}

func last(ts []time.Time) time.Time {
	if len(ts) == 0 {
		return time.Time{}
	}
	return slices.MaxFunc(ts, time.Time.Compare)
}
