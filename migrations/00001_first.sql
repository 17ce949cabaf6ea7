-- +goose Up
-- registry -------------------------------------------------------------------------------------
CREATE TABLE credentials (
    id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name              text NOT NULL UNIQUE,
    provider          text NOT NULL,
    client_id         text NOT NULL,
    secret_ref        text NOT NULL,
    sealed_secret     bytea,
    description       text NOT NULL DEFAULT '',
    scopes            text[] NOT NULL DEFAULT '{}',
    owner             text NOT NULL DEFAULT '',
    labels            jsonb NOT NULL DEFAULT '{}',
    schedule          text NOT NULL,
    unused_after      interval NOT NULL,
    max_age           interval NOT NULL DEFAULT '0',
    created_on        date,
    canary            boolean NOT NULL DEFAULT false,
    expected_networks cidr[] NOT NULL DEFAULT '{}',
    source            text NOT NULL CHECK (source IN ('file', 'command')),
    registered_at     timestamptz NOT NULL,
    changed_at        timestamptz NOT NULL,
    retired_at        timestamptz,
    next_check_at     timestamptz NOT NULL
);
CREATE INDEX credentials_due ON credentials (next_check_at) WHERE retired_at IS NULL;
COMMENT ON TABLE credentials IS 'Registered clients of providers. Owned by the package registry.';
COMMENT ON COLUMN credentials.id IS 'Given here; never reused.';
COMMENT ON COLUMN credentials.name IS '[a-z0-9][a-z0-9-]*, also of retired ones.';
COMMENT ON COLUMN credentials.provider IS 'Name of a provider in the configuration file.';
COMMENT ON COLUMN credentials.client_id IS 'RFC 6749 §2.2.';
COMMENT ON COLUMN credentials.secret_ref IS 'Where the secret is: env: file: exec: systemd: or sealed:; never the secret.';
COMMENT ON COLUMN credentials.sealed_secret IS 'The secret for sealed:, Tink AEAD with the name as associated data.';
COMMENT ON COLUMN credentials.description IS 'What it is for.';
COMMENT ON COLUMN credentials.scopes IS 'Declared scopes (RFC 6749 §3.3).';
COMMENT ON COLUMN credentials.owner IS 'Team or person; empty: nobody is named.';
COMMENT ON COLUMN credentials.labels IS 'Object of strings.';
COMMENT ON COLUMN credentials.schedule IS 'Cron, in the timezone of the configuration.';
COMMENT ON COLUMN credentials.unused_after IS 'How long without use makes it unused.';
COMMENT ON COLUMN credentials.max_age IS 'How old the secret may become; 0: no limit.';
COMMENT ON COLUMN credentials.created_on IS 'When the provider made it; null: not known.';
COMMENT ON COLUMN credentials.canary IS 'Nobody may ever use it.';
COMMENT ON COLUMN credentials.expected_networks IS 'Where its use comes from; empty: anywhere.';
COMMENT ON COLUMN credentials.source IS 'file: named in the configuration; command: by a command.';
COMMENT ON COLUMN credentials.registered_at IS 'When keyrounds first had it.';
COMMENT ON COLUMN credentials.changed_at IS 'When client id, provider or secret last changed here.';
COMMENT ON COLUMN credentials.retired_at IS 'Null: active.';
COMMENT ON COLUMN credentials.next_check_at IS 'When its next check is due.';

CREATE TABLE provider_pace (
    provider    text PRIMARY KEY,
    paced_until timestamptz NOT NULL
);
COMMENT ON TABLE provider_pace IS 'When a provider''s next batch may begin, so that its rate holds over all replicas. Owned by registry.';
COMMENT ON COLUMN provider_pace.provider IS 'Name in the configuration.';
COMMENT ON COLUMN provider_pace.paced_until IS 'The batches already handed out end about then.';

