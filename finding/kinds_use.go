package finding

import (
	"slices"
	"strings"
	"time"
)

// The kinds about how a credential is used, kept and owned.

var unused = Entry{
	Kind: Unused, Severity: Info,
	Means: "Nobody used the credential for unused_after, and its feeds watched all that time.",
	Says: func(f Finding) string {
		if n := f.Evidence.DaysUnused; n > 0 {
			return "has not been used for " + Plural(n, "day")
		}
		return "is not used"
	},
	Over: "is no longer unused", Many: says("are not used"),
	Steps: atConsole(do("Ask the owner, then revoke it at the provider. The plan for it: keyrounds usage show NAME")),
	Sample: func(f *Finding, now time.Time) {
		f.Evidence.LastUsed, f.Evidence.DaysUnused = now.AddDate(0, 0, -120), 120
		f.Evidence.Coverage = "90 of 90 days (sample-feed)"
	},
	Alert: "KeyroundsUnusedRising", Page: "usage.md",
}

var neverUsed = Entry{
	Kind: NeverUsed, Severity: Info,
	Means: "Nobody ever used the credential, and its feeds watched for unused_after at least.",
	Says:  says("was never used"),
	Over:  "is no longer unused", Many: says("were never used"),
	Steps: atConsole(do("Ask the owner, then revoke it at the provider. The plan for it: keyrounds usage show NAME")),
	Alert: "KeyroundsUnusedRising", Page: "usage.md",
}

var unusedScopes = Entry{
	Kind: UnusedScopes, Severity: Info,
	Means: "The credential has scopes that nobody used, and its feeds show scopes.",
	Says: func(f Finding) string {
		return "has scopes that nobody uses: " + strings.Join(f.Evidence.UnusedScopes, " ")
	},
	Over: "no longer has scopes that nobody uses", Many: says("have scopes that nobody uses"),
	Steps:  atConsole(do("Ask the owner, then make a credential without them, and take them out of its scopes in keyrounds.")),
	Sample: func(f *Finding, _ time.Time) { f.Evidence.UnusedScopes = []string{"sample_write"} },
	Page:   "usage.md",
}

var unpresented = Entry{
	Kind: Unpresented, Severity: Info,
	Means: "Somebody gets tokens with the credential, and no feed shows that they are presented anywhere.",
	Says:  says("gets tokens that nobody presents"),
	Was:   "got tokens that nobody presented", Many: says("get tokens that nobody presents"),
	Steps: do("Find out who gets tokens and does nothing with them: keyrounds usage show NAME"),
	Page:  "usage.md",
}

var unexpectedUse = Entry{
	Kind: UnexpectedUse, Severity: Warning,
	Means:  "A use came from outside of expected_networks.",
	Effect: does("Somebody may have the secret who should not."),
	Says:   says("is used from an unexpected network"),
	Was:    "was used from an unexpected network", Many: says("are used from unexpected networks"),
	Steps: func(f Finding, name string) []string {
		return []string{
			"Ask the owner whether that network is theirs. If it is: add it to expected_networks. " +
				"If it is not: make a new secret at the provider, and store it" + f.About.store(name, ""),
			"Its use: keyrounds usage show " + name,
		}
	},
	Sample: someUse,
	Alert:  "KeyroundsCredentialMisused", Page: "usage.md",
}

var usedAfterRevocation = Entry{
	Kind: UsedAfterRevocation, Severity: Critical,
	Means: "The credential, or a secret of it, has ended, and somebody still uses it or tries to.",
	Effect: func(f Finding, n int) string {
		if f.Severity == Info {
			return "Nothing is let in: each use was refused."
		}
		return pick(n, "It still works somewhere: whoever has it is let in.", "They still work somewhere: whoever has one is let in.")
	},
	Says: func(f Finding) string {
		switch {
		case f.Severity == Info:
			return "has ended, and someone still tries it in vain"
		case slices.ContainsFunc(f.Evidence.Uses, func(u Use) bool { return !u.Known }):
			return "has ended, and someone new uses it"
		}
		return "has ended, and a forgotten job still uses it"
	},
	Was: "was tried after its end", Many: says("have ended, and are still tried"),
	Steps: do(
		"If the network is known, find the job and stop it. If it is not, take the secret for leaked.",
		"Its use: keyrounds usage show NAME",
	),
	Sample: someUse,
	Alert:  "KeyroundsCredentialMisused", Page: "usage.md",
}

var canaryTripped = Entry{
	Kind: CanaryTripped, Severity: Critical,
	Means:  "A canary, which nobody may ever use, was used.",
	Effect: does("Somebody has been where it was planted, and has what they found there."),
	Says:   says("is a canary, and was used: somebody has what only a thief can have"),
	Over:   "is a canary, and was used", Many: says("are canaries, and were used: somebody has what only a thief can have"),
	Steps: atConsole(func(f Finding, name string) []string {
		return []string{
			"Take the place where it was planted for breached. Look where the address leads.",
			"Then make a new canary, and store its secret" + f.About.store(name, ""),
		}
	}),
	Sample: someUse,
	Alert:  "KeyroundsCredentialMisused", Page: "usage.md",
}

