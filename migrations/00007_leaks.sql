-- +goose Up
CREATE TABLE leak_key (
    id     smallint PRIMARY KEY DEFAULT 1 CHECK (id = 1),
    sealed bytea NOT NULL
);
COMMENT ON TABLE leak_key IS 'The key of this installation''s fingerprints, one row. Owned by leak.';
COMMENT ON COLUMN leak_key.id IS 'Always 1.';
COMMENT ON COLUMN leak_key.sealed IS 'Sealed with the sealing key.';

CREATE TABLE leak_secrets (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    credential_id bigint NOT NULL,
    client_id     text NOT NULL,
    fingerprint   bytea NOT NULL,
    prefixes      bytea[] NOT NULL DEFAULT '{}',
    hmsl          bytea,
    first_at      timestamptz NOT NULL,
    replaced_at   timestamptz,
    sealed        bytea,
    works         boolean,
    works_at      timestamptz,
    refused_at    timestamptz[] NOT NULL DEFAULT '{}',
    next_try_at   timestamptz,
    tries         integer NOT NULL DEFAULT 0,
    proven        text[] NOT NULL DEFAULT '{}',
    death         jsonb,
    dead_at       timestamptz,
    UNIQUE (credential_id, fingerprint)
);
CREATE INDEX leak_secrets_by_fingerprint ON leak_secrets (fingerprint);
CREATE INDEX leak_secrets_by_prefix ON leak_secrets USING gin (prefixes);
CREATE INDEX leak_secrets_by_hmsl ON leak_secrets (hmsl) WHERE hmsl IS NOT NULL;
CREATE INDEX leak_secrets_due ON leak_secrets (next_try_at) WHERE next_try_at IS NOT NULL;
COMMENT ON TABLE leak_secrets IS 'Secrets that credentials have or had, by fingerprint. Owned by leak.';
COMMENT ON COLUMN leak_secrets.id IS 'Named by leak_sightings.secret_id.';
COMMENT ON COLUMN leak_secrets.credential_id IS 'credentials.id.';
COMMENT ON COLUMN leak_secrets.client_id IS 'The client id that it went with.';
COMMENT ON COLUMN leak_secrets.fingerprint IS 'HMAC-SHA256 of the secret with the key of this installation.';
COMMENT ON COLUMN leak_secrets.prefixes IS 'Fingerprints of its beginnings, for reports that show only part of a secret.';
COMMENT ON COLUMN leak_secrets.hmsl IS 'Fingerprint of its HasMySecretLeaked hash, as GitGuardian reports it; null: not made.';
COMMENT ON COLUMN leak_secrets.first_at IS 'When keyrounds first had it.';
COMMENT ON COLUMN leak_secrets.replaced_at IS 'When another took its place; null: it is the present one.';
COMMENT ON COLUMN leak_secrets.sealed IS 'A replaced secret, sealed, until it is proven dead; null: keyrounds does not have it.';
COMMENT ON COLUMN leak_secrets.works IS 'Whether the last exchange with it gave a token; null: not known.';
COMMENT ON COLUMN leak_secrets.works_at IS 'When that was.';
COMMENT ON COLUMN leak_secrets.refused_at IS 'When it was refused, one after the other, without a success in between.';
COMMENT ON COLUMN leak_secrets.next_try_at IS 'When it is tried next; null: it is not watched.';
COMMENT ON COLUMN leak_secrets.tries IS 'How often it was tried.';
COMMENT ON COLUMN leak_secrets.proven IS 'Scopes that a token of it was seen to have.';
COMMENT ON COLUMN leak_secrets.death IS 'The proof that it is dead; null: there is none yet.';
COMMENT ON COLUMN leak_secrets.dead_at IS 'When that was complete.';

