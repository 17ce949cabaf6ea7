package checker

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"
)

// claims is what a token that is a JWT says of itself (RFC 9068 §2.2). It is read for reporting
// only, and not verified: the token came from the provider itself.
type claims struct {
	Scope any     `json:"scope"`
	SCP   any     `json:"scp"` // Entra, Okta
	Roles []any   `json:"roles"`
	Iat   float64 `json:"iat"`
	Exp   float64 `json:"exp"`
	JTI   string  `json:"jti"`
}

func claimsOf(token string) (c claims, ok bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return c, false
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(b, &c) != nil {
		return claims{}, false
	}
	return c, true
}

// scopes returns what the token grants, nil where it does not say. Roles are taken for scopes only
// where they share a word with what is declared: elsewhere they are names of another kind.
func (c claims) scopes(declared []string) []string {
	for _, v := range []any{c.Scope, c.SCP} {
		if s := scopesOf(v); len(s) > 0 {
			return s
		}
	}
	if roles := scopesOf(c.Roles); len(without(declared, roles)) < len(declared) {
		return roles
	}
	return nil
}

func (c claims) lifetime() time.Duration {
	if d := c.Exp - c.Iat; c.Iat > 0 && d > 0 && d < 1e9 {
		return time.Duration(d) * time.Second
	}
	return 0
}
