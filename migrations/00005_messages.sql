-- +goose Up
-- notify ---------------------------------------------------------------------------------------
ALTER TABLE notify_messages RENAME TO notify_messages_before;
ALTER INDEX notify_messages_pkey RENAME TO notify_messages_before_pkey;

CREATE TABLE notify_pending (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    finding_id bigint NOT NULL,
    since      timestamptz NOT NULL
);
COMMENT ON TABLE notify_pending IS 'The outbox: findings that changed, until it is known who is told. Rows come in the transaction of the change. Owned by notify.';
COMMENT ON COLUMN notify_pending.id IS 'Given here.';
COMMENT ON COLUMN notify_pending.finding_id IS 'findings.id.';
COMMENT ON COLUMN notify_pending.since IS 'When it changed.';

CREATE TABLE notify_lanes (
    receiver      text NOT NULL,
    channel       text NOT NULL,
    next_at       timestamptz NOT NULL,
    failures      integer NOT NULL DEFAULT 0,
    failing_since timestamptz,
    needs_person  boolean NOT NULL DEFAULT false,
    error         text NOT NULL DEFAULT '',
    PRIMARY KEY (receiver, channel)
);
COMMENT ON TABLE notify_lanes IS 'The ways to people: a receiver, and a channel of it. Whoever sends on one holds its row. Owned by notify.';
COMMENT ON COLUMN notify_lanes.receiver IS 'Name of the receiver.';
COMMENT ON COLUMN notify_lanes.channel IS 'As a route names it; empty: the receiver''s own.';
COMMENT ON COLUMN notify_lanes.next_at IS 'Nothing is sent before then: it asked us to wait, or is failing.';
COMMENT ON COLUMN notify_lanes.failures IS 'Sends in a row that failed.';
COMMENT ON COLUMN notify_lanes.failing_since IS 'When the first of these was; null: it works.';
COMMENT ON COLUMN notify_lanes.needs_person IS 'It will not work again before a person mends it.';
COMMENT ON COLUMN notify_lanes.error IS 'Why, without secrets.';

