-- +goose Up
ALTER TABLE usage_batches ADD COLUMN content text NOT NULL DEFAULT '';
COMMENT ON COLUMN usage_batches.content IS 'SHA-256 of the content, decompressed; empty: not known.';

CREATE TABLE usage_batch_rows (
    feed     text NOT NULL,
    batch_id text NOT NULL,
    part     int NOT NULL,
    rows     bytea NOT NULL,
    PRIMARY KEY (feed, batch_id, part),
    FOREIGN KEY (feed, batch_id) REFERENCES usage_batches ON DELETE CASCADE
);
COMMENT ON TABLE usage_batch_rows IS 'What an import added to the other tables, so that it can be taken back. Owned by usage.';
COMMENT ON COLUMN usage_batch_rows.feed IS 'usage_batches.feed.';
COMMENT ON COLUMN usage_batch_rows.batch_id IS 'usage_batches.batch_id.';
COMMENT ON COLUMN usage_batch_rows.part IS 'From 0 on.';
COMMENT ON COLUMN usage_batch_rows.rows IS 'JSON, compressed with zstd.';

CREATE TABLE usage_event_ids (
    feed     text NOT NULL,
    day      date NOT NULL,
    batch_id text NOT NULL,
    hashes   bytea NOT NULL,
    PRIMARY KEY (feed, day, batch_id),
    FOREIGN KEY (feed, batch_id) REFERENCES usage_batches ON DELETE CASCADE
);
COMMENT ON TABLE usage_event_ids IS 'Ids of the events of registered clients that imports brought, so that none counts twice. Owned by usage.';
COMMENT ON COLUMN usage_event_ids.feed IS 'usage_batches.feed.';
COMMENT ON COLUMN usage_event_ids.day IS 'Of the events, in UTC.';
COMMENT ON COLUMN usage_event_ids.batch_id IS 'usage_batches.batch_id.';
COMMENT ON COLUMN usage_event_ids.hashes IS 'xxHash64 of each, 8 bytes.';
