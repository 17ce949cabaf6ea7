package usage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/usage/feed"
)

// ErrMoved is returned where a feed was read on by another meanwhile: what was read here is dropped.
var ErrMoved = errors.New("the feed was read on by another process meanwhile")

func pollPosition(stored []byte) (at feed.PollPosition, err error) {
	if err := json.Unmarshal(stored, &at); err != nil {
		return at, fmt.Errorf("position: %w", err)
	}
	return at, nil
}

// PollPosition returns how far a polled feed was read, for feed.Ask. ErrUnknownFeed: Sync did not bring it.
func (s *Store) PollPosition(ctx context.Context, name string) (feed.PollPosition, error) {
	var stored []byte
	err := s.Pool.QueryRow(ctx, `SELECT position FROM usage_feeds WHERE feed = $1`, name).Scan(&stored)
	if errors.Is(err, pgx.ErrNoRows) {
		err = fmt.Errorf("%w: %q", ErrUnknownFeed, name)
	}
	if err != nil {
		return feed.PollPosition{}, err
	}
	return pollPosition(stored)
}

// ClaimPoll returns which of the feeds is due to be polled, and makes it due again after its Every. ok is
// false where none is.
func (s *Store) ClaimPoll(ctx context.Context, feeds []feed.Feed, now time.Time) (f feed.Feed, ok bool, err error) {
	names := []string{}
	for _, f := range feeds {
		if f.Polled() {
			names = append(names, f.Name)
		}
	}
	if len(names) == 0 {
		return f, false, nil
	}
	var name string
	err = s.Pool.QueryRow(ctx, `
		UPDATE usage_feeds SET next_poll_at = $2::timestamptz + interval '1 minute'
		WHERE feed = (SELECT feed FROM usage_feeds WHERE feed = ANY($1) AND next_poll_at <= $2
			ORDER BY next_poll_at LIMIT 1 FOR UPDATE SKIP LOCKED)
		RETURNING feed`, names, now).Scan(&name)
	if errors.Is(err, pgx.ErrNoRows) {
		return f, false, nil
	}
	i := slices.IndexFunc(feeds, func(f feed.Feed) bool { return f.Name == name })
	if err != nil || i < 0 {
		return f, false, err
	}
	return feeds[i], true, nil
}

// PollAgain says when a feed is polled next.
func (s *Store) PollAgain(ctx context.Context, feed string, at time.Time) error {
	_, err := s.Pool.Exec(ctx, `UPDATE usage_feeds SET next_poll_at = $2 WHERE feed = $1`, feed, at)
	return err
}

// FilePositions returns how far the files of a feed were read, in the order that feed.Chunks wants.
func (s *Store) FilePositions(ctx context.Context, name string) ([]feed.FilePosition, error) {
	rows, err := s.Pool.Query(ctx, `
		SELECT head, head_len, name, at_offset, seen_at FROM usage_files
		WHERE feed = $1 ORDER BY head_len DESC, seen_at DESC`, name)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[feed.FilePosition])
}

// checkFile is ErrMoved where the file of c was read on meanwhile.
func (in *intake) checkFile(ctx context.Context, c feed.Chunk) error {
	head, offset := c.Before.Head, int64(-1)
	if head == nil {
		head = c.After.Head
	}
	err := in.tx.QueryRow(ctx, `SELECT at_offset FROM usage_files WHERE feed = $1 AND head = $2`, in.feed.Name, head).Scan(&offset)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	if offset != c.Stored {
		return ErrMoved
	}
	return nil
}

// moveFile stores how far the file of c is read with c.
func (in *intake) moveFile(ctx context.Context, c feed.Chunk) error {
	if c.Before.Head != nil && !bytes.Equal(c.Before.Head, c.After.Head) {
		if _, err := in.tx.Exec(ctx, `DELETE FROM usage_files WHERE feed = $1 AND head = $2`, in.feed.Name, c.Before.Head); err != nil {
			return err
		}
	}
	_, err := in.tx.Exec(ctx, `
		INSERT INTO usage_files (feed, head, head_len, name, at_offset, seen_at) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (feed, head) DO UPDATE SET name = excluded.name, at_offset = excluded.at_offset, seen_at = excluded.seen_at`,
		in.feed.Name, c.After.Head, c.After.HeadLen, c.After.Name, c.After.Offset, c.After.SeenAt)
	return err
}
