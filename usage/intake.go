package usage

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/keyrounds/keyrounds/usage/feed"
)

// Read takes in everything that in holds: a push's body, a file. feed.Decompress comes before it.
func (t *Take) Read(ctx context.Context, in io.Reader) error {
	return t.feed.Format.Read(ctx, in, func(r feed.Reading) error { return t.Add(ctx, r) })
}

// Records counts what was read so far.
func (t *Take) Records() int64 { return t.counts.Records() }

// TakenBeforeError says that a batch was taken in already.
type TakenBeforeError struct {
	At     time.Time
	Counts Counts
}

func (e *TakenBeforeError) Error() string {
	return fmt.Sprintf("it was taken in already, on %s", e.At.UTC().Format("2 Jan 2006 15:04 MST"))
}
