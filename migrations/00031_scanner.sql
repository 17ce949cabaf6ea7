-- +goose Up
ALTER TABLE access_tokens
    DROP CONSTRAINT access_tokens_role_check,
    ADD CONSTRAINT access_tokens_role_check CHECK (role IN ('viewer', 'responder', 'owner', 'admin', 'scanner'));
