package notify

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/finding"
)

// Words is a finding, or a burst of them, in plain text, the same for every receiver and for `findings show`.
type Words struct {
	Title string   // what, and which
	Facts []Fact   // since when, how sure, what it breaks
	Items []string // of a burst: each finding in a line
	Steps []string // what to do
	State string   // where it stands; "" while it is open
	Link  string   // to the page about it; "": there is none
}

// Fact is one line of Words: what it is about ("": it says so itself), and what is known.
type Fact struct{ Label, Text string }

// Describe puts a finding into words. The text is clean but not escaped for any markup; times in it are UTC. It is
// pure.
func Describe(f finding.Finding) Words {
	e := f.Evidence
	name := f.Subject.Name()
	w := Words{Title: fmt.Sprintf("%s: %s", strings.ToUpper(string(f.Severity)), headline(f)), State: stateOf(f)}
	add := func(label, text string) {
		if text != "" {
			w.Facts = append(w.Facts, Fact{label, text})
		}
	}
	add("Since", clock(e.Since))
	add("Last good exchange", clock(e.LastSuccess))
	add("How sure", certainty(f))
	add("It could be", couldBe(f))
	if f.Kind == finding.Expiring {
		add("Time", e.Message)
	} else if e.HTTPStatus == 0 {
		add("What happened", e.Message)
	} else {
		add("The provider said", answer(e))
	}
	if !e.RevokedAt.IsZero() {
		add("The provider's log", revocation(e))
	}
	if !e.ExpiresAt.IsZero() {
		add("Ends", clock(e.ExpiresAt)+", "+credential.EndSource(e.ExpiresBy).Words())
	}
	if !e.NextCheck.IsZero() {
		add("Looked at again", clock(e.NextCheck)+", then less and less often, and at once when another one of "+f.Subject.Provider+
			" is accepted again. Now: keyrounds check "+name)
	}
	add("Last used", clock(e.LastUsed))
	if e.DaysUnused > 0 {
		add("Unused for", fmt.Sprintf("%d days", e.DaysUnused))
	}
	add("Watched", e.Coverage)
	add("Unused scopes", strings.Join(e.UnusedScopes, " "))
	add("Used from", usedFrom(e.Uses))
	w.Facts = append(w.Facts, leakFacts(e.Leak)...)
	add("Scopes missing", strings.Join(e.MissingScopes, " "))
	add("Scopes not declared", strings.Join(e.ExtraScopes, " "))
	if e.TokenLife > 0 {
		add("Tokens live", fmt.Sprintf("%s, before it was %s", e.TokenLife, e.UsualLife))
	}
	if f.Kind != finding.ReceiverFailing {
		add("Credentials", list(e.Affected, 30))
	}
	add("Owner", e.Owner)
	add("Used for", e.Description)
	add("Scopes", strings.Join(e.Scopes, " "))
	add("Labels", labels(e.Labels))
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
		switch {
		case !f.Evidence.NoToken:
			return fmt.Sprintf("credential %s may do less than it needs at %s", name, provider)
		case f.Evidence.Outcome == "grant_denied":
			return fmt.Sprintf("credential %s gets no token from %s: it may not use this grant", name, provider)
		}
		return fmt.Sprintf("credential %s gets no token from %s: its scopes are refused", name, provider)
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
	case finding.Unused:
		return fmt.Sprintf("credential %s of %s is not used", name, provider)
	case finding.NeverUsed:
		return fmt.Sprintf("credential %s of %s was never used", name, provider)
	case finding.UnusedScopes:
		return fmt.Sprintf("credential %s of %s has scopes that nobody uses", name, provider)
	case finding.Unpresented:
		return fmt.Sprintf("tokens of credential %s of %s are issued and never presented", name, provider)
	case finding.StaleSecret:
		return fmt.Sprintf("the secret of credential %s of %s is too old", name, provider)
	case finding.Expiring:
		if f.Evidence.Ahead == 0 {
			return fmt.Sprintf(
				"credential %s of %s should have ended on %s",
				name,
				provider,
				f.Evidence.ExpiresAt.UTC().Format("2 Jan 2006"),
			)
		}
		return fmt.Sprintf("credential %s of %s ends on %s", name, provider, f.Evidence.ExpiresAt.UTC().Format("2 Jan 2006"))
	case finding.Orphaned:
		return fmt.Sprintf("nobody is named as owner of credential %s of %s", name, provider)
	case finding.UsedAfterRevocation:
		if f.Severity == finding.Info {
			return fmt.Sprintf("credential %s of %s has ended, or a secret of it, and someone still tries it in vain", name, provider)
		}
		if slices.ContainsFunc(f.Evidence.Uses, func(u finding.Use) bool { return !u.Known }) {
			return fmt.Sprintf("credential %s of %s has ended, and someone new tries it", name, provider)
		}
		return fmt.Sprintf("credential %s of %s has ended, and a forgotten job still tries it", name, provider)
	case finding.UnexpectedUse:
		return fmt.Sprintf("credential %s of %s is used from an unexpected network", name, provider)
	case finding.CanaryTripped:
		return fmt.Sprintf("canary %s of %s was used: somebody has what only a thief can have", name, provider)
	case finding.Leaked:
		return leakHeadline(f)
	case finding.ProviderIncident:
		if ps := f.Evidence.Providers; len(ps) > 1 {
			return fmt.Sprintf("%d credentials of %s are refused at once, at the token endpoint that these share",
				len(f.Evidence.Affected), list(ps, 3))
		}
		return fmt.Sprintf("provider %s refuses %d credentials at once", name, len(f.Evidence.Affected))
	case finding.ProviderDown:
		return fmt.Sprintf("provider %s answers nobody", name)
	case finding.FallingBehind:
		return fmt.Sprintf("checks of provider %s fall behind their schedules", name)
	case finding.ReceiverFailing:
		return "people are not told: " + list(f.Evidence.Affected, 5) + " takes no messages"
	}
	return fmt.Sprintf("%s: %s", words(string(f.Kind)), name)
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
	if f.Kind != finding.Expiring {
		return ""
	}
	if f.Evidence.Ahead == 0 {
		return "it should have ended by now"
	}
	return "at most " + credential.Days(f.Evidence.Ahead) + " left"
}

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
			text += fmt.Sprintf(", last %s, events: %d", clock(u.Last), u.Uses+u.Failures)
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

