-- +goose Up
CREATE TABLE provider_quarters (
    provider text NOT NULL,
    at       timestamptz NOT NULL,
    checks   int NOT NULL,
    ok       int NOT NULL,
    reduced  int NOT NULL,
    doubted  int NOT NULL,
    refused  int NOT NULL,
    troubled int NOT NULL,
    latency  jsonb NOT NULL,
    PRIMARY KEY (provider, at)
);
COMMENT ON TABLE provider_quarters IS 'What the checks of a provider saw in each quarter of an hour, for 90 days, so that no page counts checks. Owned by audit.';
COMMENT ON COLUMN provider_quarters.provider IS 'checks.provider.';
COMMENT ON COLUMN provider_quarters.at IS 'When it begins.';
COMMENT ON COLUMN provider_quarters.checks IS 'How many.';
COMMENT ON COLUMN provider_quarters.ok IS 'With the outcome ok.';
COMMENT ON COLUMN provider_quarters.reduced IS 'With less than is declared: scope_reduced, scope_denied, grant_denied.';
COMMENT ON COLUMN provider_quarters.doubted IS 'Rejected, and not confirmed then.';
COMMENT ON COLUMN provider_quarters.refused IS 'Rejected, and confirmed.';
COMMENT ON COLUMN provider_quarters.troubled IS 'That say nothing of the credential: the provider, the way to it, or we had a problem.';
COMMENT ON COLUMN provider_quarters.latency IS 'Exchanges that were answered, by latency: {"57": 3} are 3 of at least 2^(57/4) and less than 2^(58/4) microseconds.';

CREATE INDEX credential_state_worst_of_provider ON credential_state (
    provider,
    (CASE status WHEN 'revoked' THEN 0 WHEN 'suspect' THEN 1 WHEN 'degraded' THEN 2 WHEN 'pending' THEN 3 WHEN 'healthy' THEN 5 ELSE 4 END),
    credential
) WHERE status <> 'retired';
COMMENT ON INDEX credential_state_worst_of_provider IS 'Pages of a provider''s credentials by cursor, the worst first; and how many have which status.';
DROP INDEX credential_state_of_provider;
CREATE INDEX credential_state_of_provider ON credential_state (provider, credential);
COMMENT ON INDEX credential_state_of_provider IS 'Pages of a provider''s credentials by cursor, by name.';

CREATE INDEX credentials_of_owner ON credentials (owner, name);
COMMENT ON INDEX credentials_of_owner IS 'Whose credentials those are.';
CREATE INDEX credentials_labels ON credentials USING gin (labels);
COMMENT ON INDEX credentials_labels IS 'Which credentials have a label.';
CREATE INDEX findings_of_credential ON findings (credential_id, id DESC);
COMMENT ON INDEX findings_of_credential IS 'The findings of a credential, the newest first.';
CREATE INDEX findings_unresolved ON findings (kind, credential_id) WHERE state <> 'resolved';
COMMENT ON INDEX findings_unresolved IS 'Which credentials have a finding of a kind.';
