package finding

import (
	"fmt"
	"strings"
	"time"
)

// The kinds about what a credential gets from its provider, and about providers.

var revoked = Entry{
	Kind: Revoked, Severity: Critical,
	Means: "The provider refused the credential, and later refusals confirmed it.",
	Effect: func(f Finding, n int) string {
		if f.Evidence.Suspected {
			return pick(n, "If it is confirmed, whoever uses it ", "If that is confirmed, whoever uses them ") + f.About.loses() + "."
		}
		if f.Evidence.NeverHealthy {
			return pick(n, "It has never worked here with this secret, so nothing that worked has stopped.",
				"None of them has ever worked here with its secret, so nothing that worked has stopped.")
		}
		return noToken(f, n)
	},
	Says: func(f Finding) string {
		switch r := f.Evidence.Reason; {
		case f.Evidence.Suspected:
			return "is refused; that is not confirmed yet"
		case f.Evidence.GotOut:
			return "is refused, after its secret got out"
		case r == "unspecified" || r == "":
			return "is refused"
		default:
			return "is refused: " + words(r)
		}
	},
	Was: "was refused",
	Many: func(f Finding) string {
		if f.Evidence.Suspected {
			return "are refused, which is not confirmed yet"
		}
		return "are refused"
	},
	Steps: atConsole(func(f Finding, name string) []string {
		switch e := f.Evidence; {
		case e.Suspected:
			return []string{"Wait for the confirmation: keyrounds looks again within minutes. To look now: keyrounds check " + name}
		case e.NeverHealthy:
			return []string{
				"Compare what is registered with what the provider shows, then try it: keyrounds check -v " + name,
				"To give it another secret, store that" + f.About.store(name, ""),
			}
		case e.GotOut:
			return []string{
				"Its secret got out, and now it is refused, as it should be: the finding of the leak has the proof of death.",
				"Make a new secret at the provider, give it to those who use it, and store it" + f.About.store(name, ""),
				"If nobody needs it any more: " + f.About.retire(name),
			}
		case e.Reason == "expired_secret":
			return []string{
				"Make a new secret at the provider, give it to those who use it, and store it" + f.About.store(name, ""),
				"If nobody needs it any more: " + f.About.retire(name),
			}
		}
		return []string{
			"Ask the owner and the provider's administrators whether it was revoked or its secret changed on purpose.",
			"If the secret changed, store the new one" + f.About.store(name, ""),
			"If it is gone for good: " + f.About.retire(name),
		}
	}),
	Sample: func(f *Finding, now time.Time) {
		e := &f.Evidence
		e.HTTPStatus, e.ErrorCode, e.ErrorDescription, e.Reason = 401, "invalid_client", "a test: nothing was revoked", "unspecified"
		e.LastSuccess, e.PeersTotal, e.PeersHealthy = now.Add(-13*time.Minute), 11, 11
		e.Refusals = []time.Time{now.Add(-12 * time.Minute), now.Add(-11 * time.Minute), now.Add(-10 * time.Minute)}
		e.NextCheck = now.Add(3 * time.Minute)
	},
	Alert: "KeyroundsCredentialRevoked", Page: "verdicts.md",
}

// noToken is the effect where no token comes any more.
func noToken(f Finding, n int) string {
	text := pick(n, "Whoever uses it ", "Whoever uses one of them ") + f.About.loses()
	if f.About.Key {
		return text + ", so that what runs on it has stopped."
	}
	return text + ". What runs on it stops when its last token ends" + tokenEnds(f) + "."
}

// loses is what a refusal does to those who use a credential.
func (a About) loses() string {
	if a.Key {
		return "is refused"
	}
	return "gets no new token"
}

// tokenEnds says how long tokens live, where that is known.
func tokenEnds(f Finding) string {
	if life := f.Evidence.UsualLife; life > 0 {
		return ", within " + Span(life.Round(time.Minute))
	}
	return ""
}

