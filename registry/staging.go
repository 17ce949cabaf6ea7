package registry

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/credential"
)

// Rules of registering many:
//
//  1. What is given is copied into a table of the transaction, and compared with the registry there: rows that do not
//     differ are not read, not locked and not written.
//  2. Rows that differ are locked by id, in one statement.
//  3. One statement writes all that is new or differs.

// incoming is what is given to be registered. copied is told how many are on their way; nil: nobody is.
type incoming struct {
	given  []credential.Credential
	source credential.Source
	now    time.Time
	copied func(n int)
}

// plan is what of incoming is to be written.
type plan struct {
	incoming
	old  map[string]credential.Credential // of given, and differ; locked
	add  []int                            // places in given of those that were never registered, in their order
	left []credential.Credential          // of the file before, and not in given; none unless that is the file
}

const lockSQL = `SELECT pg_advisory_xact_lock(hashtext('keyrounds: registry.Sync'))`

// compare locks what differs from in, and everybody else who registers something until tx ends.
func (s *Store) compare(ctx context.Context, tx pgx.Tx, in incoming) (plan, error) {
	p := plan{incoming: in, old: map[string]credential.Credential{}}
	// One at a time, or two replicas would add the same rows.
	if _, err := tx.Exec(ctx, lockSQL); err != nil {
		return p, err
	}
	if _, err := tx.Exec(ctx, longerSQL); err != nil {
		return p, err
	}
	if _, err := tx.Exec(ctx, stagingSQL); err != nil {
		return p, err
	}
	err := stage(ctx, tx, len(in.given), func(i int) credential.Credential {
		c := in.given[i]
		c.Source, c.Registered, c.Changed, c.NextCheck, c.NextWhy = in.source, in.now, in.now, in.now, whyNew
		if in.copied != nil {
			in.copied(i + 1)
		}
		return c
	})
	if err != nil {
		return p, err
	}
	given := map[string]bool{}
	differ, err := collect(ctx, tx, differSQL, in.source == credential.FromFile)
	if err != nil {
		return p, err
	}
	rows, err := tx.Query(ctx, `
		SELECT s.place FROM credentials_staging s WHERE NOT EXISTS (SELECT FROM credentials c WHERE c.name = s.name)
		ORDER BY s.place`)
	if err != nil {
		return p, err
	}
	if p.add, err = pgx.CollectRows(rows, pgx.RowTo[int]); err != nil || len(differ) == 0 {
		return p, err
	}
	for _, c := range in.given {
		given[c.Name] = true
	}
	for _, c := range differ {
		if given[c.Name] {
			p.old[c.Name] = c
		} else {
			p.left = append(p.left, c)
		}
	}
	return p, nil
}

// write registers what is new and what differs, and returns that in the order in which it was given.
func (s *Store) write(ctx context.Context, tx pgx.Tx, p plan) ([]Change, error) {
	changes, add := make([]Change, 0, len(p.add)+len(p.old)), p.add
	for i, c := range p.given {
		old, differs := p.old[c.Name]
		if fresh := len(add) > 0 && add[0] == i; fresh {
			add = add[1:]
		} else if !differs {
			continue
		}
		c.Source = p.source
		if change := s.change(old, c, p.now); change.What != "" {
			changes = append(changes, change)
		}
	}
	if len(changes) == 0 {
		return nil, nil
	}
	if len(p.add) < len(p.given) { // what is staged already is as for new ones
		if _, err := tx.Exec(ctx, `TRUNCATE credentials_staging`); err != nil {
			return nil, err
		}
		if err := stage(ctx, tx, len(changes), func(i int) credential.Credential { return changes[i].Credential }); err != nil {
			return nil, err
		}
	}
	ids, err := upsert(ctx, tx, len(changes))
	if err != nil {
		return nil, err
	}
	var formers []former
	for i := range changes {
		c := &changes[i].Credential
		c.ID = ids[c.Name]
		if old := p.old[c.Name]; old.ID != 0 && (old.Subject != c.Subject || old.Provider != c.Provider) {
			formers = append(formers, former{c.ID, old.Provider, old.Subject})
		}
	}
	return changes, keepClients(ctx, tx, formers, p.now)
}

// stage copies n credentials into the staging table, each with its place.
func stage(ctx context.Context, tx pgx.Tx, n int, at func(i int) credential.Credential) error {
	_, err := tx.CopyFrom(ctx, pgx.Identifier{"credentials_staging"}, stagedColumns, pgx.CopyFromSlice(n, func(i int) ([]any, error) {
		c := at(i)
		return []any{
			i, c.Name, c.Provider, c.Subject, c.Secret.String(), c.Sealed, c.Description, orEmpty(c.Scopes), c.Owner, labels(c),
			c.Schedule, c.UnusedAfter, c.MaxAge, nullTime(c.Created), c.Canary, orEmpty(c.ExpectedNetworks), string(c.Source),
			c.Registered, c.Changed, c.NextCheck, c.NextWhy, c.KeyID, nullTime(c.Expires), c.KeyPassphrase.String(),
		}, nil
	}))
	return err
}

