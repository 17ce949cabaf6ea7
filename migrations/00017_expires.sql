-- +goose Up
ALTER TABLE credentials ADD COLUMN expires_at timestamptz;
COMMENT ON COLUMN credentials.expires_at IS 'When it ends by itself, as people said; null: not said.';

ALTER TABLE credentials ADD COLUMN key_passphrase_ref text NOT NULL DEFAULT '';
COMMENT ON COLUMN credentials.key_passphrase_ref IS 'Reference to what opens the key that is its secret; empty: it is not encrypted.';

ALTER TABLE notify_members ADD COLUMN told_news text NOT NULL DEFAULT '';
COMMENT ON COLUMN notify_members.told_news IS 'What of it was told beside its state, such as how long it has; empty: nothing.';
