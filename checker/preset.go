package checker

import (
	"embed"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/goccy/go-yaml"
	"golang.org/x/time/rate"

	"github.com/keyrounds/keyrounds/credential"
)

//go:embed presets/*.yaml
var presetFiles embed.FS

// Generic is the preset of a provider that names none. Its matchers are tried after those of
// every other preset.
const Generic = "generic"

// Preset is what is known of a kind of provider: a data file in checker/presets.
type Preset struct {
	Name    string      `yaml:"-"`
	Title   string      `yaml:"title"`
	Docs    string      `yaml:"docs"`    // where the facts are from
	Console string      `yaml:"console"` // where a person revokes a credential
	Check   CheckEffect `yaml:"check"`
	// RefusesFor are what it refuses a client for in the same words as one that was revoked, half a sentence each.
	RefusesFor []string       `yaml:"refuses_for"`
	Provider   PresetProvider `yaml:"provider"`
	Matchers   []Matcher      `yaml:"matchers"`
}

// CheckEffect is what a check does at the provider, apart from showing how a credential is. The
// scheduler keeps to MinInterval, and `config check` says the rest.
type CheckEffect struct {
	Cost        string   `yaml:"cost"`         // in a sentence; "": none is known
	PerThousand float64  `yaml:"per_thousand"` // US dollars for 1000 tokens; 0: nothing, or not known
	Quota       int      `yaml:"quota"`        // tokens a month that the usual plans include; 0: not known
	Limits      string   `yaml:"limits"`       // of requests, shared with production
	LockOut     string   `yaml:"lock_out"`     // what refused exchanges can lead to
	Lockout     Lockout  `yaml:"lockout"`      // how many of them it bears
	Evicts      string   `yaml:"evicts"`       // which live tokens a new one pushes out
	MinInterval Interval `yaml:"min_interval"` // between two scheduled checks of a credential
	Source      string   `yaml:"source"`       // where these facts are from
}

// String says what a check costs, which limits it counts against, what it can lock out and which tokens it evicts,
// parts that are not known left out; "" where none is known. PerThousand, Quota, MinInterval and Source are not in
// it.
func (e CheckEffect) String() string {
	var parts []string
	for _, text := range []string{e.Cost, e.Limits, e.LockOut, e.Evicts} {
		if text != "" {
			parts = append(parts, text)
		}
	}
	return strings.Join(parts, "; ")
}

// Interval is a duration as the configuration writes it.
type Interval struct{ time.Duration }

// UnmarshalText reads 90d, 12h, 2m, as credential.ParseDuration does.
func (i *Interval) UnmarshalText(b []byte) (err error) {
	i.Duration, err = credential.ParseDuration(string(b))
	return err
}

// PresetProvider holds the values that Provider.Complete fills in where the configuration gives none.
type PresetProvider struct {
	Kind           Kind              `yaml:"kind"`
	Key            Key               `yaml:"api_key"`
	TokenURL       string            `yaml:"token_url"`
	AuthMethod     string            `yaml:"auth_method"`
	GrantType      string            `yaml:"grant_type"`
	Assertion      Assertion         `yaml:"assertion"`
	RequestHeaders map[string]string `yaml:"request_headers"`
	Response       map[string]JQ     `yaml:"response"`
	Headers        map[string]string `yaml:"response_headers"`
	Concurrency    int               `yaml:"concurrency"`
	Rate           presetRate        `yaml:"rate"`
	Probes         []presetProbe     `yaml:"probes"`
}

type presetProbe struct {
	Scope  string `yaml:"scope"`
	Get    string `yaml:"get"`
	Expect []int  `yaml:"expect"`
	JQ     JQ     `yaml:"jq"`
}

type presetRate struct{ rate.Limit }

func (r *presetRate) UnmarshalText(b []byte) (err error) {
	r.Limit, err = ParseRate(string(b))
	return err
}

