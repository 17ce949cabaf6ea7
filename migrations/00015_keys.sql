-- +goose Up
ALTER TABLE credentials ADD COLUMN key_id text NOT NULL DEFAULT '';
COMMENT ON COLUMN credentials.key_id IS 'Which of its client''s keys it is, as the provider''s log names it; empty: not said.';

CREATE TABLE credential_clients (
    credential_id bigint NOT NULL REFERENCES credentials ON DELETE CASCADE,
    provider      text NOT NULL,
    client_id     text NOT NULL,
    until         timestamptz NOT NULL,
    PRIMARY KEY (provider, client_id, credential_id)
);
COMMENT ON TABLE credential_clients IS 'Client ids that credentials had before: what shows them shows those. Owned by registry.';
COMMENT ON COLUMN credential_clients.credential_id IS 'credentials.id.';
COMMENT ON COLUMN credential_clients.provider IS 'Whose client id it was.';
COMMENT ON COLUMN credential_clients.client_id IS 'The former client id.';
COMMENT ON COLUMN credential_clients.until IS 'When another took its place.';
INSERT INTO credential_clients
SELECT DISTINCT ON (c.provider, s.client_id, c.id) c.id, c.provider, s.client_id, coalesce(s.replaced_at, s.first_at)
FROM leak_secrets s JOIN credentials c ON c.id = s.credential_id WHERE s.client_id <> c.client_id
ORDER BY c.provider, s.client_id, c.id, s.replaced_at DESC NULLS LAST;

CREATE TABLE usage_keys (
    provider      text NOT NULL,
    client_id     text NOT NULL,
    key_id        text NOT NULL,
    uses          bigint NOT NULL,
    first_at      timestamptz,
    last_at       timestamptz,
    credential_id bigint,
    learned_at    timestamptz,
    PRIMARY KEY (provider, client_id, key_id)
);
COMMENT ON TABLE usage_keys IS 'The keys of registered clients that feeds showed. Owned by usage.';
COMMENT ON COLUMN usage_keys.provider IS 'Whose client it is.';
COMMENT ON COLUMN usage_keys.client_id IS 'The client.';
COMMENT ON COLUMN usage_keys.key_id IS 'The key, as the provider''s log names it.';
COMMENT ON COLUMN usage_keys.uses IS 'By others.';
COMMENT ON COLUMN usage_keys.first_at IS 'The first of those; null: none is known.';
COMMENT ON COLUMN usage_keys.last_at IS 'The last of them.';
COMMENT ON COLUMN usage_keys.credential_id IS 'Whose key it is, as our own check with it showed; null: not known.';
COMMENT ON COLUMN usage_keys.learned_at IS 'When that was.';

ALTER TABLE usage_months ADD COLUMN not_allowed bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN usage_months.not_allowed IS 'Of the exchanges and requests those that were not allowed (403): the client was verified.';