// upsert writes what is staged, n rows, and returns the ids by name.
func upsert(ctx context.Context, tx pgx.Tx, n int) (map[string]int64, error) {
	rows, err := tx.Query(ctx, upsertSQL)
	if err != nil {
		return nil, err
	}
	ids := make(map[string]int64, n)
	var (
		id   int64
		name string
	)
	_, err = pgx.ForEachRow(rows, []any{&id, &name}, func() error {
		ids[name] = id
		return nil
	})
	if err == nil && n >= many {
		_, err = tx.Exec(ctx, `SELECT analyze_credentials()`)
	}
	return ids, err
}

// many credentials that are written at once have the table's statistics made anew: without them Postgres takes those that
// are not retired for few, and sorts all of them for each page. It would come to do so itself within minutes, where it runs.
const many = 1000

var stagedColumns = []string{
	"place", "name", "provider", "client_id", "secret_ref", "sealed_secret", "description", "scopes", "owner", "labels",
	"schedule", "unused_after", "max_age", "created_on", "canary", "expected_networks", "source",
	"registered_at", "changed_at", "next_check_at", "next_check_why", "key_id", "expires_at", "key_passphrase_ref",
}

// longerSQL: a statement about all credentials may take longer than one about some.
const longerSQL = `SET LOCAL statement_timeout = '10min'`

const stagingSQL = `
	CREATE TEMP TABLE credentials_staging ON COMMIT DROP AS
	SELECT 0 AS place, name, provider, client_id, secret_ref, sealed_secret, description, scopes, owner, labels,
		schedule, unused_after, max_age, created_on, canary, expected_networks, source,
		registered_at, changed_at, next_check_at, next_check_why, key_id, expires_at, key_passphrase_ref
	FROM credentials
	WITH NO DATA`

// What differs is decided by differences in the end: this may find too much and never too little.
const differSQL = `
	SELECT ` + columns + ` FROM credentials
	WHERE id IN (
		SELECT c.id FROM credentials c LEFT JOIN credentials_staging s ON s.name = c.name
		WHERE CASE
			WHEN s.name IS NULL THEN $1 AND c.source = 'file' AND c.retired_at IS NULL
			ELSE c.retired_at IS NOT NULL OR c.source <> s.source OR s.sealed_secret IS NOT NULL
				OR (c.provider, c.client_id, c.key_id, c.secret_ref, c.key_passphrase_ref, c.description, c.scopes, c.owner, c.labels,
					c.schedule, c.unused_after, c.max_age, c.created_on, c.expires_at, c.canary, c.expected_networks)
				IS DISTINCT FROM
					(s.provider, s.client_id, s.key_id, s.secret_ref, s.key_passphrase_ref, s.description, s.scopes, s.owner, s.labels,
					s.schedule, s.unused_after, s.max_age, s.created_on, s.expires_at, s.canary, s.expected_networks)
			END)
	ORDER BY id
	FOR UPDATE`

const upsertSQL = `
	INSERT INTO credentials (name, provider, client_id, secret_ref, sealed_secret, description, scopes, owner, labels, schedule,
		unused_after, max_age, created_on, canary, expected_networks, source, registered_at, changed_at, next_check_at, next_check_why,
		key_id, expires_at, key_passphrase_ref)
	SELECT name, provider, client_id, secret_ref, sealed_secret, description, scopes, owner, labels, schedule,
		unused_after, max_age, created_on, canary, expected_networks, source, registered_at, changed_at, next_check_at, next_check_why,
		key_id, expires_at, key_passphrase_ref
	FROM credentials_staging ORDER BY place
	ON CONFLICT (name) DO UPDATE SET
		provider = excluded.provider, client_id = excluded.client_id,
		secret_ref = excluded.secret_ref, sealed_secret = excluded.sealed_secret,
		description = excluded.description, scopes = excluded.scopes, owner = excluded.owner, labels = excluded.labels,
		schedule = excluded.schedule, unused_after = excluded.unused_after, max_age = excluded.max_age, created_on = excluded.created_on,
		canary = excluded.canary, expected_networks = excluded.expected_networks, source = excluded.source,
		changed_at = excluded.changed_at, next_check_at = excluded.next_check_at,
		next_check_why = excluded.next_check_why, key_id = excluded.key_id, expires_at = excluded.expires_at,
		key_passphrase_ref = excluded.key_passphrase_ref, retired_at = NULL
	RETURNING id, name`
