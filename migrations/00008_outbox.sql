-- +goose Up
-- The outbox is filled where findings change, by the package audit; notify empties it through audit.
ALTER TABLE notify_pending RENAME TO finding_outbox;
COMMENT ON TABLE finding_outbox IS 'The outbox: findings that changed, until it is known who is told. Rows come in the transaction of the change. Owned by audit.';