func someUse(f *Finding, now time.Time) {
	f.Evidence.Uses = []Use{{Network: "192.0.2.0/24", Address: "192.0.2.66", UserAgent: "curl/8.5.0", First: now, Last: now, Uses: 1}}
}

var orphaned = Entry{
	Kind: Orphaned, Severity: Info,
	Means: "Nobody is named as the owner, though others' owners are.",
	Says:  says("has no owner"),
	Over:  "has an owner", Many: says("have no owner"),
	Steps: do("Name who answers for it: owner of the credential in the configuration, or keyrounds credentials edit NAME --owner."),
	Page:  "usage.md",
}

var staleSecret = Entry{
	Kind: StaleSecret, Severity: Info,
	Means: "The secret is older than max_age.",
	Says:  says("has a secret that is too old"),
	Over:  "no longer has a secret that is too old", Many: says("have secrets that are too old"),
	Steps: atConsole(func(f Finding, name string) []string {
		return []string{"Make a new secret at the provider, and store it" + f.About.store(name, "")}
	}),
	Page: "usage.md",
}

var expiring = Entry{
	Kind: Expiring, Severity: Warning,
	Means: "The credential ends by itself soon: its certificate, its key, or as the provider or expires says.",
	Effect: func(f Finding, n int) string {
		if f.Evidence.Ahead == 0 {
			return pick(n, "It should have ended by now; the provider may refuse it at any time.",
				"They should have ended by now; the provider may refuse them at any time.")
		}
		return pick(n, "The provider refuses it from then on.", "The provider refuses each from its end on.")
	},
	Says: func(f Finding) string {
		if f.Evidence.Ahead == 0 {
			return "should have ended on " + day(f.Evidence.ExpiresAt)
		}
		return "ends on " + day(f.Evidence.ExpiresAt)
	},
	Over: "does not end soon any more", Many: says("end soon"),
	Steps: atConsole(func(f Finding, name string) []string {
		flags, list := "--expires DATE", []string{}
		if f.About.InFile {
			flags, list = "", []string{"Write the new end into the configuration file: expires of the credential."}
		}
		return append([]string{"Make a new one in time, give it to those who use it, and store it" + f.About.store(name, flags)}, list...)
	}),
	Sample: func(f *Finding, now time.Time) {
		f.Evidence.ExpiresAt, f.Evidence.ExpiresBy, f.Evidence.Ahead = now.AddDate(0, 0, 7), "certificate", 7*24*time.Hour
	},
	Alert: "KeyroundsCredentialExpiring", Page: "verdicts.md",
}

var leaked = Entry{
	Kind: Leaked, Severity: Critical,
	Means: "There is evidence that a secret of the credential got out.",
	Effect: func(f Finding, n int) string {
		if l := f.Evidence.Leak; l != nil && l.Works != nil && !*l.Works {
			return pick(n, "The provider refuses it now; what was done with it before stays done.",
				"The provider refuses them now; what was done with them before stays done.")
		}
		return "Whoever has the secret can do what the credential may do."
	},
	Says: func(f Finding) string {
		switch l := f.Evidence.Leak; {
		case l == nil || l.Works == nil:
			return "has a secret that got out"
		case *l.Works:
			return "has a secret that got out, and it works"
		}
		return "has a secret that got out; it is refused now"
	},
	Over: "had a secret that got out", Many: says("have secrets that got out"),
	Steps: atConsole(func(f Finding, name string) []string {
		l := f.Evidence.Leak
		switch {
		case l != nil && !l.Replaced.IsZero() && l.Unknown:
			return []string{
				"Revoke the old secret at the provider, if that is not done.",
				"Prove that it is dead, with the old secret at hand: keyrounds leaks verify " + name,
			}
		case l != nil && !l.Replaced.IsZero():
			return []string{
				"Revoke the old secret at the provider, if that is not done.",
				"keyrounds tries it until it is proven dead. To watch that: keyrounds leaks verify " + name,
			}
		}
		return []string{
			"Make a new credential at the provider, and store it" + f.About.store(name, "--verify-revoked"),
			"Give it to those who use it, then revoke the old one at the provider: what leaked stays leaked, also where it is deleted.",
			"Who used it meanwhile: keyrounds usage show " + name,
		}
	}),
	Sample: func(f *Finding, now time.Time) {
		yes, no := true, false
		f.Evidence.Leak = &Leak{
			Confidence: "certain: the secret itself was found", Works: &yes, WorksAt: now, Proven: []string{"sample_read"}, Total: 1,
			Sightings: []Sighting{{
				At: now.AddDate(0, -2, 0), Seen: now, How: "scan", What: "the secret was found", Source: "/srv/git/sample.git",
				Path: "deploy/sample.env", Line: 3, Commit: "0123456789abcdef0123456789abcdef01234567", InHead: &no, Encoding: "plain",
			}},
		}
	},
	Alert: "KeyroundsCredentialMisused", Page: "leaks.md",
}
