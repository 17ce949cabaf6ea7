-- +goose Up
ALTER TABLE findings ADD COLUMN assigned_to text NOT NULL DEFAULT '';
COMMENT ON COLUMN findings.assigned_to IS 'Who is to look after it, as a person said; empty: nobody.';

CREATE INDEX credential_state_by_name ON credential_state (credential);
COMMENT ON INDEX credential_state_by_name IS 'Pages of credentials by cursor, by name.';
