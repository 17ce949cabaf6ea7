package api

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/registry"
)

// known says that a filter names what there is, or "": a name that was mistyped is no empty list. Who may not see a thing is
// told the same as of one that there is not.
func (s *server) known(ctx context.Context, credential, provider, owner string) error {
	if credential != "" {
		_, err := s.credential(ctx, credential)
		if errors.Is(err, registry.ErrNotFound) {
			return unknown("credential", credential, "No credential %q is registered"+orYours(ctx)+".")
		}
		if err != nil {
			return err
		}
	}
	if _, named := s.Config().Providers[provider]; provider != "" && (!named || asking(ctx).Role == access.Owner) {
		is, err := s.Registry.Knows(ctx, provider, "", owners(ctx))
		if err != nil {
			return err
		}
		if !is {
			p := unknown("provider", provider, "No provider %q is configured, and no credential is of it"+orYours(ctx)+".")
			if owners(ctx) == nil {
				p.Hint = config.DidYouMean(provider, slices.Sorted(maps.Keys(s.Config().Providers)))
			}
			return p
		}
	}
	if owner == "" {
		return nil
	}
	is, err := s.Registry.Knows(ctx, "", owner, owners(ctx))
	if err == nil && !is {
		return unknown("owner", owner, "No credential has the owner %q"+orYours(ctx)+".")
	}
	return err
}

// orYours follows on that there is nothing of a name, where whoever asks is shown nothing of others.
func orYours(ctx context.Context) string {
	if asking(ctx).Role == access.Owner {
		return ", or none for you"
	}
	return ""
}

func unknown(parameter, value, format string) *Problem {
	return wrongly(Wrong{"query." + parameter, fmt.Sprintf(format, clean(value))})
}
