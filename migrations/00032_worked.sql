-- +goose Up
ALTER TABLE leak_secrets ADD COLUMN worked boolean;
COMMENT ON COLUMN leak_secrets.worked IS 'Whether it was ever seen to work, as was known when it was replaced; null: that was not noted.';
