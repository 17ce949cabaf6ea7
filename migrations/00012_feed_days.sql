-- +goose Up
CREATE TABLE usage_feed_days (
    feed     text NOT NULL REFERENCES usage_feeds ON DELETE CASCADE,
    day      date NOT NULL,
    records  bigint NOT NULL,
    bad      bigint NOT NULL,
    named    bigint NOT NULL,
    first_named_at timestamptz,
    last_named_at  timestamptz,
    PRIMARY KEY (feed, day)
);
COMMENT ON TABLE usage_feed_days IS 'What a feed''s records of a day were fit to show; whether it was watching is judged by it. Owned by usage.';
COMMENT ON COLUMN usage_feed_days.feed IS 'usage_feeds.feed.';
COMMENT ON COLUMN usage_feed_days.day IS 'In UTC.';
COMMENT ON COLUMN usage_feed_days.records IS 'Records of the day, those that the format leaves out and those that could not be read included.';
COMMENT ON COLUMN usage_feed_days.bad IS 'Those that could not be read.';
COMMENT ON COLUMN usage_feed_days.named IS 'Those that named some client, registered or not.';
COMMENT ON COLUMN usage_feed_days.first_named_at IS 'The first of those; null: none did.';
COMMENT ON COLUMN usage_feed_days.last_named_at IS 'The last of them.';

-- What was covered so far counts only where rows of the day show that the feed's provider could show clients.
INSERT INTO usage_feed_days
SELECT f.feed, d.day::date, 1, 0, (u.first_at IS NOT NULL)::int, u.first_at, u.last_at
FROM usage_feeds f
CROSS JOIN LATERAL (
    SELECT DISTINCT generate_series(date_trunc('day', lower(span) AT TIME ZONE 'UTC'), upper(span) AT TIME ZONE 'UTC', '1 day') AS day
    FROM unnest(f.coverage) AS span
) AS d
LEFT JOIN LATERAL (
    SELECT min(u.first_at) AS first_at, max(u.last_at) AS last_at
    FROM usage_days u JOIN credentials c ON c.id = u.credential_id
    WHERE c.provider = f.provider AND u.day = d.day::date
) AS u ON true;
