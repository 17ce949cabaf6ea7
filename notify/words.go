package notify

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/keyrounds/keyrounds/finding"
)

// Words is a finding in plain text, the same for every receiver and for `findings show`.
type Words struct {
	Title string   // what, and which
	Facts []Fact   // since when, how sure, what it breaks
	Steps []string // what to do
	State string   // where it stands; "" while it is open
}

// Fact is one line.
type Fact struct{ Label, Text string }

// Describe puts a finding into words. The text is clean but not escaped for any markup.
func Describe(f finding.Finding) Words {
	e := f.Evidence
	name := f.Subject.Name()
	w := Words{Title: fmt.Sprintf("%s: %s", strings.ToUpper(string(f.Severity)), headline(f)), State: standing(f)}
	add := func(label, text string) {
		if text != "" {
			w.Facts = append(w.Facts, Fact{label, text})
		}
	}
	add("Since", clock(e.Since))
	add("Last good exchange", clock(e.LastSuccess))
	add("How sure", certainty(f))
	if e.HTTPStatus == 0 {
		add("What happened", e.Message)
	} else {
		add("The provider said", answer(e))
	}
	add("Scopes missing", strings.Join(e.MissingScopes, " "))
	add("Scopes not declared", strings.Join(e.ExtraScopes, " "))
	if e.TokenLife > 0 {
		add("Tokens live", fmt.Sprintf("%s, before it was %s", e.TokenLife, e.UsualLife))
	}
	add("Credentials", list(e.Affected, 30))
	add("Owner", e.Owner)
	add("Used for", e.Description)
	add("Scopes", strings.Join(e.Scopes, " "))
	if skew := e.ClockSkew.Abs(); skew > time.Minute {
		add("Clock", fmt.Sprintf("the provider's clock and ours differ by %s", skew))
	}
	w.Steps = steps(f, name)
	return w
}

func headline(f finding.Finding) string {
	name, provider := f.Subject.Name(), f.Subject.Provider
	switch f.Kind {
	case finding.Revoked:
		if f.Evidence.Reason == "unspecified" {
			return fmt.Sprintf("credential %s is refused by %s", name, provider)
		}
		return fmt.Sprintf("credential %s is refused by %s (%s)", name, provider, words(f.Evidence.Reason))
	case finding.ScopeLost:
		return fmt.Sprintf("credential %s may do less than it needs at %s", name, provider)
	case finding.SecretUnreadable:
		return fmt.Sprintf("the secret of credential %s cannot be read", name)
	case finding.ScopeExcess:
		return fmt.Sprintf("credential %s may do more than is declared at %s", name, provider)
	case finding.LifetimeShrunk:
		return fmt.Sprintf("tokens of credential %s live much shorter than before at %s", name, provider)
	case finding.Unverifiable:
		switch {
		case f.Subject == finding.Subject{}:
			return "keyrounds cannot reach any provider"
		case f.Subject.Credential == "":
			return fmt.Sprintf("provider %s gives no certain answer for %d credentials", name, len(f.Evidence.Affected))
		}
		return fmt.Sprintf("credential %s cannot be verified at %s", name, provider)
	case finding.Flapping:
		return fmt.Sprintf("credential %s is accepted and refused in turn by %s", name, provider)
	case finding.ProviderIncident:
		return fmt.Sprintf("provider %s refuses %d credentials at once", name, len(f.Evidence.Affected))
	}
	return fmt.Sprintf("%s: %s", words(string(f.Kind)), name)
}

func words(s string) string { return strings.ReplaceAll(s, "_", " ") }

func certainty(f finding.Finding) string {
	e := f.Evidence
	if f.Kind != finding.Revoked {
		return ""
	}
	text := fmt.Sprintf("refused %d times from %s to %s", len(e.Refusals), clock(first(e.Refusals)), clock(last(e.Refusals)))
	if e.Certain {
		text += "; the provider names the cause"
	} else {
		text += "; it does not tell revoked from rotated"
	}
	if e.SetupChanged {
		text += "; the provider's settings in keyrounds changed since it last worked"
	}
	if e.NeverHealthy {
		text += "; it never worked with the present secret"
	}
	if e.PeersTotal > 0 {
		text += fmt.Sprintf("; %d of the provider's %d other credentials work", e.PeersHealthy, e.PeersTotal)
	}
	return text
}

func answer(e finding.Evidence) string {
	parts := []string{fmt.Sprintf("HTTP %d", e.HTTPStatus)}
	if e.ErrorCode != "" {
		parts = append(parts, e.ErrorCode)
	}
	if e.ErrorDescription != "" {
		parts = append(parts, "“"+e.ErrorDescription+"”")
	}
	return strings.Join(parts, ", ")
}

func steps(f finding.Finding, name string) []string {
	switch f.Kind {
	case finding.Revoked:
		s := []string{
			"Ask the owner and the provider's administrators whether it was revoked or rotated on purpose.",
			fmt.Sprintf("If it was rotated: keyrounds credentials rotate %s. If it is gone for good: retire it.", name),
		}
		if f.Evidence.Console != "" {
			s = append(s, "Console: "+f.Evidence.Console)
		}
		return s
	case finding.ScopeLost:
		return []string{"Grant the missing scopes or the role again, or take them out of the declared scopes."}
	case finding.SecretUnreadable:
		return []string{"Mend the reference or what it points at; the credential is not checked until then."}
	case finding.ScopeExcess:
		s := []string{"Ask for a smaller credential, with only: " + strings.Join(f.Evidence.Scopes, " ")}
		if f.Evidence.Console != "" {
			s = append(s, "Console: "+f.Evidence.Console)
		}
		return append(s, "If its users do need more, declare it in scopes.")
	case finding.LifetimeShrunk:
		return []string{"Ask the provider's administrators what changed; clients that keep tokens must get new ones sooner."}
	case finding.Unverifiable:
		switch {
		case f.Subject == finding.Subject{}:
			return []string{"Look at this machine's network, DNS and proxy first: no credential can be judged until then."}
		case f.Subject.Credential == "":
			return []string{"Look at the provider, and at the way there. A revocation could hide behind it."}
		}
		return []string{"See why the provider gives no certain answer: keyrounds check -v " + name + ". A revocation could hide behind it."}
	case finding.Flapping:
		return []string{"Look for two parties that change the secret, or a provider whose nodes disagree."}
	case finding.ProviderIncident:
		return []string{"Look at the provider first. Its credentials are judged one by one when this ends."}
	}
	return nil
}

func standing(f finding.Finding) string {
	switch f.State {
	case finding.Acknowledged:
		return "acknowledged by " + f.AcknowledgedBy
	case finding.Snoozed:
		return "snoozed until " + clock(f.SnoozedUntil)
	case finding.Resolved:
		text := "resolved " + clock(f.ResolvedAt)
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
	return t.UTC().Format("2 Jan 2006 15:04:05 MST")
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
