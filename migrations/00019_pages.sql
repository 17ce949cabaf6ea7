-- +goose Up
-- The order of pages: the worst first, then by name. The expression is that of worstFirst in package audit.
CREATE INDEX credential_state_worst ON credential_state (
    (CASE status WHEN 'revoked' THEN 0 WHEN 'suspect' THEN 1 WHEN 'degraded' THEN 2 WHEN 'pending' THEN 3 WHEN 'healthy' THEN 5 ELSE 4 END),
    credential
) WHERE status <> 'retired';
COMMENT ON INDEX credential_state_worst IS 'Pages of credentials by cursor, the worst first.';

CREATE INDEX credentials_of_client ON credentials (client_id, provider);
COMMENT ON INDEX credentials_of_client IS 'Whose a client id is: each batch of usage asks, and whoever registers something.';
