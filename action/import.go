package action

import (
	"context"

	"github.com/keyrounds/keyrounds/rounds"
	"github.com/keyrounds/keyrounds/usage"
	"github.com/keyrounds/keyrounds/usage/feed"
)

// Import takes in files of usage records for a feed, all of them or none, and writes into the record who did. The same
// content again changes nothing and is no error; the errors are those of rounds.ImportUsage.
func (a *Actions) Import(ctx context.Context, actor string, f feed.Feed, files []usage.Import) ([]rounds.TakenIn, error) {
	return a.Rounds.ImportUsage(ctx, actor, f, files)
}
