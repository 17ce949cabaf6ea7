-- +goose Up
-- audit: the ledger of our own use, and a row a day -------------------------------------------------
ALTER TABLE checks
    ADD COLUMN jti_hash bytea,
    ADD COLUMN egress inet,
    ADD COLUMN requests smallint NOT NULL DEFAULT 0,
    ADD COLUMN took_us bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN checks.jti_hash IS 'SHA-256 of the token''s claim jti; null: it has none.';
COMMENT ON COLUMN checks.egress IS 'This machine''s address of the exchange''s connection; null: there was none.';
COMMENT ON COLUMN checks.requests IS 'Requests with the client''s name or its token, the exchange among them.';
COMMENT ON COLUMN checks.took_us IS 'From the first of them to the end of the last, in microseconds.';

CREATE TABLE check_intents (
    check_id      uuid PRIMARY KEY,
    credential_id bigint NOT NULL,
    intended_at   timestamptz NOT NULL
);
CREATE INDEX check_intents_of_credential ON check_intents (credential_id, intended_at);
COMMENT ON TABLE check_intents IS 'Checks that are about to be made or being made, and those of killed processes. Owned by audit.';
COMMENT ON COLUMN check_intents.check_id IS 'checks.id of the result to be.';
COMMENT ON COLUMN check_intents.credential_id IS 'credentials.id.';
COMMENT ON COLUMN check_intents.intended_at IS 'When it was written down, before the check.';

CREATE TABLE checks_daily (
    credential_id   bigint NOT NULL,
    day             date NOT NULL,
    checks          integer NOT NULL,
    ok              integer NOT NULL,
    rejected        integer NOT NULL,
    uncertain       integer NOT NULL,
    latency_us      bigint NOT NULL,
    status          text NOT NULL,
    last_check_at   timestamptz NOT NULL,
    last_success_at timestamptz,
    PRIMARY KEY (credential_id, day)
);
COMMENT ON TABLE checks_daily IS 'What the checks of a day (UTC) came to, one row a credential. Owned by audit.';
COMMENT ON COLUMN checks_daily.credential_id IS 'credentials.id.';
COMMENT ON COLUMN checks_daily.day IS 'UTC.';
COMMENT ON COLUMN checks_daily.checks IS 'How many.';
COMMENT ON COLUMN checks_daily.ok IS 'With outcome ok.';
COMMENT ON COLUMN checks_daily.rejected IS 'With outcome rejected.';
COMMENT ON COLUMN checks_daily.uncertain IS 'With an outcome that says nothing of the credential.';
COMMENT ON COLUMN checks_daily.latency_us IS 'Sum over the checks, in microseconds.';
COMMENT ON COLUMN checks_daily.status IS 'The credential''s status after the last of them.';
COMMENT ON COLUMN checks_daily.last_check_at IS 'The last of them.';
COMMENT ON COLUMN checks_daily.last_success_at IS 'The last token of the day; null: none.';

CREATE TABLE rollups (
    name text PRIMARY KEY,
    upto timestamptz NOT NULL
);
COMMENT ON TABLE rollups IS 'How far each roll-up has come. Owned by audit.';
COMMENT ON COLUMN rollups.name IS 'checks_daily.';
COMMENT ON COLUMN rollups.upto IS 'Everything before it is rolled up.';

