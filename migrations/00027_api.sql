-- +goose Up
ALTER TABLE findings ADD COLUMN assigned_to text NOT NULL DEFAULT '';
COMMENT ON COLUMN findings.assigned_to IS 'Who is to look after it, as a person said; empty: nobody.';

CREATE INDEX credential_state_by_name ON credential_state (credential);
COMMENT ON INDEX credential_state_by_name IS 'Pages of credentials by cursor, by name.';
CREATE TABLE api_answers (
    key     bytea PRIMARY KEY,
    request bytea NOT NULL,
    at      timestamptz NOT NULL,
    status  smallint NOT NULL DEFAULT 0,
    headers jsonb NOT NULL DEFAULT '{}',
    body    bytea NOT NULL DEFAULT ''
);
CREATE INDEX api_answers_old ON api_answers (at);
COMMENT ON TABLE api_answers IS 'What the API answered to requests with an Idempotency-Key, for a day. Owned by idempotency.';
COMMENT ON COLUMN api_answers.key IS 'SHA-256 of who asked and of the key, which is not stored.';
COMMENT ON COLUMN api_answers.request IS 'HMAC-SHA-256 of the request by the key: nobody reads a secret from it by guessing.';
COMMENT ON COLUMN api_answers.at IS 'When it was asked.';
COMMENT ON COLUMN api_answers.status IS 'Of HTTP; 0: it is not answered yet.';
COMMENT ON COLUMN api_answers.headers IS 'Of the answer: an object of strings.';
COMMENT ON COLUMN api_answers.body IS 'Of the answer; no answer holds a secret.';
COMMENT ON INDEX api_answers_old IS 'What is older than a day is forgotten.';
