-- +goose Up
ALTER TABLE usage_feeds ADD COLUMN learns boolean NOT NULL DEFAULT false, ADD COLUMN watching jsonb NOT NULL DEFAULT '{}';
COMMENT ON COLUMN usage_feeds.learns IS 'No silence is given: it is learned from the pauses, and silence is the least.';
COMMENT ON COLUMN usage_feeds.watching IS 'The numbers by which it is judged whether the feed could show a client, where they are not the usual ones.';
