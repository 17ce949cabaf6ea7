package api

import (
	"context"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/registry"
)

// allow lets somebody pass whose role allows a deed.
func (s *server) allow(d access.Deed) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		who, ok := access.From(ctx.Context())
		r, w := humago.Unwrap(ctx)
		switch {
		case !ok:
			w.Header().Set("WWW-Authenticate", `Bearer realm="keyrounds"`)
			write(w, problem(http.StatusUnauthorized, "Nobody is signed in here: sign in, or send a token (Authorization: Bearer …)."))
		case !who.May(d):
			s.Refused(r, who, "the role "+string(who.Role)+" may not")
			write(w, problem(http.StatusForbidden, fmt.Sprintf("%s has the role %s, which may not %s.", who.Name, who.Role, deeds[d])))
		default:
			next(ctx)
		}
	}
}

// deeds are in words, after "may not".
var deeds = map[access.Deed]string{
	access.Enter:      "ask anything here",
	access.Scan:       "have anything searched for secrets",
	access.See:        "look at this",
	access.Respond:    "act on findings, silence, or have credentials checked",
	access.Decide:     "decide what becomes of a credential",
	access.Administer: "change credentials or who may do what, freeze reports, or read the record and the configuration",
}

// asking is who asks. The table of routes lets nobody pass without that.
func asking(ctx context.Context) access.Who {
	who, _ := access.From(ctx)
	return who
}

// among are the ids of the credentials that whoever asks may see; nil: all of them.
func (s *server) among(ctx context.Context) ([]int64, error) {
	who := asking(ctx)
	if who.Role != access.Owner {
		return nil, nil
	}
	return s.Registry.OfOwners(ctx, who.Owners)
}

// owners are whose credentials whoever asks may see; nil: everybody's.
func owners(ctx context.Context) []string {
	who := asking(ctx)
	if who.Role != access.Owner {
		return nil
	}
	return append([]string{}, who.Owners...)
}

// credential is the one of a name, if whoever asks may see it.
func (s *server) credential(ctx context.Context, name string) (credential.Credential, error) {
	c, err := s.Registry.Get(ctx, name)
	if err == nil && !asking(ctx).Sees(c.Owner) {
		return credential.Credential{}, fmt.Errorf("%w: %q", registry.ErrNotFound, name)
	}
	return c, err
}
