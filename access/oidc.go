package access

import "github.com/keyrounds/keyrounds/secret"

// Issuer is an OpenID provider whose people may sign in.
type Issuer struct {
	Name         string // in its URLs here and in the record: [a-z0-9][a-z0-9-]*
	Title        string // on the button
	URL          string // iss
	ClientID     string
	ClientSecret secret.Reference
	Scopes       []string // beside openid
	GroupsClaim  string
	Roles        []GroupRole // the first whose group he is in decides
	Default      Grant       // who is in none of them; zero: he is refused
	AllowPrivate bool
	Proxy        string
	CAFile       string
}

// GroupRole is the role of who is in a group.
type GroupRole struct {
	Group string
	Grant
}
