package usage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrMoved is returned where a feed was read on by another meanwhile: what was read here is dropped.
var ErrMoved = errors.New("the feed was read on by another process meanwhile")

// Page takes in one page of a poll, with the feed's position.
func (t *Take) Page(ctx context.Context, pg *Page) (News, error) {
	var at pollPosition
	if err := json.Unmarshal(t.row.position, &at); err != nil {
		return News{}, fmt.Errorf("position: %w", err)
	}
	if at.Cursor != pg.before.Cursor || !at.Until.Equal(pg.before.Until) {
		return News{}, ErrMoved
	}
	t.hideFrom = pg.before.Until
	if err := t.Add(ctx, pg.read); err != nil {
		return News{}, err
	}
	return t.Finish(ctx, pg.position, pg.covered...)
}

// Position returns how far a feed was read, for Ask.
func (s *Store) Position(ctx context.Context, feed string) (position []byte, err error) {
	err = s.Pool.QueryRow(ctx, `SELECT position FROM usage_feeds WHERE feed = $1`, feed).Scan(&position)
	if errors.Is(err, pgx.ErrNoRows) {
		err = fmt.Errorf("%w: %q", ErrUnknownFeed, feed)
	}
	return position, err
}

// ClaimPoll returns which of the feeds is due to be polled, and makes it due again after its Every. ok is
// false where none is.
func (s *Store) ClaimPoll(ctx context.Context, feeds []Feed, now time.Time) (feed Feed, ok bool, err error) {
	names := []string{}
	for _, f := range feeds {
		if f.Polled() {
			names = append(names, f.Name)
		}
	}
	if len(names) == 0 {
		return feed, false, nil
	}
	var name string
	err = s.Pool.QueryRow(ctx, `
		UPDATE usage_feeds SET next_poll_at = $2::timestamptz + interval '1 minute'
		WHERE feed = (SELECT feed FROM usage_feeds WHERE feed = ANY($1) AND next_poll_at <= $2 ORDER BY next_poll_at LIMIT 1 FOR UPDATE SKIP LOCKED)
		RETURNING feed`, names, now).Scan(&name)
	if errors.Is(err, pgx.ErrNoRows) {
		return feed, false, nil
	}
	i := slices.IndexFunc(feeds, func(f Feed) bool { return f.Name == name })
	if err != nil || i < 0 {
		return feed, false, err
	}
	return feeds[i], true, nil
}

// PollAgain says when a feed is polled next.
func (s *Store) PollAgain(ctx context.Context, feed string, at time.Time) error {
	_, err := s.Pool.Exec(ctx, `UPDATE usage_feeds SET next_poll_at = $2 WHERE feed = $1`, feed, at)
	return err
}
