package access

import (
	"fmt"
	"slices"
)

// Visit is who sent a request, and by what he was known.
type Visit struct {
	Who
	Shown     string // his name, as pages show it
	Person    int64  // 0: nobody of the table of people
	Session   int64  // 0: not by a cookie
	Token     int64  // 0: not by a token
	Local     bool   // he has a password here
	Temporary bool   // he must choose another one first
}

// actorOf names a person in the record. Two are never named alike: a local name has no parentheses, and nobody but keyrounds writes what
// stands in the last ones.
func (a *Access) actorOf(p Person) string {
	if p.Local() {
		return "user " + p.Name
	}
	for _, i := range a.Settings().Issuers {
		if i.URL == p.Issuer {
			return fmt.Sprintf("user %s (%s)", p.Name, i.Name)
		}
	}
	return fmt.Sprintf("user %s (%s)", p.Name, p.Issuer)
}

// Covers reports whether somebody may do all that a grant lets its holder do, and see all that it shows.
func (w Who) Covers(g Grant) bool {
	other := Who{Role: g.Role, Owners: g.Owners}
	for _, d := range []Deed{Enter, Scan, See, Respond, Decide, Administer} {
		if other.May(d) && !w.May(d) {
			return false
		}
	}
	if w.Role != Owner {
		return true
	}
	return g.Role == Owner && !slices.ContainsFunc(g.Owners, func(o string) bool { return !slices.Contains(w.Owners, o) })
}