// Matcher refines the reading of an error answer. Every condition that is given must hold; the first matcher that
// fits decides. It never sees an answer with a usable token, nor one that a provider's trouble or a proxy explains
// (rule 1 of Classify).
type Matcher struct {
	Status      []int    `yaml:"status"`      // any of these HTTP statuses
	Error       []string `yaml:"error"`       // any of these error codes; "" fits an answer without one
	Code        []string `yaml:"code"`        // any of these numbers in error_codes
	Description Pattern  `yaml:"description"` // found in the description, case ignored
	Outcome     Outcome  `yaml:"outcome"`
	Reason      Reason   `yaml:"reason"`
	rule        string
}

// generic reports whether m is of the preset that is for every provider.
func (m Matcher) generic() bool { return strings.HasPrefix(m.rule, "preset "+Generic) }

// Pattern is a regular expression (RE2) that ignores case. The zero Pattern is no condition.
type Pattern struct{ *regexp.Regexp }

// UnmarshalText compiles b; an error is that of package regexp.
func (p *Pattern) UnmarshalText(b []byte) (err error) {
	p.Regexp, err = regexp.Compile("(?i)" + string(b))
	return err
}

// Validate returns all that is wrong with m, nil where nothing is: no condition at all, an outcome that an error
// answer cannot have, or a reason that does not go with it. The fields are as in the configuration.
func (m Matcher) Validate() []credential.Problem {
	var ps []credential.Problem
	add := func(field, hint, format string, args ...any) {
		ps = append(ps, credential.Problem{Field: field, Message: fmt.Sprintf(format, args...), Hint: hint})
	}
	if len(m.Status)+len(m.Error)+len(m.Code) == 0 && m.Description.Regexp == nil {
		add("outcome", "at least one of status, error, code, description", "the matcher fits every answer")
	}
	if !slices.Contains(Outcomes(), m.Outcome) || m.Outcome.HasToken() {
		add("outcome", OneOf(Outcomes()[2:]), "%q is not what an error answer can be", m.Outcome)
	}
	reasons := []Reason{UnknownClient, BadSecret, ExpiredSecret, Disabled, Unspecified}
	if m.Outcome == Rejected && m.Reason != "" && !slices.Contains(reasons, m.Reason) || m.Outcome != Rejected && m.Reason != "" {
		add("reason", OneOf(reasons)+", with the outcome rejected", "%q is not a reason of %s", m.Reason, m.Outcome)
	}
	return ps
}

func (m Matcher) fits(a answer) bool {
	return (len(m.Status) == 0 || slices.Contains(m.Status, a.status)) &&
		(len(m.Error) == 0 || slices.Contains(m.Error, a.code)) &&
		(len(m.Code) == 0 || slices.Contains(m.Code, a.subcode)) &&
		(m.Description.Regexp == nil || m.Description.MatchString(a.description))
}

var presets = sync.OnceValue(func() map[string]Preset {
	all := map[string]Preset{}
	files, _ := presetFiles.ReadDir("presets")
	for _, f := range files {
		b, _ := presetFiles.ReadFile(path.Join("presets", f.Name()))
		var p Preset
		if err := yaml.UnmarshalWithOptions(b, &p, yaml.Strict()); err != nil {
			panic(fmt.Sprintf("checker/presets/%s: %v", f.Name(), err)) // a test loads all of them
		}
		p.Name = strings.TrimSuffix(f.Name(), ".yaml")
		for i := range p.Matchers {
			p.Matchers[i].rule = fmt.Sprintf("preset %s, matcher %d", p.Name, i+1)
		}
		all[p.Name] = p
	}
	return all
})

// Presets lists the presets, sorted by name. Its callers must not change what they share: the matchers and probes.
func Presets() []Preset {
	var ps []Preset
	for _, p := range presets() {
		ps = append(ps, p)
	}
	slices.SortFunc(ps, func(a, b Preset) int { return strings.Compare(a.Name, b.Name) })
	return ps
}

// FindPreset returns the preset of that name; "" is Generic. A name that there is not is an error, of no type of its
// own.
func FindPreset(name string) (Preset, error) {
	if name == "" {
		name = Generic
	}
	p, ok := presets()[name]
	if !ok {
		return Preset{}, fmt.Errorf("unknown preset %q", name)
	}
	return p, nil
}
