-- +goose Up
ALTER TABLE reports ADD COLUMN edition int NOT NULL DEFAULT 1 CHECK (edition > 0);
ALTER TABLE reports DROP CONSTRAINT reports_pkey, ADD PRIMARY KEY (month, owner, format, edition);
ALTER TABLE reports ADD COLUMN summary jsonb;
COMMENT ON COLUMN reports.summary IS 'Its counts, of the format json; null: of others, and of those that older versions made.';
COMMENT ON COLUMN reports.edition IS '1; more of a report that was made again by what was known later. All are kept.';
