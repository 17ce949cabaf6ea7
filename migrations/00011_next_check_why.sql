-- +goose Up
ALTER TABLE credentials ADD COLUMN next_check_why text NOT NULL DEFAULT '';
COMMENT ON COLUMN credentials.next_check_why IS 'Why its next check is due then, in words; empty: as scheduled.';