var scopeLost = Entry{
	Kind: ScopeLost, Severity: Warning,
	Means: "Tokens come without a declared scope, or a request that needs it is refused, or no token comes for want of it; " +
		"twice in a row.",
	Effect: func(f Finding, n int) string {
		if f.Evidence.NoToken {
			return noToken(f, n)
		}
		return "What needs the missing scopes fails; the rest works."
	},
	Says: func(f Finding) string {
		missing := strings.Join(f.Evidence.MissingScopes, " ")
		switch {
		case !f.Evidence.NoToken && missing == "":
			return "may do less than it needs"
		case !f.Evidence.NoToken:
			return "has lost " + missing
		case f.About.Key:
			return "is forbidden what it was tried for: a permission may be missing"
		case f.Evidence.Outcome == "grant_denied":
			return "gets no token: it may not use this grant"
		case missing == "":
			return "gets no token: its scopes are refused"
		}
		return "gets no token: " + missing + pick(len(f.Evidence.MissingScopes), " is refused", " are refused")
	},
	Was: "could do less than it needs",
	Many: func(f Finding) string {
		if f.Evidence.NoToken {
			return "get no token for want of scopes or the grant"
		}
		return "may do less than they need"
	},
	Steps: func(f Finding, name string) []string {
		if f.Evidence.Outcome == "grant_denied" {
			return []string{"Allow the client the client credentials grant at the provider. Then try it: keyrounds check -v " + name}
		}
		return []string{
			"Grant the missing scopes or the role at the provider again. Then try it: keyrounds check -v " + name,
			"If nobody needs them: take them out of the credential's scopes in keyrounds.",
		}
	},
	Sample: func(f *Finding, _ time.Time) { f.Evidence.MissingScopes = []string{"sample_write"} },
	Alert:  "KeyroundsScopeLost", Page: "verdicts.md",
}

var scopeExcess = Entry{
	Kind: ScopeExcess, Severity: Info,
	Means: "The provider grants more scopes than are declared, twice in a row.",
	Says: func(f Finding) string {
		return "has more than is declared: " + strings.Join(f.Evidence.ExtraScopes, " ")
	},
	Was: "had more than is declared", Many: says("have more than is declared"),
	Steps: atConsole(func(f Finding, _ string) []string {
		return []string{
			"Ask for a smaller credential, with only: " + strings.Join(f.About.Scopes, " "),
			"If its users do need more: declare it in the credential's scopes.",
		}
	}),
	Sample: func(f *Finding, _ time.Time) { f.Evidence.ExtraScopes = []string{"sample_admin"} },
	Page:   "verdicts.md",
}

var secretUnreadable = Entry{
	Kind: SecretUnreadable, Severity: Warning,
	Means: "keyrounds cannot read the secret that the credential's reference names.",
	Effect: does("keyrounds cannot check it, so a revocation would not be noticed. The provider is not asked.",
		"keyrounds cannot check them, so a revocation would not be noticed. The provider is not asked."),
	Says: says("has a secret that cannot be read"),
	Was:  "had a secret that could not be read", Many: says("have secrets that cannot be read"),
	Steps: do("Fix the secret reference, or what it names; keyrounds reads it again at the next check. To see it now: " +
		"keyrounds check -v NAME"),
	Alert: "KeyroundsSecretUnreadable", Page: "security.md",
}

var unverifiable = Entry{
	Kind: Unverifiable, Severity: Warning,
	Means: "For verdict.unverifiable_after no answer said anything of the credential, or of most of a provider's; " +
		"or no provider was reached.",
	Effect: does("A revocation would not be noticed meanwhile. Every status stays as it was."),
	Says: func(f Finding) string {
		switch {
		case f.Subject == Subject{}:
			return "cannot reach any provider"
		case f.Subject.Credential == "":
			return "gives no certain answer for " + Plural(len(f.Evidence.Affected), "credential")
		}
		return "cannot be verified"
	},
	Was: "could not be verified", Many: says("cannot be verified"),
	Steps: func(f Finding, name string) []string {
		switch {
		case f.Subject == Subject{}:
			return []string{"Look at this machine's network, DNS and proxy."}
		case f.Subject.Credential == "":
			return []string{"Look at the provider, and at the way to it. What keyrounds sees: keyrounds check -v NAME"}
		}
		return []string{"See why the provider gives no certain answer: keyrounds check -v " + name}
	},
	Alert: "KeyroundsCredentialNotVerified", Page: "verdicts.md",
}