-- usage ----------------------------------------------------------------------------------------
CREATE TABLE usage_feeds (
    feed        text PRIMARY KEY,
    provider    text NOT NULL,
    type        text NOT NULL,
    format      text NOT NULL,
    partial     boolean NOT NULL,
    silence     interval NOT NULL,
    configured  boolean NOT NULL,
    first_at    timestamptz NOT NULL,
    position    jsonb NOT NULL DEFAULT '{}',
    coverage    tstzmultirange NOT NULL DEFAULT '{}',
    last_event_at timestamptz,
    last_seen_at  timestamptz,
    counts      jsonb NOT NULL DEFAULT '{}',
    samples     jsonb NOT NULL DEFAULT '[]',
    exchanges   boolean NOT NULL DEFAULT false,
    requests    boolean NOT NULL DEFAULT false,
    error       text NOT NULL DEFAULT '',
    error_since timestamptz,
    next_poll_at timestamptz
);
COMMENT ON TABLE usage_feeds IS 'Sources of usage events, one row each, also former ones. Owned by usage.';
COMMENT ON COLUMN usage_feeds.feed IS 'Name in the configuration; import/PROVIDER for files that a command brought.';
COMMENT ON COLUMN usage_feeds.provider IS 'Whose credentials it shows.';
COMMENT ON COLUMN usage_feeds.type IS 'file, push, import, or what is polled.';
COMMENT ON COLUMN usage_feeds.format IS 'How its records are read: a preset, or "jq".';
COMMENT ON COLUMN usage_feeds.partial IS 'It sees only some uses: its silence proves nothing.';
COMMENT ON COLUMN usage_feeds.silence IS 'Quiet for so long is ordinary; more is a gap.';
COMMENT ON COLUMN usage_feeds.configured IS 'It is in the configuration now.';
COMMENT ON COLUMN usage_feeds.first_at IS 'When keyrounds first had it.';
COMMENT ON COLUMN usage_feeds.position IS 'How far it was read; moved on in the transaction of the events.';
COMMENT ON COLUMN usage_feeds.coverage IS 'When it was really watching.';
COMMENT ON COLUMN usage_feeds.last_event_at IS 'Time of its newest record; null: none yet.';
COMMENT ON COLUMN usage_feeds.last_seen_at IS 'Its last sign of life: a record, a heartbeat, an empty poll.';
COMMENT ON COLUMN usage_feeds.counts IS 'Records so far, by result.';
COMMENT ON COLUMN usage_feeds.samples IS 'The newest records that could not be read, cleaned and cut.';
COMMENT ON COLUMN usage_feeds.exchanges IS 'It has shown exchanges for tokens.';
COMMENT ON COLUMN usage_feeds.requests IS 'It has shown requests with tokens.';
COMMENT ON COLUMN usage_feeds.error IS 'Why it cannot be read now; empty: it can.';
COMMENT ON COLUMN usage_feeds.error_since IS 'Since when; null: it can be read.';
COMMENT ON COLUMN usage_feeds.next_poll_at IS 'When it is polled next; null: it is not polled.';

CREATE TABLE usage_files (
    feed      text NOT NULL,
    head      bytea NOT NULL,
    head_len  integer NOT NULL,
    name      text NOT NULL,
    at_offset bigint NOT NULL,
    seen_at   timestamptz NOT NULL,
    PRIMARY KEY (feed, head)
);
COMMENT ON TABLE usage_files IS 'How far each file of a feed was read. Owned by usage.';
COMMENT ON COLUMN usage_files.feed IS 'usage_feeds.feed.';
COMMENT ON COLUMN usage_files.head IS 'SHA-256 of the file''s first bytes: a file is what it begins with, whatever its name.';
COMMENT ON COLUMN usage_files.head_len IS 'How many bytes.';
COMMENT ON COLUMN usage_files.name IS 'Where it was last seen.';
COMMENT ON COLUMN usage_files.at_offset IS 'Bytes that were read.';
COMMENT ON COLUMN usage_files.seen_at IS 'When.';

CREATE TABLE usage_batches (
    feed     text NOT NULL,
    batch_id text NOT NULL,
    taken_at timestamptz NOT NULL,
    counts   jsonb NOT NULL,
    PRIMARY KEY (feed, batch_id)
);
CREATE INDEX usage_batches_old ON usage_batches (taken_at);
COMMENT ON TABLE usage_batches IS 'Pushes and imports that were taken, so that none is taken twice. Owned by usage.';
COMMENT ON COLUMN usage_batches.feed IS 'usage_feeds.feed.';
COMMENT ON COLUMN usage_batches.batch_id IS 'As its sender named it, or the SHA-256 of its content.';
COMMENT ON COLUMN usage_batches.taken_at IS 'When.';
COMMENT ON COLUMN usage_batches.counts IS 'What came of it.';

