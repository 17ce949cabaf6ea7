package checker

import (
	"regexp"
	"slices"
	"strings"

	"github.com/keyrounds/keyrounds/credential"
)

// scopesOf reads a scope member: a string with blanks or commas between, or an array of strings.
// nil: there is no such member, which means as requested; empty: nothing was granted.
func scopesOf(v any) []string {
	switch v := v.(type) {
	case string:
		return normalScopes(strings.FieldsFunc(v, func(r rune) bool { return r == ' ' || r == ',' || r == '\t' || r == '\n' || r == '\r' }))
	case []any:
		var all []string
		for _, e := range v {
			if s, ok := e.(string); ok {
				all = append(all, strings.Fields(s)...)
			}
		}
		return normalScopes(all)
	}
	return nil
}

// normalScopes sorts, drops doubles, and never returns nil.
func normalScopes(s []string) []string {
	if len(s) == 0 {
		return []string{}
	}
	s = slices.Clone(s)
	slices.Sort(s)
	return slices.Compact(s)
}

// without returns the scopes of a that are not in b, as written (RFC 6749 §3.3: case counts).
func without(a, b []string) []string {
	var left []string
	for _, s := range a {
		if !slices.Contains(b, s) {
			left = append(left, s)
		}
	}
	return left
}

// compare sets what is granted against what is declared. nil for granted: not said, which means as
// requested (RFC 6749 §5.1); no declared ones: nothing is known to compare with.
func (r *Reading) compare(granted, declared []string) {
	r.Granted = granted
	if granted == nil {
		return
	}
	r.Missing = slices.DeleteFunc(without(declared, granted), func(s string) bool { return isDefault(s) && len(granted) > 0 })
	if len(declared) > 0 && !slices.ContainsFunc(declared, isDefault) {
		r.Extra = without(granted, declared)
	}
	if len(r.Missing) > 0 {
		r.Outcome, r.Rule, r.Message = ScopeReduced, "granted scopes (RFC 6749 §3.3)", ""
		r.Message = explainReading(*r)
	}
}

// goodWords begin what a provider says of other scopes than those that it refuses, unless they are negated.
var goodWords = regexp.MustCompile(`(?i)(\b(?:not|cannot be|never|n't) |in|un|dis)?(allowed|valid|available|supported|permitted)\b`)

// refusedOf returns the declared scopes that the words about a refusal name, in the order of declared.
func refusedOf(description string, declared []string) (refused []string) {
	for _, m := range goodWords.FindAllStringSubmatchIndex(description, -1) {
		if m[2] < 0 {
			description = description[:m[0]]
			break
		}
	}
	words := map[string]bool{}
	between := func(r rune) bool { return strings.ContainsRune(" \t\n\"'`\\,;“”‘’«»()[]{}<>", r) }
	for _, word := range strings.FieldsFunc(description, between) {
		words[word], words[strings.TrimRight(word, ".:!?")] = true, true
	}
	for _, scope := range declared {
		if words[scope] {
			refused = append(refused, scope)
		}
	}
	return refused
}

// isDefault: a scope of Microsoft Entra that stands for whatever was consented to.
func isDefault(scope string) bool { return strings.HasSuffix(scope, "/.default") }

// unproven fills in Unproven. What was requested and is not spoken of was granted (RFC 6749 §5.1); what was not even
// requested is only declared.
func (r *Result) unproven(p Provider, cred credential.Credential) {
	if r.Outcome != OK || r.Granted != nil || p.RequestScopes {
		return
	}
	tried := func(scope string) bool {
		return slices.ContainsFunc(r.Probes, func(pr ProbeResult) bool { return pr.Scope == scope && pr.Verdict == ProbeOK })
	}
	if r.Unproven = slices.DeleteFunc(slices.Clone(cred.Scopes), tried); len(r.Unproven) > 0 {
		r.Message += "; scopes not proven: " + strings.Join(r.Unproven, " ")
	}
}
