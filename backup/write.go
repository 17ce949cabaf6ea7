package backup

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"filippo.io/age"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/klauspost/compress/zstd"

	"github.com/keyrounds/keyrounds/postgres"
)

// Options say what is written. Pool, Version, Lock and Now are required.
type Options struct {
	Pool    *pgxpool.Pool // as a role that may read all tables
	Version string        // of keyrounds
	// SealingKey is the text of the key's file; nil: it is left out.
	SealingKey []byte
	Lock       Lock
	Now        func() time.Time
}

// Write writes a backup, and returns what is in it. All tables are as they were at one moment; what others do meanwhile goes
// on, but that no partition is made or dropped. It cannot tell whether w kept what it was given: Save can. Errors of the
// database are plain (postgres.Plain).
func Write(ctx context.Context, w io.Writer, o Options) (Contents, error) {
	c, key, err := write(ctx, w, o)
	clear(key)
	return c, err
}

// write also returns the file's own key.
func write(ctx context.Context, w io.Writer, o Options) (c Contents, key []byte, err error) {
	if len(o.Lock.recipients) == 0 {
		return c, nil, errors.New("a backup is always encrypted: it needs a recipient or a passphrase")
	}
	v, err := postgres.CurrentVersion(ctx, o.Pool)
	if err != nil {
		return c, nil, err
	}
	if v.Current == 0 {
		return c, nil, ErrEmpty
	}
	conn, err := o.Pool.Acquire(ctx)
	if err != nil {
		return c, nil, postgres.Plain(err)
	}
	defer conn.Release()
	// While it is held nobody waits for our locks of tables to drop a partition, which would stop all who write to checks.
	const lock = `SELECT pg_advisory_lock_shared(hashtext('keyrounds partitions'))`
	const unlock = `SELECT pg_advisory_unlock_shared(hashtext('keyrounds partitions'))`
	if _, err := conn.Exec(ctx, lock); err != nil {
		return c, nil, postgres.Plain(err)
	}
	defer func() { _, _ = conn.Exec(context.WithoutCancel(ctx), unlock) }()

	counted := &counter{w: w}
	err = pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0`); err != nil {
			return err
		}
		if c.Manifest, err = survey(ctx, tx); err != nil {
			return err
		}
		c.Format, c.Keyrounds, c.At, c.SealingKey = format, o.Version, o.Now().UTC().Truncate(time.Second), len(o.SealingKey) > 0
		kept := &keeper{Recipient: o.Lock.recipients[0]}
		encrypted, err := age.Encrypt(counted, append([]age.Recipient{kept}, o.Lock.recipients[1:]...)...)
		if err != nil {
			return fmt.Errorf("encrypt: %w", err)
		}
		key = kept.key
		packed, err := zstd.NewWriter(encrypted, zstd.WithEncoderConcurrency(1)) // another core is somebody else's
		if err != nil {
			return err
		}
		defer packed.Close()
		out := &archive{tar: tar.NewWriter(packed), at: c.At, sums: map[string]Sum{}}
		if err := out.all(ctx, tx, c.Manifest, o.SealingKey); err != nil {
			return err
		}
		c.Sums = out.sums
		return errors.Join(out.tar.Close(), packed.Close(), encrypted.Close())
	})
	c.Size = counted.n
	return c, key, postgres.Plain(err)
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// archive writes the entries.
type archive struct {
	tar  *tar.Writer
	at   time.Time
	sums map[string]Sum
}

func (a *archive) all(ctx context.Context, tx pgx.Tx, m Manifest, key []byte) error {
	if err := a.json(manifestName, m); err != nil {
		return err
	}
	if len(key) > 0 {
		sum := sha256.Sum256(key)
		a.sums[keyName] = Sum{Bytes: int64(len(key)), SHA256: hex.EncodeToString(sum[:])}
		if err := a.entry(keyName, key); err != nil {
			return err
		}
	}
	for _, t := range m.Tables {
		if err := a.table(ctx, tx, t); err != nil {
			return fmt.Errorf("table %s: %w", t.Name, postgres.Plain(err))
		}
	}
	return a.json(sumsName, a.sums)
}

func (a *archive) table(ctx context.Context, tx pgx.Tx, t Table) error {
	// COPY of a partitioned table itself gives nothing.
	sql := fmt.Sprintf(`COPY (SELECT %s FROM %s) TO STDOUT (FORMAT binary)`, columnList(t.Columns), pgx.Identifier{t.Name}.Sanitize())
	p := &pieces{archive: a, name: t.Name, sum: sha256.New()}
	tag, err := tx.Conn().PgConn().CopyTo(ctx, p, sql)
	if err == nil {
		err = p.flush()
	}
	a.sums[t.Name] = Sum{Rows: tag.RowsAffected(), Bytes: p.bytes, SHA256: hex.EncodeToString(p.sum.Sum(nil))}
	return err
}

func (a *archive) json(name string, v any) error {
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err
	}
	return a.entry(name, b)
}

func (a *archive) entry(name string, b []byte) error {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(b)), Mode: 0o600, ModTime: a.at, Format: tar.FormatUSTAR}
	if err := a.tar.WriteHeader(h); err != nil {
		return err
	}
	_, err := a.tar.Write(b)
	return err
}

// pieces cuts a stream whose length nobody knows before its end: an entry of tar begins with its length.
type pieces struct {
	*archive
	name  string
	n     int
	buf   []byte
	sum   hash.Hash
	bytes int64
}

func (p *pieces) Write(b []byte) (int, error) {
	p.sum.Write(b)
	p.bytes += int64(len(b))
	p.buf = append(p.buf, b...)
	if len(p.buf) < pieceSize {
		return len(b), nil
	}
	return len(b), p.flush()
}

func (p *pieces) flush() error {
	if len(p.buf) == 0 {
		return nil
	}
	p.n++
	err := p.entry(pieceName(p.name, p.n), p.buf)
	p.buf = p.buf[:0]
	return err
}

func pieceName(table string, n int) string { return fmt.Sprintf("%s%s/%08d", tablePrefix, table, n) }