CREATE TABLE usage_seen (
    feed     text NOT NULL,
    event    bytea NOT NULL,
    event_at timestamptz NOT NULL,
    PRIMARY KEY (feed, event)
);
COMMENT ON TABLE usage_seen IS 'Events of polled feeds that a later, overlapping poll would bring again. Owned by usage.';
COMMENT ON COLUMN usage_seen.feed IS 'usage_feeds.feed.';
COMMENT ON COLUMN usage_seen.event IS 'First 16 bytes of the SHA-256 of the event''s id.';
COMMENT ON COLUMN usage_seen.event_at IS 'When it happened.';

CREATE TABLE usage_days (
    credential_id bigint NOT NULL,
    day           date NOT NULL,
    network       cidr NOT NULL,
    user_agent    text NOT NULL,
    uses          bigint NOT NULL,
    failures      bigint NOT NULL,
    first_at      timestamptz NOT NULL,
    last_at       timestamptz NOT NULL,
    last_address  inet,
    PRIMARY KEY (credential_id, day, network, user_agent)
);
COMMENT ON TABLE usage_days IS 'Use by others than keyrounds: a row a credential, day, network and user agent. Owned by usage.';
COMMENT ON COLUMN usage_days.credential_id IS 'credentials.id.';
COMMENT ON COLUMN usage_days.day IS 'In the timezone of the configuration.';
COMMENT ON COLUMN usage_days.network IS 'The /24 or /48 that it came from; 0.0.0.0/0: the feed does not say, or there were too many.';
COMMENT ON COLUMN usage_days.user_agent IS 'Cleaned and cut.';
COMMENT ON COLUMN usage_days.uses IS 'That succeeded.';
COMMENT ON COLUMN usage_days.failures IS 'That were refused.';
COMMENT ON COLUMN usage_days.first_at IS 'The first of them.';
COMMENT ON COLUMN usage_days.last_at IS 'The last of them.';
COMMENT ON COLUMN usage_days.last_address IS 'Where the last one came from; null: the feed does not say.';

CREATE TABLE usage_months (
    credential_id bigint NOT NULL,
    month         date NOT NULL,
    exchanges     bigint NOT NULL,
    requests      bigint NOT NULL,
    failures      bigint NOT NULL,
    own           bigint NOT NULL,
    first_at      timestamptz,
    last_at       timestamptz,
    days          integer NOT NULL,
    hours         integer NOT NULL,
    scopes_seen   boolean NOT NULL,
    hidden_s      integer NOT NULL DEFAULT 0,
    PRIMARY KEY (credential_id, month)
);
COMMENT ON TABLE usage_months IS 'Use by month: what reports are made of. Owned by usage.';
COMMENT ON COLUMN usage_months.credential_id IS 'credentials.id.';
COMMENT ON COLUMN usage_months.month IS 'Its first day, in the timezone of the configuration.';
COMMENT ON COLUMN usage_months.exchanges IS 'Tokens that others got.';
COMMENT ON COLUMN usage_months.requests IS 'Calls that others made with a token, or last-used times.';
COMMENT ON COLUMN usage_months.failures IS 'What others were refused.';
COMMENT ON COLUMN usage_months.own IS 'Events of our own checks, taken out.';
COMMENT ON COLUMN usage_months.first_at IS 'The first use; null: there were only failures and our own.';
COMMENT ON COLUMN usage_months.last_at IS 'The last use.';
COMMENT ON COLUMN usage_months.days IS 'Days with a use: bit 0 is the first of the month.';
COMMENT ON COLUMN usage_months.hours IS 'Hours of the day with a use, in the same timezone: bit 0 begins at midnight.';
COMMENT ON COLUMN usage_months.scopes_seen IS 'A feed said with which scopes.';
COMMENT ON COLUMN usage_months.hidden_s IS 'Seconds that a last-used time does not tell of, since our own check came after.';

