-- +goose Up
CREATE TABLE notify_attempts (
    finding_id   bigint NOT NULL,
    receiver     text NOT NULL,
    attempted_at timestamptz NOT NULL,
    PRIMARY KEY (finding_id, receiver)
);
COMMENT ON TABLE notify_attempts IS 'Sends that began and of which nobody knows how they ended: before such a one is repeated the receiver looks for it. Owned by notify.';
COMMENT ON COLUMN notify_attempts.finding_id IS 'findings.id.';
COMMENT ON COLUMN notify_attempts.receiver IS 'Name of the receiver.';
COMMENT ON COLUMN notify_attempts.attempted_at IS 'When the last one began.';
