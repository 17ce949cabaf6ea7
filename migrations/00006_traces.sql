-- +goose Up
-- audit ----------------------------------------------------------------------------------------
ALTER TABLE credential_state ADD COLUMN expires_in_s integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN credential_state.expires_in_s IS 'expires_in of the last token; 0: not said, or none yet.';

-- notify ---------------------------------------------------------------------------------------
ALTER TABLE notify_pending ADD COLUMN trace text NOT NULL DEFAULT '';
COMMENT ON COLUMN notify_pending.trace IS 'traceparent of what changed it (W3C Trace Context); empty: not traced.';
ALTER TABLE notify_messages ADD COLUMN trace text NOT NULL DEFAULT '';
COMMENT ON COLUMN notify_messages.trace IS 'traceparent of what it was last made or changed for; empty: not traced.';