CREATE TABLE usage_scopes (
    credential_id bigint NOT NULL,
    scope         text NOT NULL,
    last_at       timestamptz NOT NULL,
    PRIMARY KEY (credential_id, scope)
);
COMMENT ON TABLE usage_scopes IS 'Which scopes others used, and when last. Owned by usage.';
COMMENT ON COLUMN usage_scopes.credential_id IS 'credentials.id.';
COMMENT ON COLUMN usage_scopes.scope IS 'RFC 6749 §3.3.';
COMMENT ON COLUMN usage_scopes.last_at IS 'When.';

CREATE TABLE usage_events (
    feed          text NOT NULL,
    credential_id bigint NOT NULL,
    at            timestamptz NOT NULL,
    event_id      text NOT NULL,
    kind          text NOT NULL,
    ok            boolean NOT NULL,
    source_ip     inet,
    user_agent    text NOT NULL,
    scopes        text[] NOT NULL
);
CREATE INDEX usage_events_of_credential ON usage_events (credential_id, at DESC);
CREATE INDEX usage_events_of_feed ON usage_events (feed, at);
COMMENT ON TABLE usage_events IS 'Single events, only of feeds that say keep. Owned by usage.';
COMMENT ON COLUMN usage_events.feed IS 'usage_feeds.feed.';
COMMENT ON COLUMN usage_events.credential_id IS 'credentials.id.';
COMMENT ON COLUMN usage_events.at IS 'When it happened.';
COMMENT ON COLUMN usage_events.event_id IS 'As the source names it; may be empty.';
COMMENT ON COLUMN usage_events.kind IS 'exchange, request or last_used.';
COMMENT ON COLUMN usage_events.ok IS 'It was not refused.';
COMMENT ON COLUMN usage_events.source_ip IS 'Null: not said.';
COMMENT ON COLUMN usage_events.user_agent IS 'Cleaned and cut.';
COMMENT ON COLUMN usage_events.scopes IS 'As the source says.';

CREATE TABLE usage_taken (
    check_id uuid PRIMARY KEY,
    taken    smallint NOT NULL,
    taken_at timestamptz NOT NULL
);
COMMENT ON TABLE usage_taken IS 'How many events were taken for a check''s own by address or time alone: never more than it made requests. Owned by usage.';
COMMENT ON COLUMN usage_taken.check_id IS 'checks.id.';
COMMENT ON COLUMN usage_taken.taken IS 'Events.';
COMMENT ON COLUMN usage_taken.taken_at IS 'When it was last counted.';

CREATE TABLE usage_egress (
    provider text NOT NULL,
    address  inet NOT NULL,
    seen_at  timestamptz NOT NULL,
    PRIMARY KEY (provider, address)
);
COMMENT ON TABLE usage_egress IS 'Addresses that a provider sees our own checks from, learned from events that are surely ours. Owned by usage.';
COMMENT ON COLUMN usage_egress.provider IS 'Name in the configuration.';
COMMENT ON COLUMN usage_egress.address IS 'As its feeds say.';
COMMENT ON COLUMN usage_egress.seen_at IS 'When last.';

CREATE TABLE usage_unregistered (
    provider   text NOT NULL,
    client_id  text NOT NULL,
    events     bigint NOT NULL,
    first_at   timestamptz NOT NULL,
    last_at    timestamptz NOT NULL,
    last_address inet,
    created_at timestamptz,
    created_by text NOT NULL DEFAULT '',
    PRIMARY KEY (provider, client_id)
);
COMMENT ON TABLE usage_unregistered IS 'Client ids that feeds show and nobody registered. Owned by usage.';
COMMENT ON COLUMN usage_unregistered.provider IS 'Name in the configuration.';
COMMENT ON COLUMN usage_unregistered.client_id IS 'As the feed has it, cleaned.';
COMMENT ON COLUMN usage_unregistered.events IS 'How many.';
COMMENT ON COLUMN usage_unregistered.first_at IS 'The first.';
COMMENT ON COLUMN usage_unregistered.last_at IS 'The last.';
COMMENT ON COLUMN usage_unregistered.last_address IS 'Where that came from; null: not said.';
COMMENT ON COLUMN usage_unregistered.created_at IS 'When the provider says that it was created; null: it does not.';
COMMENT ON COLUMN usage_unregistered.created_by IS 'By whom.';

