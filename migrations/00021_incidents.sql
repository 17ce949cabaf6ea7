-- +goose Up
ALTER TABLE findings ADD COLUMN withdrawn boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN findings.withdrawn IS 'It was resolved since it should not have been told: it belongs to an incident of its provider, as resolved_why says.';

ALTER TABLE notify_messages ADD COLUMN burst text NOT NULL DEFAULT '';
COMMENT ON COLUMN notify_messages.burst IS 'Kind and provider of its findings: what is found of both soon after joins it. Empty: nothing does.';
CREATE INDEX notify_messages_burst ON notify_messages (burst, made_at) WHERE burst <> '';