var flapping = Entry{
	Kind: Flapping, Severity: Warning,
	Means:  "The credential changed four times in an hour between accepted and refused.",
	Effect: does("What uses it works and fails in turn.", "What uses them works and fails in turn."),
	Says:   says("is accepted and refused in turn"),
	Was:    "was accepted and refused in turn", Many: says("are accepted and refused in turn"),
	Steps: do("Look for two parties that change the secret, or a provider whose nodes disagree. The answers: keyrounds check -v NAME"),
	Page:  "verdicts.md",
}

var providerIncident = Entry{
	Kind: ProviderIncident, Severity: Critical,
	Means: "Many credentials of a provider, or behind one token endpoint, that worked were refused at about the same time.",
	Effect: func(f Finding, _ int) string {
		return "Whoever uses them " + f.About.loses() + ". No credential is blamed alone while this lasts."
	},
	Says: func(f Finding) string {
		n := Plural(len(f.Evidence.Affected), "credential")
		if all := f.Evidence.PeersTotal; all >= len(f.Evidence.Affected) && all > 1 {
			n = fmt.Sprintf("%d of %d credentials", len(f.Evidence.Affected), all)
		}
		if len(f.Evidence.Providers) > 1 {
			return "refuse " + n + " at once; they share a server"
		}
		return "refuses " + n + " at once"
	},
	Was: "refused many credentials at once", Many: says("refuse many credentials at once"),
	Steps: do(
		"Look at the provider first: its status page, its administrators. Then at what changed here: proxy, clock, token_url, "+
			"a secret store.",
		"keyrounds goes on trying them in turn, and all as soon as one is accepted. To try one now: keyrounds check NAME",
	),
	Sample: ofProvider(func(f *Finding, _ time.Time) {
		f.Evidence.Affected, f.Evidence.PeersTotal = []string{"sample-one", "sample-two", "sample-three"}, 4
	}),
	Alert: "KeyroundsProviderIncident", Page: "verdicts.md",
}

var providerDown = Entry{
	Kind: ProviderDown, Severity: Critical,
	Means:  "For verdict.provider_down_after nobody whom the provider was asked for got a certain answer.",
	Effect: does("Nobody gets a new token there. Tokens that were issued work until they end. No credential is blamed."),
	Says:   says("gives nobody a token"),
	Was:    "gave nobody a token", Many: says("give nobody a token"),
	Steps: do("Look at the provider's status page, and at the way to it. What keyrounds sees: keyrounds check -v NAME"),
	Sample: ofProvider(func(f *Finding, _ time.Time) {
		f.Evidence.Affected = []string{"sample-one", "sample-two", "sample-three"}
		f.Evidence.Outcome, f.Evidence.HTTPStatus = "provider_error", 503
	}),
	Alert: "KeyroundsProviderDown", Page: "verdicts.md",
}

var fallingBehind = Entry{
	Kind: FallingBehind, Severity: Warning,
	Means:  "At a provider whole checks are left out: its schedules ask for more than is possible.",
	Effect: does("Its credentials are checked less often than their schedules say, so a revocation is noticed later."),
	Says:   says("is asked for more checks than are possible"),
	Was:    "was asked for more checks than were possible", Many: says("are asked for more checks than are possible"),
	Steps: do(
		"Raise concurrency or rate of the provider in the configuration, if it bears that, or lengthen the schedules of its credentials. "+
			"They add up in: keyrounds config check",
		"If neither limits it: look at the provider's latency, at the database, and whether enough replicas run.",
	),
	Sample: ofProvider(func(f *Finding, _ time.Time) {
		f.Evidence.Message = "Its schedules ask for 166.7 checks a second, and 50.0 are possible (concurrency 4 at 80 ms a check allows " +
			"50.0 a second, rate allows 1000.0 a second). What would do: concurrency 15, if the provider bears " +
			"that; or schedules 3.4 times as long. This is a test of keyrounds, nothing happened."
	}),
	Alert: "KeyroundsFallingBehind", Page: "operations.md",
}

