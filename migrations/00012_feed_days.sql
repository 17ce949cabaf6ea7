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
WITH shown AS (
    SELECT c.provider, u.day, min(u.first_at) AS first_at, max(u.last_at) AS last_at
    FROM usage_days u JOIN credentials c ON c.id = u.credential_id
    WHERE u.uses > 0 GROUP BY 1, 2
), covered AS (
    SELECT DISTINCT f.feed, f.provider, f.exchanges OR f.requests OR f.type LIKE 'entra%' AS shows,
        generate_series(date_trunc('day', lower(span) AT TIME ZONE 'UTC'), upper(span) AT TIME ZONE 'UTC', '1 day')::date AS day
    FROM usage_feeds f, unnest(f.coverage) AS span
)
SELECT c.feed, c.day, 1, 0, (s.day IS NOT NULL)::int, s.first_at, s.last_at
FROM covered c LEFT JOIN shown s ON c.shows AND s.provider = c.provider AND s.day = c.day;

-- Imports of which nothing was understood were marked all the same: they are free again.
DELETE FROM usage_batches b USING usage_feeds f WHERE f.feed = b.feed AND f.type = 'import' AND NOT EXISTS (
    SELECT FROM jsonb_each_text(b.counts) AS c (result, n) WHERE result NOT IN ('bad', 'skipped') AND n::bigint > 0);

ALTER TABLE usage_months ADD COLUMN first_attempt_at timestamptz, ADD COLUMN last_attempt_at timestamptz;
COMMENT ON COLUMN usage_months.first_attempt_at IS 'The first attempt that was refused; null: none is known.';
COMMENT ON COLUMN usage_months.last_attempt_at IS 'The last of them.';
UPDATE usage_months m SET first_attempt_at = d.first_at, last_attempt_at = d.last_at
FROM (SELECT credential_id, date_trunc('month', day)::date AS month, min(first_at) AS first_at, max(last_at) AS last_at
    FROM usage_days WHERE failures > 0 GROUP BY 1, 2) AS d
WHERE d.credential_id = m.credential_id AND d.month = m.month AND m.failures > 0;