CREATE TABLE leak_sightings (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    credential_id bigint NOT NULL,
    secret_id     bigint,
    sort          text NOT NULL,
    key           bytea NOT NULL,
    happened_at   timestamptz NOT NULL,
    seen_at       timestamptz NOT NULL,
    sighting      jsonb NOT NULL,
    settled_at    timestamptz,
    UNIQUE (credential_id, key)
);
CREATE INDEX leak_sightings_unsettled ON leak_sightings (credential_id) WHERE settled_at IS NULL;
COMMENT ON TABLE leak_sightings IS 'Evidence that a credential''s secret got out, each piece once. Owned by leak.';
COMMENT ON COLUMN leak_sightings.id IS 'A number.';
COMMENT ON COLUMN leak_sightings.credential_id IS 'credentials.id.';
COMMENT ON COLUMN leak_sightings.secret_id IS 'leak_secrets.id; null: it is about the client id.';
COMMENT ON COLUMN leak_sightings.sort IS 'secret, part, client_id, signal, use or replaced.';
COMMENT ON COLUMN leak_sightings.key IS 'SHA-256 of what makes it the same piece of evidence when it comes again.';
COMMENT ON COLUMN leak_sightings.happened_at IS 'The commit''s author date, the event''s time; else when it was seen.';
COMMENT ON COLUMN leak_sightings.seen_at IS 'When keyrounds learned of it.';
COMMENT ON COLUMN leak_sightings.sighting IS 'Where and how, clean, without secrets.';
COMMENT ON COLUMN leak_sightings.settled_at IS 'When the finding that it is part of was resolved; null: it still counts.';

CREATE TABLE leak_deliveries (
    receiver   text NOT NULL,
    digest     bytea NOT NULL,
    taken_at   timestamptz NOT NULL,
    matched    integer NOT NULL,
    strangers  integer NOT NULL,
    PRIMARY KEY (receiver, digest)
);
COMMENT ON TABLE leak_deliveries IS 'Reports that were taken in, so that none is twice, and what they came to. Owned by leak.';
COMMENT ON COLUMN leak_deliveries.receiver IS 'The webhook or transmitter, or import.';
COMMENT ON COLUMN leak_deliveries.digest IS 'SHA-256 of the body, or of the jti of a security event token.';
COMMENT ON COLUMN leak_deliveries.taken_at IS 'When.';
COMMENT ON COLUMN leak_deliveries.matched IS 'Secrets in it that are registered.';
COMMENT ON COLUMN leak_deliveries.strangers IS 'Secrets in it that are not.';

CREATE TABLE leak_waiting (
    receiver    text NOT NULL,
    digest      bytea NOT NULL,
    event       text NOT NULL,
    sealed      bytea NOT NULL,
    since       timestamptz NOT NULL,
    tries       integer NOT NULL DEFAULT 0,
    next_try_at timestamptz NOT NULL,
    why         text NOT NULL,
    PRIMARY KEY (receiver, digest)
);
CREATE INDEX leak_waiting_due ON leak_waiting (next_try_at);
COMMENT ON TABLE leak_waiting IS 'Reports that were verified, and whose alert could not be fetched yet. Owned by leak.';
COMMENT ON COLUMN leak_waiting.receiver IS 'The webhook.';
COMMENT ON COLUMN leak_waiting.digest IS 'SHA-256 of the body.';
COMMENT ON COLUMN leak_waiting.event IS 'What it was delivered as.';
COMMENT ON COLUMN leak_waiting.sealed IS 'The body, sealed with the sealing key.';
COMMENT ON COLUMN leak_waiting.since IS 'When it was delivered.';
COMMENT ON COLUMN leak_waiting.tries IS 'How often it was tried again.';
COMMENT ON COLUMN leak_waiting.next_try_at IS 'When it is tried next; moved on before it is.';
COMMENT ON COLUMN leak_waiting.why IS 'Why the last try failed.';

CREATE TABLE leak_sources (
    source      text PRIMARY KEY,
    next_scan_at timestamptz NOT NULL,
    scanned_at  timestamptz,
    took_ms     bigint NOT NULL DEFAULT 0,
    bytes       bigint NOT NULL DEFAULT 0,
    found       integer NOT NULL DEFAULT 0,
    skipped     integer NOT NULL DEFAULT 0,
    error       text NOT NULL DEFAULT ''
);
COMMENT ON TABLE leak_sources IS 'Places that the daemon scans by itself, as the last scan left them. Owned by leak.';
COMMENT ON COLUMN leak_sources.source IS 'Its name in the configuration.';
COMMENT ON COLUMN leak_sources.next_scan_at IS 'When it is due; moved on before a scan begins.';
COMMENT ON COLUMN leak_sources.scanned_at IS 'When the last scan ended; null: none did yet.';
COMMENT ON COLUMN leak_sources.took_ms IS 'How long that took.';
COMMENT ON COLUMN leak_sources.bytes IS 'How much it read.';
COMMENT ON COLUMN leak_sources.found IS 'Places where it found registered secrets or client ids.';
COMMENT ON COLUMN leak_sources.skipped IS 'What it could not read, or not whole.';
COMMENT ON COLUMN leak_sources.error IS 'Why it could not be scanned; empty: it could.';
