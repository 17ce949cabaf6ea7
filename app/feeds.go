package app

import (
	"context"
	"maps"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/secret"
	"github.com/keyrounds/keyrounds/usage"
	"github.com/keyrounds/keyrounds/usage/feed"
	"github.com/keyrounds/keyrounds/web"
)

// pushFeeds are the feeds of the configuration that take pushes.
func (a *App) pushFeeds() []web.PushFeed {
	var all []web.PushFeed
	for _, f := range a.config.Load().Feeds {
		if f.Type == feed.TypePush {
			all = append(
				all,
				web.PushFeed{Feed: f.Feed, Token: func(ctx context.Context) (secret.Value, error) { return secret.Resolve(ctx, f.Token) }},
			)
		}
	}
	return all
}

// Unregistered calls each for client ids that feeds show and nobody ever registered at that provider, until each returns
// false (usage.Store.Unregistered says the order).
func (a *App) Unregistered(ctx context.Context, each func(usage.Unregistered) bool) error {
	return a.Usage.Unregistered(ctx, a.registered, each)
}

// registered are those of some client ids that somebody registered, by provider: at a provider, also those of others with
// the same token endpoint, which its log shows as well.
func (a *App) registered(ctx context.Context, among []string) (map[string]map[string]bool, error) {
	own, err := a.Registry.ClientIDs(ctx, among)
	if err != nil {
		return nil, err
	}
	providers, all := a.config.Load().Providers, map[string]map[string]bool{}
	for name, ids := range own {
		all[name] = maps.Clone(ids)
	}
	for name := range providers {
		for _, other := range checker.Neighbours(providers, name) {
			if all[name] == nil {
				all[name] = map[string]bool{}
			}
			maps.Copy(all[name], own[other])
		}
	}
	return all, nil
}
