-- +goose Up
ALTER TABLE credentials
    ADD COLUMN lease bigint NOT NULL DEFAULT 0,
    ADD COLUMN leased_until timestamptz NOT NULL DEFAULT '-infinity';
COMMENT ON COLUMN credentials.next_check_at IS 'When its next check is due. It moves when the result of that check is recorded, not before.';
COMMENT ON COLUMN credentials.lease IS 'The number of its newest lease; it grows with each. A scheduled result is stored only with the newest number.';
COMMENT ON COLUMN credentials.leased_until IS 'Whoever has that lease may check it until then, and renews it while at work; nobody else gets it before.';
CREATE INDEX credentials_due_of_provider ON credentials (provider, next_check_at) WHERE retired_at IS NULL;

ALTER TABLE provider_pace DROP COLUMN busy_until, DROP COLUMN busy_by;
COMMENT ON COLUMN provider_pace.paced_until IS 'The requests that are booked take its rate until about then.';

CREATE TABLE provider_slots (
    provider   text NOT NULL,
    holder     bigint NOT NULL,
    slots      integer NOT NULL,
    wants      integer NOT NULL,
    yields     boolean NOT NULL,
    since      timestamptz NOT NULL,
    held_until timestamptz NOT NULL,
    PRIMARY KEY (provider, holder)
);
COMMENT ON TABLE provider_slots IS 'Who may have how many checks under way at a provider, so that its concurrency holds over all replicas. Owned by registry.';
COMMENT ON COLUMN provider_slots.provider IS 'Name in the configuration.';
COMMENT ON COLUMN provider_slots.holder IS 'Who, a number that no two runs share.';
COMMENT ON COLUMN provider_slots.slots IS 'How many it has. Those of all holders together are no more than the concurrency.';
COMMENT ON COLUMN provider_slots.wants IS 'How many it has use for.';
COMMENT ON COLUMN provider_slots.yields IS 'A stream of the rounds: whoever else waits goes first.';
COMMENT ON COLUMN provider_slots.since IS 'Since when it has some, or waits for the first.';
COMMENT ON COLUMN provider_slots.held_until IS 'Until then, and it renews that while at work; nobody counts it after.';

-- Batches that the version before queued have moved their credentials'' times already. They are dropped, and what
-- they held is due at once: it is checked once, by a lease.
-- +goose StatementBegin
DO $$
BEGIN
    IF to_regclass('river_job') IS NULL THEN
        RETURN;
    END IF;
    UPDATE credentials SET next_check_at = least(next_check_at, now()), next_check_why = ''
    WHERE retired_at IS NULL AND id IN (
        SELECT jsonb_array_elements_text(args->'credential_ids')::bigint FROM river_job
        WHERE kind = 'batch' AND state IN ('available', 'scheduled', 'retryable', 'running') AND jsonb_typeof(args->'credential_ids') = 'array');
    DELETE FROM river_job WHERE kind = 'batch' AND state IN ('available', 'scheduled', 'retryable', 'running');
END $$;
-- +goose StatementEnd

CREATE TABLE sweeps (
    one     boolean PRIMARY KEY DEFAULT true CHECK (one),
    since   timestamptz NOT NULL,
    resumed timestamptz NOT NULL,
    last_at timestamptz NOT NULL
);
COMMENT ON TABLE sweeps IS 'One row: whether it is looked for what is due, by whichever replica. Owned by registry.';
COMMENT ON COLUMN sweeps.one IS 'So that there is one row.';
COMMENT ON COLUMN sweeps.since IS 'Since when sweeps follow each other without a gap of more than a minute: before, nothing could be checked.';
COMMENT ON COLUMN sweeps.resumed IS 'The first sweep after the last gap of more than 20 seconds, as where the database was away.';
COMMENT ON COLUMN sweeps.last_at IS 'The last sweep.';
