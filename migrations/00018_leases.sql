-- +goose Up
ALTER TABLE credentials
    ADD COLUMN lease bigint NOT NULL DEFAULT 0,
    ADD COLUMN leased_until timestamptz NOT NULL DEFAULT '-infinity';
COMMENT ON COLUMN credentials.next_check_at IS 'When its next check is due. It moves when the result of that check is recorded, not before.';
COMMENT ON COLUMN credentials.lease IS 'The number of its newest lease; it grows with each. A scheduled result is stored only with the newest number.';
COMMENT ON COLUMN credentials.leased_until IS 'Whoever has that lease may check it until then, and renews it while at work; nobody else gets it before.';
CREATE INDEX credentials_due_of_provider ON credentials (provider, next_check_at) WHERE retired_at IS NULL;

ALTER TABLE provider_pace ADD COLUMN wanted_until timestamptz NOT NULL DEFAULT '-infinity';
COMMENT ON COLUMN provider_pace.wanted_until IS 'Somebody waits for the provider until then at least: the rounds let them go first.';
COMMENT ON COLUMN provider_pace.busy_until IS 'Somebody works on it until then, and renews it while at work: one at a time holds its concurrency.';
COMMENT ON COLUMN provider_pace.busy_by IS 'Who does, a number that no two runs share.';
COMMENT ON COLUMN provider_pace.paced_until IS 'The requests that are booked take its rate until about then.';

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
    last_at timestamptz NOT NULL
);
COMMENT ON TABLE sweeps IS 'One row: whether it is looked for what is due, by whichever replica. Owned by registry.';
COMMENT ON COLUMN sweeps.one IS 'So that there is one row.';
COMMENT ON COLUMN sweeps.since IS 'Since when sweeps follow each other without a gap of more than a minute: before, nothing could be checked.';
COMMENT ON COLUMN sweeps.last_at IS 'The last sweep.';