CREATE TABLE usage_lifecycle (
    provider      text NOT NULL,
    event_id      text NOT NULL,
    at            timestamptz NOT NULL,
    action        text NOT NULL CHECK (action IN ('created', 'changed', 'revoked')),
    client_id     text NOT NULL,
    credential_id bigint,
    actor         text NOT NULL,
    feed          text NOT NULL,
    PRIMARY KEY (provider, event_id)
);
CREATE INDEX usage_lifecycle_of_credential ON usage_lifecycle (credential_id, at DESC);
CREATE INDEX usage_lifecycle_at ON usage_lifecycle (provider, at);
COMMENT ON TABLE usage_lifecycle IS 'What providers'' own logs say was done to credentials. Owned by usage.';
COMMENT ON COLUMN usage_lifecycle.provider IS 'Name in the configuration.';
COMMENT ON COLUMN usage_lifecycle.event_id IS 'As the provider has it, or a hash of the record.';
COMMENT ON COLUMN usage_lifecycle.at IS 'When it was done.';
COMMENT ON COLUMN usage_lifecycle.action IS 'What.';
COMMENT ON COLUMN usage_lifecycle.client_id IS 'To whom; empty: the log does not say.';
COMMENT ON COLUMN usage_lifecycle.credential_id IS 'credentials.id; null: none of ours, or not said.';
COMMENT ON COLUMN usage_lifecycle.actor IS 'Who did it, cleaned; empty: not said.';
COMMENT ON COLUMN usage_lifecycle.feed IS 'usage_feeds.feed.';

-- notify ---------------------------------------------------------------------------------------
CREATE TABLE notify_letters (
    key         text NOT NULL,
    receiver    text NOT NULL,
    enqueued_at timestamptz NOT NULL,
    channel     text NOT NULL DEFAULT '',
    message_ref text NOT NULL DEFAULT '',
    PRIMARY KEY (key, receiver)
);
COMMENT ON TABLE notify_letters IS 'Messages that are not about a single finding, each posted once. Owned by notify.';
COMMENT ON COLUMN notify_letters.key IS 'report/2026-10 or digest/2026-11-24T09:00:00Z.';
COMMENT ON COLUMN notify_letters.receiver IS 'Name of the receiver; empty: it was put into the outbox.';
COMMENT ON COLUMN notify_letters.enqueued_at IS 'When that was, or when it was posted.';
COMMENT ON COLUMN notify_letters.channel IS 'Where the message is, as the receiver calls it.';
COMMENT ON COLUMN notify_letters.message_ref IS 'Which message: Slack''s ts.';

-- report ---------------------------------------------------------------------------------------
CREATE TABLE reports (
    month   date NOT NULL,
    owner   text NOT NULL,
    made_at timestamptz NOT NULL,
    format  text NOT NULL CHECK (format IN ('html', 'csv', 'json')),
    content bytea NOT NULL,
    sha256  bytea NOT NULL,
    PRIMARY KEY (month, owner, format)
);
-- +goose StatementBegin
CREATE FUNCTION reports_are_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a report that was made does not change';
END $$;
-- +goose StatementEnd
CREATE TRIGGER reports_frozen BEFORE UPDATE OR DELETE OR TRUNCATE ON reports
    FOR EACH STATEMENT EXECUTE FUNCTION reports_are_frozen();
COMMENT ON TABLE reports IS 'Monthly unused-credential reports as they were made; they never change. Owned by report.';
COMMENT ON COLUMN reports.month IS 'The first day of the month that it is about.';
COMMENT ON COLUMN reports.owner IS 'Whose credentials; empty: all.';
COMMENT ON COLUMN reports.made_at IS 'When it was made.';
COMMENT ON COLUMN reports.format IS 'html, csv or json.';
COMMENT ON COLUMN reports.content IS 'The file, byte for byte.';
COMMENT ON COLUMN reports.sha256 IS 'Of content; the record has it as well.';