func certainty(f finding.Finding) string {
	e := f.Evidence
	if f.Kind != finding.Revoked {
		return ""
	}
	text := fmt.Sprintf("refused %d times from %s to %s", len(e.Refusals), clock(first(e.Refusals)), clock(last(e.Refusals)))
	if !e.RevokedAt.IsZero() && !e.RevokedOne {
		text += "; the provider's own log has the revocation"
	} else if e.Certain {
		text += "; the provider names the cause"
	} else {
		text += "; it does not say why"
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
		if f.Evidence.NeverHealthy {
			return withConsole(
				f,
				fmt.Sprintf("It never worked with this secret: compare what is registered with what the provider shows, then try: "+
					"keyrounds check -v %s. Another secret: keyrounds credentials rotate %s.", name, name),
			)
		}
		if f.Evidence.Reason == "expired_secret" {
			return withConsole(
				f,
				fmt.Sprintf("Make a new secret, give it to those who use it, and store it: keyrounds credentials rotate %s. "+
					"If nobody needs it any more: retire it.", name),
			)
		}
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
	case finding.Unused, finding.NeverUsed:
		return withConsole(f, "Ask the owner, then revoke it. The plan is in: keyrounds usage show "+name)
	case finding.UnusedScopes:
		return withConsole(f, "Ask the owner, then make a credential without them, and take them out of scopes.")
	case finding.Unpresented:
		return []string{"Find out who gets tokens and does nothing with them: keyrounds usage show " + name}
	case finding.StaleSecret:
		return withConsole(f, fmt.Sprintf("Make a new secret and store it: keyrounds credentials rotate %s.", name))
	case finding.Expiring:
		return withConsole(
			f,
			fmt.Sprintf("Make a new one in time, give it to those who use it, and store it: keyrounds credentials rotate %s "+
				"--expires DATE. A secret that is read from the host is replaced there, and expires in the configuration.", name),
		)
	case finding.Orphaned:
		return []string{"Name who answers for it: owner in the configuration."}
	case finding.UsedAfterRevocation:
		return []string{
			"Where the network is known, find the job and stop it. Where it is not, take the secret for leaked.",
			"Its use: keyrounds usage show " + name,
		}
	case finding.UnexpectedUse:
		return []string{
			"Ask the owner whether that network is theirs; then add it to expected_networks. If it is not: rotate the secret.",
			"Its use: keyrounds usage show " + name,
		}
	case finding.Leaked:
		return leakSteps(f, name)
	case finding.CanaryTripped:
		return withConsole(
			f,
			"Take the place where it was planted for breached. Look where the address leads, "+
				"then make a new canary: keyrounds credentials rotate "+name,
		)
	case finding.ProviderIncident:
		return []string{
			"Look at the provider first. Its credentials are judged one by one when this ends.",
			"One of them is looked at every 10 minutes, and all as soon as one is accepted. Now: keyrounds check NAME",
		}
	case finding.ProviderDown:
		return []string{
			"Look at the provider, its status page, and the way there. Tokens that were issued live on until they expire.",
			"What keyrounds sees: keyrounds check -v NAME",
		}
	case finding.FallingBehind:
		return []string{
			"Raise concurrency or rate of the provider in the configuration, if it bears that, or lengthen the schedules of its " +
				"credentials: keyrounds config check adds them up.",
			"If neither limits: look at the provider's latency, at the database, and whether enough replicas run.",
		}
	case finding.ReceiverFailing:
		return []string{"See what waits, and why: keyrounds notifications. Then try: keyrounds notify test"}
	}
	return nil
}

func withConsole(f finding.Finding, s string) []string {
	if f.Evidence.Console == "" {
		return []string{s}
	}
	return []string{s, "Console: " + f.Evidence.Console}
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
