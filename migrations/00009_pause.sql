-- +goose Up
ALTER TABLE provider_pace ADD COLUMN paused_until timestamptz NOT NULL DEFAULT '-infinity';
COMMENT ON COLUMN provider_pace.paused_until IS 'The provider asked to be left alone until then (Retry-After and the like).';
