package action

import (
	"context"
	"io"

	"github.com/keyrounds/keyrounds/usage"
	"github.com/keyrounds/keyrounds/usage/feed"
)

// Import takes in a file of usage records for a feed, whole or not at all, and writes into the record who did. The
// same content again is *usage.TakenBeforeError and changes nothing; the other errors are those of
// rounds.ImportUsage. in is plain, gzip or zstd, and not closed here. covers are times that the file is known to show
// whole.
func (a *Actions) Import(
	ctx context.Context, actor string, f feed.Feed, name string, in io.Reader, covers ...feed.Span,
) (usage.Ingested, error) {
	return a.Rounds.ImportUsage(ctx, actor, f, usage.Import{Name: name, In: in, Covers: covers})
}
