-- +goose Up
CREATE TABLE notify_silences (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    credential text NOT NULL,
    provider   text NOT NULL,
    labels     jsonb NOT NULL,
    until      timestamptz NOT NULL,
    why        text NOT NULL,
    made_at    timestamptz NOT NULL,
    made_by    text NOT NULL,
    ended_at   timestamptz,
    ended_by   text NOT NULL DEFAULT ''
);
COMMENT ON TABLE notify_silences IS 'What nobody is told of for a while, since a person says so. Owned by notify.';
COMMENT ON COLUMN notify_silences.id IS 'Given here; never reused.';
COMMENT ON COLUMN notify_silences.credential IS 'Its name; empty: any.';
COMMENT ON COLUMN notify_silences.provider IS 'Its name; empty: any.';
COMMENT ON COLUMN notify_silences.labels IS 'Object of strings, all of which the credential has; empty: any.';
COMMENT ON COLUMN notify_silences.until IS 'It ends by itself then.';
COMMENT ON COLUMN notify_silences.why IS 'In the words of who made it.';
COMMENT ON COLUMN notify_silences.made_at IS 'Since when it holds.';
COMMENT ON COLUMN notify_silences.made_by IS 'Who.';
COMMENT ON COLUMN notify_silences.ended_at IS 'When a person ended it sooner; null: nobody did.';
COMMENT ON COLUMN notify_silences.ended_by IS 'Who did.';

ALTER TABLE findings ADD COLUMN acknowledged_at timestamptz;
COMMENT ON COLUMN findings.acknowledged_at IS 'When it was acknowledged; null: it is not, or that was before this column.';
UPDATE findings SET acknowledged_at = updated_at WHERE state = 'acknowledged';

ALTER TABLE notify_messages ADD COLUMN steps smallint NOT NULL DEFAULT 0;
COMMENT ON COLUMN notify_messages.steps IS 'How many steps of the escalation were told.';
UPDATE notify_messages SET steps = 1 WHERE escalated;
ALTER TABLE notify_messages DROP COLUMN escalated;
