-- +goose Up
ALTER TABLE leak_secrets
    ADD COLUMN leased_by text NOT NULL DEFAULT '',
    ADD COLUMN leased_until timestamptz NOT NULL DEFAULT '-infinity';
COMMENT ON COLUMN leak_secrets.leased_by IS 'The process that tries it: the token that shows its end is in the memory of that one.';
COMMENT ON COLUMN leak_secrets.leased_until IS 'Until then no other process does.';
