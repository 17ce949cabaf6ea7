-- +goose Up
CREATE TABLE replica_writes (
    replica text PRIMARY KEY,
    at      timestamptz NOT NULL
);
COMMENT ON TABLE replica_writes IS 'What each replica writes every few seconds, to know that it can store. Owned by audit.';
COMMENT ON COLUMN replica_writes.replica IS 'Its host, and a random part.';
COMMENT ON COLUMN replica_writes.at IS 'When it wrote last.';
