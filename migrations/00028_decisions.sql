-- +goose Up
CREATE TABLE decisions (
    credential_id bigint PRIMARY KEY,
    credential    text NOT NULL,
    choice        text NOT NULL CHECK (choice IN ('keep', 'revoke', 'rotate', 'drop_scopes')),
    until         date NOT NULL,
    why           text NOT NULL,
    decided_by    text NOT NULL,
    decided_at    timestamptz NOT NULL,
    ended_at      timestamptz
);
CREATE INDEX decisions_by_name ON decisions (credential) WHERE ended_at IS NULL;
COMMENT ON TABLE decisions IS 'What people decided last of credentials; what they decided before is in the record. Owned by decision.';
COMMENT ON COLUMN decisions.credential_id IS 'credentials.id.';
COMMENT ON COLUMN decisions.credential IS 'Its name.';
COMMENT ON COLUMN decisions.choice IS 'keep, revoke, rotate or drop_scopes.';
COMMENT ON COLUMN decisions.until IS 'It holds until this day begins (UTC); then the credential is undecided again.';
COMMENT ON COLUMN decisions.why IS 'In the words of who decided.';
COMMENT ON COLUMN decisions.decided_by IS 'Who, as the record names people.';
COMMENT ON COLUMN decisions.decided_at IS 'When.';
COMMENT ON COLUMN decisions.ended_at IS 'When the credential was retired: there is nothing left to decide. Null: it is registered.';
COMMENT ON INDEX decisions_by_name IS 'Pages of decisions by cursor, by name.';

CREATE TABLE report_signoffs (
    month     date NOT NULL,
    owner     text NOT NULL,
    edition   int NOT NULL CHECK (edition > 0),
    signed_at timestamptz NOT NULL,
    signed_by text NOT NULL,
    undecided int NOT NULL CHECK (undecided >= 0),
    note      text NOT NULL,
    PRIMARY KEY (month, owner, edition)
);
-- +goose StatementBegin
CREATE FUNCTION report_signoffs_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what was signed off stays signed off';
END $$;
-- +goose StatementEnd
CREATE TRIGGER report_signoffs_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON report_signoffs
    FOR EACH STATEMENT EXECUTE FUNCTION report_signoffs_stay();
COMMENT ON TABLE report_signoffs IS 'Which frozen reports a reviewer signed off; they never change. Owned by report.';
COMMENT ON COLUMN report_signoffs.month IS 'reports.month.';
COMMENT ON COLUMN report_signoffs.owner IS 'reports.owner: whose extract; empty: the report of all.';
COMMENT ON COLUMN report_signoffs.edition IS 'reports.edition: an edition that was made later is signed off anew.';
COMMENT ON COLUMN report_signoffs.signed_at IS 'When.';
COMMENT ON COLUMN report_signoffs.signed_by IS 'Who, as the record names people.';
COMMENT ON COLUMN report_signoffs.undecided IS 'How many credentials of it were undecided then.';
COMMENT ON COLUMN report_signoffs.note IS 'In the words of who signed; empty: none.';
