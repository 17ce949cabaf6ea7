-- +goose Up
ALTER TABLE leak_sources
    ADD COLUMN not_searched jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN left_out     jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN tips         jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN registry     bytea NOT NULL DEFAULT '',
    ADD COLUMN whole_at     timestamptz,
    ADD COLUMN found_before integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN leak_sources.not_searched IS 'Places that the last scan did not search, or not whole: a number by reason.';
COMMENT ON COLUMN leak_sources.left_out IS 'The first of those: path, reason and why, with secrets masked.';
COMMENT ON COLUMN leak_sources.tips IS 'Of each repository in it, the objects that its refs named at the last scan; what those reach was searched.';
COMMENT ON COLUMN leak_sources.registry IS 'Fingerprint of all that was looked for then; with another one everything is searched again.';
COMMENT ON COLUMN leak_sources.found_before IS 'How many of found stand in histories; a scan of only what is new adds to them.';
COMMENT ON COLUMN leak_sources.whole_at IS 'When everything in it was searched last; null: not known.';
