-- +goose Up
-- Only the owner of a table may do it, and the application's role owns nothing.
-- +goose StatementBegin
CREATE FUNCTION analyze_credentials() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    ANALYZE credentials;
END $$;
-- +goose StatementEnd
COMMENT ON FUNCTION analyze_credentials IS 'Makes the statistics of credentials anew, where many were written. Owned by registry.';
