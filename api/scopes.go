package api

import (
	"context"

	"github.com/keyrounds/keyrounds/credential"
)

type shownScopes struct{ Body ScopesJSON }

// showScopes is the table of a credential's scopes.
func (s *server) showScopes(ctx context.Context, in *Named) (*shownScopes, error) {
	c, err := s.credential(ctx, in.Name)
	if err != nil {
		return nil, err
	}
	last, err := s.Audit.Scopes(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	drift, err := s.Audit.ScopeDrift(ctx, c.ID, 10)
	if err != nil {
		return nil, err
	}
	book, err := s.Usage.Open(ctx, s.Usage.Pool, []credential.Credential{c})
	if err != nil {
		return nil, err
	}
	used := func(scope string) string { return book.ScopeUse(c, scope, s.Now()) }
	return &shownScopes{NewScopesJSON(c, s.Config().Providers[c.Provider], last, drift, used)}, nil
}
