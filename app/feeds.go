package app

import (
	"context"

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

// Unregistered lists client ids that feeds show and nobody ever registered at that provider, at most limit
// (usage.Store.Unregistered says the order).
func (a *App) Unregistered(ctx context.Context, limit int) ([]usage.Unregistered, error) {
	known, err := a.Registry.ClientIDs(ctx)
	if err != nil {
		return nil, err
	}
	return a.Usage.Unregistered(ctx, known, limit)
}
