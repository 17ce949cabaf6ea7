-- +goose Up
CREATE TABLE access_people (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name         text NOT NULL,
    issuer       text NOT NULL DEFAULT '',
    subject      text NOT NULL DEFAULT '',
    role         text NOT NULL CHECK (role IN ('viewer', 'responder', 'owner', 'admin')),
    owners       text[] NOT NULL DEFAULT '{}',
    password     text NOT NULL DEFAULT '',
    temporary    boolean NOT NULL DEFAULT false,
    added_at     timestamptz NOT NULL,
    added_by     text NOT NULL,
    signed_in_at timestamptz,
    disabled_at  timestamptz,
    CHECK ((issuer = '') = (subject = ''))
);
CREATE UNIQUE INDEX access_people_local ON access_people (name) WHERE issuer = '';
CREATE UNIQUE INDEX access_people_subject ON access_people (issuer, subject) WHERE issuer <> '';
COMMENT ON TABLE access_people IS 'Who may sign in. Owned by access.';
COMMENT ON COLUMN access_people.id IS 'Given here; never reused.';
COMMENT ON COLUMN access_people.name IS 'Of a local person: what he signs in with. Of an issuer''s: how he is shown, as it said last.';
COMMENT ON COLUMN access_people.issuer IS 'The URL of the OpenID provider that knows him; empty: a local person.';
COMMENT ON COLUMN access_people.subject IS 'Its sub: who he is there, whatever he is called.';
COMMENT ON COLUMN access_people.role IS 'What he may do. Of an issuer''s person: by his groups, at the last sign-in.';
COMMENT ON COLUMN access_people.owners IS 'Whose credentials he sees and decides, where the role is owner.';
COMMENT ON COLUMN access_people.password IS 'Argon2id in the PHC string format, with its parameters and salt; empty: no password opens it.';
COMMENT ON COLUMN access_people.temporary IS 'An admin knows the password: it opens nothing but its own change.';
COMMENT ON COLUMN access_people.added_at IS 'When.';
COMMENT ON COLUMN access_people.added_by IS 'By whom, as the record names him.';
COMMENT ON COLUMN access_people.signed_in_at IS 'When he did last; null: never.';
COMMENT ON COLUMN access_people.disabled_at IS 'Since when he may not sign in, and his sessions and tokens open nothing; null: he may.';

CREATE TABLE access_sessions (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    person_id    bigint NOT NULL REFERENCES access_people ON DELETE CASCADE,
    hash         bytea NOT NULL UNIQUE,
    next_hash    bytea UNIQUE,
    next_at      timestamptz,
    before_hash  bytea UNIQUE,
    before_until timestamptz,
    began_at     timestamptz NOT NULL,
    renewed_at   timestamptz NOT NULL,
    used_at      timestamptz NOT NULL,
    ends_at      timestamptz NOT NULL,
    address      text NOT NULL,
    agent        text NOT NULL
);
CREATE INDEX access_sessions_person ON access_sessions (person_id);
CREATE INDEX access_sessions_ends ON access_sessions (ends_at);
COMMENT ON TABLE access_sessions IS 'Browsers that are signed in. One that ended has no row. Owned by access.';
COMMENT ON COLUMN access_sessions.id IS 'To name it by; it opens nothing.';
COMMENT ON COLUMN access_sessions.person_id IS 'Whose.';
COMMENT ON COLUMN access_sessions.hash IS 'SHA-256 of the id in the cookie, which is nowhere else.';
COMMENT ON COLUMN access_sessions.next_hash IS 'Likewise of the id that was sent to replace it, until the browser shows that it has it; null: none was.';
COMMENT ON COLUMN access_sessions.next_at IS 'When that was sent.';
COMMENT ON COLUMN access_sessions.before_hash IS 'Likewise of the id before. Whoever shows it after before_until has a copy: the session ends.';
COMMENT ON COLUMN access_sessions.before_until IS 'Until then it is taken, since requests overlap.';
COMMENT ON COLUMN access_sessions.began_at IS 'When he signed in.';
COMMENT ON COLUMN access_sessions.renewed_at IS 'Since when hash is the id.';
COMMENT ON COLUMN access_sessions.used_at IS 'When it was used last, to the minute. Without use it ends.';
COMMENT ON COLUMN access_sessions.ends_at IS 'When it ends, used or not.';
COMMENT ON COLUMN access_sessions.address IS 'From where he signed in.';
COMMENT ON COLUMN access_sessions.agent IS 'With what browser, as that says, cleaned and cut.';

CREATE TABLE access_tokens (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text NOT NULL,
    hash       bytea NOT NULL UNIQUE,
    hint       text NOT NULL,
    person_id  bigint REFERENCES access_people ON DELETE CASCADE,
    role       text NOT NULL CHECK (role IN ('viewer', 'responder', 'owner', 'admin')),
    owners     text[] NOT NULL DEFAULT '{}',
    made_at    timestamptz NOT NULL,
    made_by    text NOT NULL,
    ends_at    timestamptz,
    used_at    timestamptz,
    revoked_at timestamptz,
    revoked_by text NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX access_tokens_name ON access_tokens (name) WHERE revoked_at IS NULL;
CREATE INDEX access_tokens_person ON access_tokens (person_id);
COMMENT ON TABLE access_tokens IS 'API tokens. Owned by access.';
COMMENT ON COLUMN access_tokens.id IS 'Given here; never reused.';
COMMENT ON COLUMN access_tokens.name IS 'What it is for; the record names what it does by it. One that is revoked leaves it to others.';
COMMENT ON COLUMN access_tokens.hash IS 'SHA-256 of the token, which is nowhere here.';
COMMENT ON COLUMN access_tokens.hint IS 'Its beginning, to know it by.';
COMMENT ON COLUMN access_tokens.person_id IS 'Whose it is: it never opens more than he may. Null: of the installation.';
COMMENT ON COLUMN access_tokens.role IS 'What it may do at most.';
COMMENT ON COLUMN access_tokens.owners IS 'Whose credentials it sees, where the role is owner.';
COMMENT ON COLUMN access_tokens.made_at IS 'When.';
COMMENT ON COLUMN access_tokens.made_by IS 'By whom, as the record names him.';
COMMENT ON COLUMN access_tokens.ends_at IS 'When it ends by itself; null: never.';
COMMENT ON COLUMN access_tokens.used_at IS 'When it was used last, to the minute; null: never.';
COMMENT ON COLUMN access_tokens.revoked_at IS 'Since when it opens nothing; null: it is in force.';
COMMENT ON COLUMN access_tokens.revoked_by IS 'Who did that.';

CREATE TABLE access_first_run (
    hash    bytea PRIMARY KEY,
    made_at timestamptz NOT NULL,
    made_by text NOT NULL,
    ends_at timestamptz NOT NULL
);
COMMENT ON TABLE access_first_run IS 'Tokens that open the page on which an admin is made; the first that is used takes all away. Owned by access.';
COMMENT ON COLUMN access_first_run.hash IS 'SHA-256 of the token, which was printed and is nowhere here.';
COMMENT ON COLUMN access_first_run.made_at IS 'When.';
COMMENT ON COLUMN access_first_run.made_by IS 'By whom, as the record names him.';
COMMENT ON COLUMN access_first_run.ends_at IS 'When it ends by itself.';