CREATE TABLE notify_messages (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    receiver       text NOT NULL,
    channel        text NOT NULL DEFAULT '',
    mention        text NOT NULL DEFAULT '',
    letter         text NOT NULL DEFAULT '',
    made_at        timestamptz NOT NULL,
    due_at         timestamptz,
    version        bigint NOT NULL DEFAULT 0,
    nudge          text NOT NULL DEFAULT '',
    posted_channel text NOT NULL DEFAULT '',
    ref            text NOT NULL DEFAULT '',
    told_digest    text NOT NULL DEFAULT '',
    posted_at      timestamptz,
    sent_at        timestamptz,
    attempted_at   timestamptz,
    tries          integer NOT NULL DEFAULT 0,
    failing_since  timestamptz,
    error          text NOT NULL DEFAULT '',
    given_up       boolean NOT NULL DEFAULT false,
    remind_at      timestamptz,
    escalate_at    timestamptz,
    escalated      boolean NOT NULL DEFAULT false,
    escalation     boolean NOT NULL DEFAULT false,
    finding_before bigint
);
CREATE INDEX notify_messages_due ON notify_messages (receiver, channel, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX notify_messages_nudge ON notify_messages (least(remind_at, escalate_at)) WHERE remind_at IS NOT NULL OR escalate_at IS NOT NULL;
CREATE INDEX notify_messages_sent ON notify_messages (sent_at DESC);
CREATE UNIQUE INDEX notify_messages_letter ON notify_messages (letter, receiver, channel) WHERE letter <> '';
COMMENT ON TABLE notify_messages IS 'What people see: a message about one finding or a burst of them, or a letter, and what it last said. Owned by notify.';
COMMENT ON COLUMN notify_messages.id IS 'Given here.';
COMMENT ON COLUMN notify_messages.receiver IS 'Name of the receiver.';
COMMENT ON COLUMN notify_messages.channel IS 'As the route names it; empty: the receiver''s own.';
COMMENT ON COLUMN notify_messages.mention IS 'Who is mentioned in it.';
COMMENT ON COLUMN notify_messages.letter IS 'report/2026-10 or digest/2026-11-24T09:00:00Z/…; empty: it is about findings.';
COMMENT ON COLUMN notify_messages.made_at IS 'When it was decided to send it.';
COMMENT ON COLUMN notify_messages.due_at IS 'When it is looked at next; null: the receiver knows all.';
COMMENT ON COLUMN notify_messages.version IS 'Counts the reasons to look at it, so that none is lost that comes while it is sent.';
COMMENT ON COLUMN notify_messages.nudge IS 'remind or escalate: say again that it is open; empty: only what is new.';
COMMENT ON COLUMN notify_messages.posted_channel IS 'Where it is, as the receiver calls it.';
COMMENT ON COLUMN notify_messages.ref IS 'Which message: Slack''s ts.';
COMMENT ON COLUMN notify_messages.told_digest IS 'Hash of what it says; empty: it was not posted yet.';
COMMENT ON COLUMN notify_messages.posted_at IS 'When it was first posted.';
COMMENT ON COLUMN notify_messages.sent_at IS 'When it was last posted or updated.';
COMMENT ON COLUMN notify_messages.attempted_at IS 'A send began then, and nobody knows how it ended: before it is repeated the receiver looks for it.';
COMMENT ON COLUMN notify_messages.tries IS 'Sends in a row of this very message that failed.';
COMMENT ON COLUMN notify_messages.failing_since IS 'When the first of these was.';
COMMENT ON COLUMN notify_messages.error IS 'Why, without secrets.';
COMMENT ON COLUMN notify_messages.given_up IS 'It is not tried any more.';
COMMENT ON COLUMN notify_messages.remind_at IS 'When people are told again that it is open.';
COMMENT ON COLUMN notify_messages.escalate_at IS 'When others are told, if nobody acknowledges it.';
COMMENT ON COLUMN notify_messages.escalated IS 'They were.';
COMMENT ON COLUMN notify_messages.escalation IS 'It is what these others are told.';

CREATE TABLE notify_members (
    message_id bigint NOT NULL REFERENCES notify_messages ON DELETE CASCADE,
    finding_id bigint NOT NULL,
    told_state text NOT NULL DEFAULT '',
    PRIMARY KEY (message_id, finding_id)
);
CREATE INDEX notify_members_finding ON notify_members (finding_id);
COMMENT ON TABLE notify_members IS 'Which findings a message is about. Owned by notify.';
COMMENT ON COLUMN notify_members.message_id IS 'notify_messages.id.';
COMMENT ON COLUMN notify_members.finding_id IS 'findings.id.';
COMMENT ON COLUMN notify_members.told_state IS 'The finding''s state that the message told; empty: none yet.';

CREATE TABLE notify_presses (
    id text PRIMARY KEY,
    at timestamptz NOT NULL
);
COMMENT ON TABLE notify_presses IS 'What people pressed or typed on Slack in the last day, so that none is done twice. Owned by notify.';
COMMENT ON COLUMN notify_presses.id IS 'Slack''s envelope_id.';
COMMENT ON COLUMN notify_presses.at IS 'When it was done.';

INSERT INTO notify_messages (receiver, made_at, due_at, posted_channel, ref, told_digest, posted_at, sent_at, attempted_at, finding_before)
SELECT b.receiver, b.sent_at, a.attempted_at, b.channel, b.message_ref, b.told_digest, b.sent_at, b.sent_at, a.attempted_at, b.finding_id
FROM notify_messages_before b LEFT JOIN notify_attempts a USING (finding_id, receiver);
INSERT INTO notify_members (message_id, finding_id, told_state)
SELECT m.id, b.finding_id, b.told_state FROM notify_messages_before b JOIN notify_messages m ON m.finding_before = b.finding_id AND m.receiver = b.receiver;
INSERT INTO notify_messages (receiver, letter, made_at, posted_channel, ref, told_digest, posted_at, sent_at)
SELECT receiver, key, enqueued_at, channel, message_ref, 'posted', enqueued_at, enqueued_at FROM notify_letters WHERE receiver <> '';
ALTER TABLE notify_messages DROP COLUMN finding_before;
DROP TABLE notify_messages_before;
DROP TABLE notify_attempts;
DELETE FROM notify_letters WHERE receiver <> '';
ALTER TABLE notify_letters DROP COLUMN receiver, DROP COLUMN channel, DROP COLUMN message_ref, ADD PRIMARY KEY (key);
COMMENT ON TABLE notify_letters IS 'Letters that were decided on, each once. Owned by notify.';
COMMENT ON COLUMN notify_letters.enqueued_at IS 'When that was.';

-- What waits in the job queue of the version before.
-- +goose StatementBegin
DO $$
BEGIN
    IF to_regclass('river_job') IS NULL THEN
        RETURN;
    END IF;
    INSERT INTO notify_pending (finding_id, since)
    SELECT DISTINCT (args->>'finding_id')::bigint, now() FROM river_job WHERE kind = 'notify' AND finalized_at IS NULL;
    INSERT INTO notify_messages (receiver, letter, made_at, due_at)
    SELECT DISTINCT args->>'receiver', args->>'key', now(), now() FROM river_job WHERE kind = 'letter' AND finalized_at IS NULL
    ON CONFLICT DO NOTHING;
    DELETE FROM river_job WHERE kind IN ('notify', 'letter');
END $$;
-- +goose StatementEnd

-- audit ----------------------------------------------------------------------------------------
ALTER TABLE findings
    ADD COLUMN false_alarm_by  text NOT NULL DEFAULT '',
    ADD COLUMN false_alarm_why text NOT NULL DEFAULT '';
COMMENT ON COLUMN findings.false_alarm_by IS 'Who says that it was none; empty: nobody.';
COMMENT ON COLUMN findings.false_alarm_why IS 'And why.';
