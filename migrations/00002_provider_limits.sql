-- +goose Up
ALTER TABLE provider_pace
    ALTER COLUMN paced_until SET DEFAULT '-infinity',
    ADD COLUMN month date NOT NULL DEFAULT '0001-01-01',
    ADD COLUMN requests integer NOT NULL DEFAULT 0,
    ADD COLUMN busy_until timestamptz NOT NULL DEFAULT '-infinity',
    ADD COLUMN busy_by bigint NOT NULL DEFAULT 0;
COMMENT ON TABLE provider_pace IS 'What a provider was asked already, so that its limits hold over all replicas. Owned by registry.';
COMMENT ON COLUMN provider_pace.month IS 'The first day (UTC) of the month that requests counts.';
COMMENT ON COLUMN provider_pace.requests IS 'Token requests handed out in that month, for the budget.';
COMMENT ON COLUMN provider_pace.busy_until IS 'A batch works on it until then at the latest: one at a time holds its concurrency.';
COMMENT ON COLUMN provider_pace.busy_by IS 'The job that does.';
