-- +goose Up
CREATE TABLE sealing_keys (
    id      text PRIMARY KEY,
    proof   bytea NOT NULL,
    current boolean NOT NULL,
    since   timestamptz NOT NULL
);
CREATE UNIQUE INDEX sealing_keys_current ON sealing_keys (current) WHERE current;
COMMENT ON TABLE sealing_keys IS 'Which sealing keys this database needs; the keys themselves are not in it. More than one only while they are replaced. Owned by sealing.';
COMMENT ON COLUMN sealing_keys.id IS 'As Tink names it, in hexadecimal; bytes 2 to 5 of all that it seals.';
COMMENT ON COLUMN sealing_keys.proof IS 'Its id, sealed with it: what opens it is the same key, and not only one of the same id.';
COMMENT ON COLUMN sealing_keys.current IS 'It is the one that seals. Whoever seals holds the row until the transaction ends.';
COMMENT ON COLUMN sealing_keys.since IS 'When it became that.';