-- audit ----------------------------------------------------------------------------------------
CREATE TABLE checks (
    id                uuid NOT NULL,
    checked_at        timestamptz NOT NULL,
    credential_id     bigint NOT NULL,
    provider          text NOT NULL,
    outcome           text NOT NULL,
    reason            text NOT NULL,
    rule              text NOT NULL,
    status            text NOT NULL,
    http_status       smallint NOT NULL,
    error_code        text NOT NULL,
    error_description text NOT NULL,
    message           text NOT NULL,
    latency_us        bigint NOT NULL,
    dns_us            bigint NOT NULL,
    connect_us        bigint NOT NULL,
    tls_us            bigint NOT NULL,
    first_byte_us     bigint NOT NULL,
    expires_in_s      integer NOT NULL,
    granted_scopes    text[],
    missing_scopes    text[] NOT NULL,
    extra_scopes      text[] NOT NULL,
    probes            jsonb NOT NULL,
    token_hash        bytea,
    clock_skew_ms     integer NOT NULL,
    PRIMARY KEY (checked_at, id)
) PARTITION BY RANGE (checked_at);
CREATE INDEX checks_of_credential ON checks (credential_id, checked_at DESC);
COMMENT ON TABLE checks IS 'What each check saw, one row a check, partitioned by month (UTC). Owned by audit.';
COMMENT ON COLUMN checks.id IS 'Made before the check is stored.';
COMMENT ON COLUMN checks.checked_at IS 'When the check began.';
COMMENT ON COLUMN checks.credential_id IS 'credentials.id; no foreign key, so that history outlives everything.';
COMMENT ON COLUMN checks.provider IS 'The provider at that time.';
COMMENT ON COLUMN checks.outcome IS 'ok, scope_reduced, scope_denied, grant_denied, rejected, misconfigured, rate_limited, provider_error, intercepted, malformed or unreachable.';
COMMENT ON COLUMN checks.reason IS 'Refines the outcome; empty: no more than the outcome.';
COMMENT ON COLUMN checks.rule IS 'How the answer was read.';
COMMENT ON COLUMN checks.status IS 'The credential''s status after this check.';
COMMENT ON COLUMN checks.http_status IS '0: no answer.';
COMMENT ON COLUMN checks.error_code IS 'The provider''s error (RFC 6749 §5.2), cleaned.';
COMMENT ON COLUMN checks.error_description IS 'The provider''s words, cleaned and cut.';
COMMENT ON COLUMN checks.message IS 'One sentence for a person.';
COMMENT ON COLUMN checks.latency_us IS 'The whole exchange, in microseconds.';
COMMENT ON COLUMN checks.dns_us IS 'Look-up of the name; 0: did not happen.';
COMMENT ON COLUMN checks.connect_us IS 'TCP connection; 0: one was reused.';
COMMENT ON COLUMN checks.tls_us IS 'TLS handshake; 0: did not happen.';
COMMENT ON COLUMN checks.first_byte_us IS 'From the request''s last byte to the answer''s first.';
COMMENT ON COLUMN checks.expires_in_s IS 'The token''s life in seconds; 0: not said.';
COMMENT ON COLUMN checks.granted_scopes IS 'Null: not said, which means as requested (RFC 6749 §5.1).';
COMMENT ON COLUMN checks.missing_scopes IS 'Declared, and not granted or not working.';
COMMENT ON COLUMN checks.extra_scopes IS 'Granted, and not declared.';
COMMENT ON COLUMN checks.probes IS 'List of {scope, verdict, http_status, message}.';
COMMENT ON COLUMN checks.token_hash IS 'SHA-256 of the token, to tell our own use from others''. The token is not stored.';
COMMENT ON COLUMN checks.clock_skew_ms IS 'The provider''s clock less ours; 0: within a second, or not said.';

