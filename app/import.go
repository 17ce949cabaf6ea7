package app

import (
	"context"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/usage"
	"github.com/keyrounds/keyrounds/usage/feed"
)

// Import takes in a file of usage records for a feed, whole or not at all, and writes into the record who
// did. The same content again is *usage.TakenBeforeError and changes nothing. in is plain, gzip or zstd.
func (a *App) Import(ctx context.Context, actor string, f feed.Feed, name string, in io.Reader, covers ...feed.Span) (usage.News, error) {
	if f.Type == feed.TypeImport {
		if err := a.inTx(ctx, func(tx pgx.Tx) error { return a.Usage.Register(ctx, tx, f, a.Now()) }); err != nil {
			return usage.News{}, err
		}
	}
	return a.Rounds.TakeUsage(ctx, f, func(ctx context.Context, t *usage.Take) (usage.News, error) {
		if err := t.Long(ctx); err != nil {
			return usage.News{}, err
		}
		digest := feed.NewDigest(in)
		plain, err := feed.Decompress(digest)
		if err != nil {
			return usage.News{}, fmt.Errorf("%s: it is neither plain, nor gzip, nor zstd", name)
		}
		if err := t.Read(ctx, plain); err != nil {
			return usage.News{}, fmt.Errorf("%s: %w", name, err)
		}
		if _, err := io.Copy(io.Discard, digest); err != nil { // what is after the end of a compressed stream
			return usage.News{}, fmt.Errorf("%s: %w", name, err)
		}
		id := digest.String()
		at, counts, err := t.TakenBatch(ctx, id)
		if err != nil {
			return usage.News{}, err
		}
		if !at.IsZero() {
			return usage.News{}, &usage.TakenBeforeError{At: at, Counts: counts}
		}
		if err := t.NoteBatch(ctx, id); err != nil {
			return usage.News{}, err
		}
		news, err := t.FinishImport(ctx, covers...)
		if err != nil {
			return news, err
		}
		e, err := audit.NewEntry(a.Now(), actor, "usage.imported", "provider/"+f.Provider, map[string]any{"feed": f.Name, "batch": id, "results": news.Counts})
		if err != nil {
			return news, err
		}
		return news, a.Audit.Append(ctx, t.Tx(), e)
	})
}
