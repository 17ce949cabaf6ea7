-- +goose Up
-- A check costs what it writes. Where a whole row is rewritten in its page no index is touched: pages keep room for that.
ALTER TABLE credentials SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
ALTER TABLE credential_state SET (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.05);
DROP INDEX credentials_due;

-- One index in place of two: every reader asks for a credential, or for a stretch of time.
ALTER TABLE checks DROP CONSTRAINT checks_pkey;
ALTER TABLE checks ADD PRIMARY KEY (credential_id, checked_at, id);
DROP INDEX checks_of_credential;
CREATE INDEX checks_at ON checks USING brin (checked_at);
COMMENT ON INDEX checks_at IS 'A day of checks, for the roll-up. It costs a check nothing.';

-- What a crash of the database itself takes with it are checks in flight; docs/decisions/0018.
ALTER TABLE check_intents DROP CONSTRAINT check_intents_pkey;
ALTER TABLE check_intents SET UNLOGGED;
COMMENT ON TABLE check_intents IS 'Checks that are about to be made, so that a feed tells them from the use of others. A crash of the server empties it. Owned by audit.';