CREATE TABLE credential_state (
    credential_id   bigint PRIMARY KEY,
    credential      text NOT NULL,
    provider        text NOT NULL,
    status          text NOT NULL CHECK (status IN ('pending', 'healthy', 'degraded', 'suspect', 'revoked', 'unknown', 'retired')),
    since           timestamptz NOT NULL,
    changed_at      timestamptz NOT NULL,
    last_check_at   timestamptz,
    last_success_at timestamptz,
    last_certain_at timestamptz,
    suspect_since   timestamptz,
    last_check      uuid,
    outcome         text NOT NULL DEFAULT '',
    reason          text NOT NULL DEFAULT '',
    message         text NOT NULL DEFAULT '',
    latency_us      bigint NOT NULL DEFAULT 0,
    memory          jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX credential_state_of_provider ON credential_state (provider);
COMMENT ON TABLE credential_state IS 'What we hold of each credential now, one row each, so that no page scans history. Owned by audit.';
COMMENT ON COLUMN credential_state.credential_id IS 'credentials.id.';
COMMENT ON COLUMN credential_state.credential IS 'credentials.name.';
COMMENT ON COLUMN credential_state.provider IS 'credentials.provider.';
COMMENT ON COLUMN credential_state.status IS 'The verdict.';
COMMENT ON COLUMN credential_state.since IS 'When the status began.';
COMMENT ON COLUMN credential_state.changed_at IS 'When client id, provider or secret last changed here.';
COMMENT ON COLUMN credential_state.last_check_at IS 'Null: not checked yet.';
COMMENT ON COLUMN credential_state.last_success_at IS 'The last token; null: never.';
COMMENT ON COLUMN credential_state.last_certain_at IS 'The last answer that says something of the credential.';
COMMENT ON COLUMN credential_state.suspect_since IS 'The first refusal; null: not suspected.';
COMMENT ON COLUMN credential_state.last_check IS 'checks.id of the last check.';
COMMENT ON COLUMN credential_state.outcome IS 'Of the last check.';
COMMENT ON COLUMN credential_state.reason IS 'Of the last check.';
COMMENT ON COLUMN credential_state.message IS 'Of the last check.';
COMMENT ON COLUMN credential_state.latency_us IS 'Of the last check.';
COMMENT ON COLUMN credential_state.memory IS 'What the rules of the verdict remember.';

CREATE TABLE provider_state (
    provider text PRIMARY KEY
);
COMMENT ON TABLE provider_state IS 'One row a provider, locked while its credentials are judged as a fleet. Owned by audit.';
COMMENT ON COLUMN provider_state.provider IS 'Name in the configuration.';

CREATE TABLE findings (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind            text NOT NULL,
    severity        text NOT NULL CHECK (severity IN ('critical', 'warning', 'info')),
    subject         text NOT NULL,
    credential_id   bigint,
    credential      text NOT NULL,
    provider        text NOT NULL,
    state           text NOT NULL CHECK (state IN ('open', 'acknowledged', 'snoozed', 'resolved')),
    evidence        jsonb NOT NULL,
    opened_at       timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    resolved_at     timestamptz,
    resolved_why    text NOT NULL DEFAULT '',
    acknowledged_by text NOT NULL DEFAULT '',
    snoozed_until   timestamptz
);
CREATE UNIQUE INDEX findings_one_open ON findings (kind, subject) WHERE state <> 'resolved';
CREATE INDEX findings_of_provider ON findings (provider, kind, opened_at DESC);
COMMENT ON TABLE findings IS 'What a person should know. At most one that is not resolved per kind and subject. Owned by audit.';
COMMENT ON COLUMN findings.id IS 'Shown to people.';
COMMENT ON COLUMN findings.kind IS 'revoked, scope_lost, secret_unreadable, unverifiable, flapping, provider_incident and so on.';
COMMENT ON COLUMN findings.severity IS 'How urgent.';
COMMENT ON COLUMN findings.subject IS 'credential/NAME or provider/NAME.';
COMMENT ON COLUMN findings.credential_id IS 'Null: about a provider.';
COMMENT ON COLUMN findings.credential IS 'Empty: about a provider.';
COMMENT ON COLUMN findings.provider IS 'Name in the configuration.';
COMMENT ON COLUMN findings.state IS 'Where it stands.';
COMMENT ON COLUMN findings.evidence IS 'What it rests on.';
COMMENT ON COLUMN findings.opened_at IS 'When it was found.';
COMMENT ON COLUMN findings.updated_at IS 'When it last changed.';
COMMENT ON COLUMN findings.resolved_at IS 'Null: not resolved.';
COMMENT ON COLUMN findings.resolved_why IS 'For people.';
COMMENT ON COLUMN findings.acknowledged_by IS 'Who; empty: nobody.';
COMMENT ON COLUMN findings.snoozed_until IS 'Null: not snoozed.';

CREATE TABLE record (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL,
    actor   text NOT NULL,
    action  text NOT NULL,
    subject text NOT NULL,
    detail  jsonb NOT NULL
);
CREATE INDEX record_of_subject ON record (subject, id DESC);
COMMENT ON TABLE record IS 'Who did what: registry changes, findings, notifications. Append-only. Owned by audit.';
COMMENT ON COLUMN record.id IS 'In the order of appending.';
COMMENT ON COLUMN record.at IS 'When it was done.';
COMMENT ON COLUMN record.actor IS 'daemon, or "user NAME" for a command.';
COMMENT ON COLUMN record.action IS 'For example credential.added, finding.opened, notification.sent.';
COMMENT ON COLUMN record.subject IS 'credential/NAME or provider/NAME.';
COMMENT ON COLUMN record.detail IS 'Cleaned; never a secret.';
-- +goose StatementBegin
CREATE FUNCTION record_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the table record is append-only';
END $$;
-- +goose StatementEnd
CREATE TRIGGER record_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON record
    FOR EACH STATEMENT EXECUTE FUNCTION record_is_append_only();

-- notify ---------------------------------------------------------------------------------------
CREATE TABLE notify_messages (
    finding_id  bigint NOT NULL,
    receiver    text NOT NULL,
    channel     text NOT NULL,
    message_ref text NOT NULL,
    told_state  text NOT NULL,
    told_digest text NOT NULL,
    sent_at     timestamptz NOT NULL,
    PRIMARY KEY (finding_id, receiver)
);
COMMENT ON TABLE notify_messages IS 'What each receiver was last told of each finding. Owned by notify.';
COMMENT ON COLUMN notify_messages.finding_id IS 'findings.id.';
COMMENT ON COLUMN notify_messages.receiver IS 'Name of the receiver.';
COMMENT ON COLUMN notify_messages.channel IS 'Where the message is, as the receiver calls it.';
COMMENT ON COLUMN notify_messages.message_ref IS 'Which message: Slack''s ts.';
COMMENT ON COLUMN notify_messages.told_state IS 'The finding''s state that was told.';
COMMENT ON COLUMN notify_messages.told_digest IS 'Hash of the message that was told.';
COMMENT ON COLUMN notify_messages.sent_at IS 'When it was last posted or updated.';
