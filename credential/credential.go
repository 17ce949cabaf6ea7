// Package credential says what a credential is: its fields, scopes and schedule, and what makes
// them valid.
//
// It reads and stores nothing.
package credential

import (
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/keyrounds/keyrounds/secret"
)

// Source says who named a credential. It is stored and shown as written here.
type Source string

// The sources. A credential of the file is changed in the file only.
const (
	FromFile    Source = "file"
	FromCommand Source = "command"
)

// Credential is a registered client of a provider. Validate says what of it may be. It holds no secret in the clear,
// and may be copied; Scopes, Labels, ExpectedNetworks and Sealed are then shared.
type Credential struct {
	ID               int64             // given by the registry
	Name             string            // [a-z0-9][a-z0-9-]*, at most 63 characters, unique
	Provider         string            // the provider's name in the configuration
	Subject          string            // who it is at the provider: its client id (RFC 6749 §2.2), what its log calls a key, or ""
	KeyID            string            // which of the client's keys it is, as the provider's log names it; "": not said
	Secret           secret.Reference  // where the client secret is
	KeyPassphrase    secret.Reference  // what opens the key that is the secret; zero: it is not encrypted
	Description      string            // free text, at most 500 characters
	Scopes           []string          // declared: what its users need (RFC 6749 §3.3)
	Owner            string            // team or person
	Labels           map[string]string // keys as Prometheus label names
	Schedule         string            // cron, see ParseSchedule
	UnusedAfter      time.Duration     // how long without use makes it unused
	MaxAge           time.Duration     // how old the secret may become; 0: no limit
	Created          time.Time         // when the provider made it; zero: not known
	Expires          time.Time         // when it ends by itself, as people said; zero: not said. See End
	Canary           bool              // nobody may ever use it
	ExpectedNetworks []netip.Prefix    // where its use comes from; none: anywhere

	Source     Source    // given by the registry, like all that follows
	Registered time.Time // when keyrounds first had it
	Changed    time.Time // when client id, provider or secret last changed here
	Retired    time.Time // zero: active
	NextCheck  time.Time // when it is due
	NextWhy    string    // why then, in words; "": as scheduled
	Sealed     []byte    // the sealed secret, for the reference sealed:
}

// Problem is one thing that is wrong with a credential.
type Problem struct {
	Field   string // as in the configuration, "labels.env" for a part
	Message string
	Hint    string // what to do; may be empty
}

var (
	namePattern  = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
	labelPattern = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]{0,62}$`)
)

// ValidName reports whether s can name a credential or a provider: 1 to 63 lower-case letters, digits and hyphens,
// not beginning with a hyphen.
func ValidName(s string) bool { return namePattern.MatchString(s) }

// ValidLabel reports whether s can be the key of a label: as Prometheus names labels, at most 63 characters, not
// beginning with two underscores, which Prometheus keeps for itself.
func ValidLabel(s string) bool { return labelPattern.MatchString(s) && !strings.HasPrefix(s, "__") }

// NoClientID says that a client id is none.
var NoClientID = Problem{
	Field: "client_id", Message: "not a valid client id",
	Hint: "1 to 512 ASCII characters, as the provider shows it (RFC 6749 appendix A.1), no blank at either end",
}

// Validate returns all that is wrong with c, nil where nothing is. It looks neither at the provider, which says whether there must be
// a client id, nor at other credentials, and not at what the registry gives.
func (c Credential) Validate() []Problem {
	var ps []Problem
	add := func(field, hint, format string, args ...any) {
		ps = append(ps, Problem{field, fmt.Sprintf(format, args...), hint})
	}
	if !ValidName(c.Name) {
		add("name", "lower-case letters, digits and hyphens, at most 63, not beginning with a hyphen", "%q is not a valid name", c.Name)
	}
	if !ValidName(c.Provider) {
		add("provider", "the name of one of the providers", "%q is not a provider's name", c.Provider)
	}
	if c.Subject != "" && !validClientID(c.Subject) {
		ps = append(ps, NoClientID)
	}
	if c.Secret.IsZero() {
		add("secret", "for example env:NAME or file:/path", "is missing")
	}
	if c.Secret == secret.Sealed && !c.KeyPassphrase.IsZero() {
		add(
			"key_passphrase",
			"keyrounds credentials rotate --key-passphrase opens it once",
			"a sealed key is not encrypted with a passphrase",
		)
	} else if c.KeyPassphrase == secret.Sealed {
		add("key_passphrase", "for example env:NAME or file:/path", "a passphrase is never sealed here")
	}
	for field, text := range map[string]string{"description": c.Description, "owner": c.Owner, "key_id": c.KeyID} {
		if !plainText(text, 500) {
			add(field, "at most 500 characters of one line", "%s", notPlain(text, 500))
		}
	}
	for i, s := range c.Scopes {
		if !ValidScope(s) {
			add(fmt.Sprintf("scopes.%d", i), "one scope an entry, without blanks (RFC 6749 §3.3)", "%q is not a scope", s)
		} else if slices.Index(c.Scopes, s) != i {
			add(fmt.Sprintf("scopes.%d", i), "", "the scope %q is given twice", s)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(c.Labels)) {
		if !ValidLabel(k) {
			add("labels."+k, "letters, digits and underscores, not beginning with a digit or two underscores", "%q is not a label name", k)
		} else if !plainText(c.Labels[k], 200) {
			add("labels."+k, "at most 200 characters of one line", "%s", notPlain(c.Labels[k], 200))
		}
	}
	if _, err := ParseSchedule(c.Schedule, time.UTC); err != nil {
		add("schedule", ScheduleHint, "%v", err)
	}
	if c.UnusedAfter < 0 {
		add("unused_after", "", "is negative")
	}
	if !c.Expires.IsZero() && c.Expires.Before(c.Created) {
		add("expires", "", "is before created")
	}
	if c.MaxAge < 0 {
		add("max_age", "", "is negative")
	}
	return ps
}

// ValidScope reports whether s is one scope-token of RFC 6749 §3.3, of at most 256 characters.
func ValidScope(s string) bool {
	return visible(s, 256) && !strings.ContainsAny(s, `"\`)
}

// validClientID: VSCHAR of RFC 6749 appendix A.1, the blank among them; one at an end is a mistake of copying.
func validClientID(s string) bool {
	return visible(strings.ReplaceAll(s, " ", "_"), 512) && strings.TrimSpace(s) == s
}

// visible: VSCHAR of RFC 6749 appendix A, without the blank.
func visible(s string, most int) bool {
	return s != "" && len(s) <= most && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// notPlain says why a text is not plainText.
func notPlain(s string, most int) string {
	if n := utf8.RuneCountInString(s); n > most {
		return fmt.Sprintf("has %d characters", n)
	}
	return "is not plain text"
}

func plainText(s string, most int) bool {
	return utf8.ValidString(s) && utf8.RuneCountInString(s) <= most &&
		!strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) })
}