var lifetimeShrunk = Entry{
	Kind: LifetimeShrunk, Severity: Info,
	Means:  "Tokens live at most half as long as they used to, twice in a row.",
	Effect: does("Whoever keeps tokens for as long as before uses some that have ended."),
	Says: func(f Finding) string {
		return fmt.Sprintf("gets tokens that live %s, before it was %s", Span(f.Evidence.TokenLife), Span(f.Evidence.UsualLife))
	},
	Was: "got tokens that lived shorter", Many: says("get tokens that live shorter than before"),
	Steps:  do("Ask the provider's administrators what changed. Whoever keeps tokens must get new ones sooner."),
	Sample: func(f *Finding, _ time.Time) { f.Evidence.TokenLife, f.Evidence.UsualLife = 10*time.Minute, time.Hour },
	Page:   "verdicts.md",
}

var receiverFailing = Entry{
	Kind: ReceiverFailing, Severity: Critical,
	Means:  "A receiver of messages takes none.",
	Effect: does("People are not told there of what is found, until this is fixed. Nothing is lost: what waits is sent then."),
	Says: func(f Finding) string {
		return "cannot tell people: " + join(f.Evidence.Affected) + " takes no messages"
	},
	Was: "could not tell people", Many: says("cannot tell people"),
	Steps:  do("See what waits, and why: keyrounds notifications. When it is fixed, try it: keyrounds notify test"),
	Sample: func(f *Finding, _ time.Time) { f.Subject, f.Evidence.Affected = Subject{}, []string{"sample-receiver"} },
	Alert:  "KeyroundsNotificationsFailing", Page: "notifications.md",
}

var reloadFailed = Entry{
	Kind: ReloadFailed, Severity: Warning,
	Means:  "The configuration file was changed, and the new one could not be taken.",
	Effect: does("The old configuration stays in force, whole: what was changed has no effect."),
	Says:   says("has not taken the new configuration"),
	Was:    "had not taken a new configuration", Many: says("have not taken the new configuration"),
	Steps: do("See what is wrong with it: keyrounds config check. It is read again when it changes."),
	Sample: func(f *Finding, _ time.Time) {
		f.Subject = Subject{}
		f.Evidence.Message = "config.yaml:14:7: unknown key “secrte”. This is a test of keyrounds, nothing happened"
	},
	Alert: "KeyroundsReloadFailed", Page: "operations.md",
}

// storageFailing is told without the database, and is never in it.
var storageFailing = Entry{
	Kind: StorageFailing, Severity: Critical,
	Means: "For two minutes nothing could be written to the database, or results of checks waited to be stored.",
	Effect: does("A revocation would not be noticed: no credential is checked, or what checks find is lost after five minutes. " +
		"Statuses, findings and reports stand still."),
	Says: says("cannot store anything"),
	Was:  "could not store anything", Many: says("cannot store anything"),
	Steps: do("Look at the database: its disk, its log, whether it takes writes. See that it goes on: keyrounds ready"),
	Sample: func(f *Finding, _ time.Time) {
		f.Subject = Subject{}
		f.Evidence.Message = "a host: database: could not extend file: No space left on device. " +
			"This is a test of keyrounds, nothing happened"
	},
	Alert: "KeyroundsDatabaseErrors", Page: "reliability.md",
}

// ofProvider makes a sample one of the provider as a whole.
func ofProvider(fill func(*Finding, time.Time)) func(*Finding, time.Time) {
	return func(f *Finding, now time.Time) {
		f.Subject.Credential = ""
		fill(f, now)
	}
}
