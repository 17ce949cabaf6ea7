package verdict

import (
	"encoding/hex"
	"slices"
	"time"

	"github.com/keyrounds/keyrounds/finding"
)

// excess: more is granted than declared, at two exchanges in a row.
func (j *judgement) excess() {
	extra := j.result.Extra
	switch {
	case len(extra) > 0 && slices.Equal(extra, j.ExtraScopes):
		j.open(finding.ScopeExcess, finding.Evidence{Scopes: finding.Scopes{ExtraScopes: extra}})
	case len(extra) == 0 && len(j.ExtraScopes) > 0:
		j.resolve(finding.ScopeExcess, "no more is granted than declared")
	}
	j.ExtraScopes = extra
}

// newLifeAfter is how long a shorter lifetime lasts until it is the usual one.
const newLifeAfter = 7 * 24 * time.Hour

// lifetime notices tokens that live at most half as long as they used to, twice in a row: a policy
// changed, or someone prepares to take the credential away. A provider that hands out the same token
// again counts its life down, which is nothing.
func (j *judgement) lifetime() {
	life, token := j.result.ExpiresIn, ""
	if h := j.result.Trail.TokenHash; len(h) >= 8 {
		token = hex.EncodeToString(h[:8])
	}
	again := token == j.Token
	j.Token = token
	if life <= 0 || again {
		return
	}
	switch {
	case 2*life > j.TokenLife:
		if !j.ShorterSince.IsZero() {
			j.ShorterSince = time.Time{}
			j.resolve(finding.LifetimeShrunk, "tokens live as long as before")
		}
		j.TokenLife = max(j.TokenLife, life)
	case j.ShorterSince.IsZero():
		j.ShorterSince = j.result.At
	case j.result.At.Sub(j.ShorterSince) >= newLifeAfter:
		j.ShorterSince, j.TokenLife = time.Time{}, life
		j.resolve(finding.LifetimeShrunk, "it has been so for a week, and counts as usual now")
	default:
		j.open(finding.LifetimeShrunk, finding.Evidence{
			Since: j.ShorterSince, Lifetime: finding.Lifetime{TokenLife: life, UsualLife: j.TokenLife},
		})
	}
}
