package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/backup"
	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/postgres"
	"github.com/keyrounds/keyrounds/safefile"
	"github.com/keyrounds/keyrounds/secret"
)

// BackupOptions are options of Backup. All are required but Path, Out and WithoutKey.
type BackupOptions struct {
	Config  *config.Config
	Version string
	Log     *slog.Logger
	Actor   string // who asked, for the record
	Lock    backup.Lock
	// Path is the file; "": it is written to Out, and not read back.
	Path       string
	Out        io.Writer
	WithoutKey bool // leave the sealing key out
	Now        func() time.Time
}

// Backup backs up the database of a configuration and the sealing key, beside a running daemon or without one, and says so in
// the record. It migrates and registers nothing: the schema may be of an earlier version.
func Backup(ctx context.Context, o BackupOptions) (c backup.Contents, err error) {
	a := &App{Options: Options{Config: o.Config, Log: o.Log, Metrics: prometheus.NewRegistry(), Now: o.Now}}
	defer a.Close()
	b := backup.Options{Version: o.Version, Lock: o.Lock, Now: o.Now}
	if o.Config.Database.IsZero() {
		if _, err := os.Lstat(filepath.Join(o.Config.DataDir, "postgres")); errors.Is(err, fs.ErrNotExist) {
			return c, &noDatabaseError{o.Config.DataDir} // and none is made for it
		}
	}
	if !o.WithoutKey {
		file, err := a.sealingFile()
		if err != nil {
			return c, err
		}
		if b.SealingKey, err = readKey(ctx, file); err != nil {
			return c, err
		}
		defer clear(b.SealingKey)
	}
	url, err := a.database(ctx)
	if err != nil {
		return c, err
	}
	if a.Pool, err = postgres.Open(ctx, url); err != nil {
		return c, err
	}
	a.ends.push(a.Pool.Close)
	b.Pool = a.Pool
	if o.Path == "" {
		c, err = backup.Write(ctx, o.Out, b)
	} else {
		c, err = backup.Save(ctx, o.Path, b)
	}
	if err != nil {
		return c, err
	}
	if err := backup.Note(ctx, audit.New(audit.Options{Pool: a.Pool, Now: o.Now}), o.Actor, c); err != nil {
		return c, fmt.Errorf("the backup is written, and the record does not say so: %w", err)
	}
	return c, nil
}

// keyPath is where the sealing key of a configuration is.
func keyPath(c *config.Config) string {
	if c.SealingKey != "" {
		return c.SealingKey
	}
	return filepath.Join(c.DataDir, ownKey)
}

// ownKey is the sealing key in a data_dir.
const ownKey = "sealing.key"

// readKey reads a key that can be used.
func readKey(ctx context.Context, file secret.KeyFile) ([]byte, error) {
	_, err := file.Read(ctx)
	if secret.Missing(err) {
		return nil, &noKeyError{file.Path}
	}
	if err != nil {
		return nil, err
	}
	return os.ReadFile(file.Path)
}

type noDatabaseError struct{ dir string }

func (e *noDatabaseError) Error() string { return "there is no database in data_dir " + e.dir }
func (*noDatabaseError) Hint() string    { return "does --config name the configuration of the daemon?" }

type noKeyError struct{ path string }

func (e *noKeyError) Error() string { return "there is no sealing key in " + e.path }

func (*noKeyError) Hint() string {
	return "--without-key leaves it out; what is sealed in the database does not open without it"
}

// RestoreOptions are options of Restore. All are required but Config.
type RestoreOptions struct {
	// Config is where to: its Postgres, or else its data_dir, and its sealing key; nil: DataDir.
	Config  *config.Config
	DataDir string
	Log     *slog.Logger
	Actor   string // who asked, for the record
	Key     backup.Key
	Now     func() time.Time
}

// Restored is what Restore did.
type Restored struct {
	backup.Contents
	Where   string // a data_dir; "": the Postgres of the configuration
	KeyPath string // where the sealing key is or should be
	HaveKey bool   // it is there
	Schema  postgres.Version
}

// Restore checks a backup to its end, and then makes a database of it and puts its sealing key in place: both, or nothing. A database
// or another key that is there already is refused.
func Restore(ctx context.Context, file io.ReadSeeker, o RestoreOptions) (r Restored, err error) {
	r.Where, r.KeyPath = o.DataDir, filepath.Join(o.DataDir, ownKey)
	own := o.Config != nil && !o.Config.Database.IsZero()
	if o.Config != nil {
		r.Where, r.KeyPath = o.Config.DataDir, keyPath(o.Config)
	}
	if own {
		r.Where = ""
	}
	key := &keyFile{path: r.KeyPath}
	defer key.wipe()
	if r.Contents, err = backup.Check(file, o.Key, key.is); err != nil {
		return r, err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return r, err
	}
	defer func() {
		if err != nil {
			key.undo()
		}
	}()
	placeKey := func() error {
		if err := key.place(); err != nil {
			return fmt.Errorf("sealing key %s: %w", key.path, err)
		}
		r.HaveKey = key.there()
		return nil
	}
	fill := func(ctx context.Context, owner postgres.Owner) (err error) {
		r.Schema, err = backup.Restore(ctx, file, r.Contents, backup.RestoreOptions{Owner: owner, Open: o.Key, Actor: o.Actor, Now: o.Now})
		return err
	}
	if own {
		if err = placeKey(); err == nil { // before there is something that needs it
			err = restoreOwn(ctx, o.Config, fill)
		}
		return r, err
	}
	private := postgres.PrivateOptions{DataDir: r.Where, Log: o.Log}
	err = postgres.BuildPrivate(ctx, private, func(ctx context.Context, p *postgres.Private) error {
		pool, err := postgres.Open(ctx, p.URL())
		if err != nil {
			return err
		}
		defer pool.Close()
		err = fill(ctx, postgres.Owner{App: pool, URL: func(context.Context) (string, error) { return p.AdminURL(), nil }})
		if err != nil {
			return err
		}
		return placeKey() // what is killed before leaves no key, and after it comes the rename
	})
	return r, err
}

func restoreOwn(ctx context.Context, c *config.Config, fill func(context.Context, postgres.Owner) error) error {
	url, err := c.Database.Resolve(ctx)
	if err != nil {
		return err
	}
	pool, err := postgres.Open(ctx, url)
	if err != nil {
		return err
	}
	defer pool.Close()
	owner := postgres.Owner{App: pool}
	if !c.AdminDatabase.IsZero() {
		owner.URL = c.AdminDatabase.Resolve
	}
	if err := postgres.Ping(ctx, pool); err != nil {
		return err
	}
	return fill(ctx, owner)
}

// keyFile is where the sealing key of a backup goes.
type keyFile struct {
	path string
	text []byte // to be put there; nil: nothing is
	made bool
}

// is compares the key of the backup with one that is there, which is never replaced.
func (k *keyFile) is(text []byte) error {
	have, err := os.ReadFile(k.path)
	defer clear(have)
	switch {
	case err == nil && bytes.Equal(bytes.TrimSpace(have), bytes.TrimSpace(text)):
		return nil
	case err == nil:
		return &otherKeyError{k.path}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	k.text = bytes.Clone(text)
	return safefile.Ours(filepath.Dir(k.path))
}

type otherKeyError struct{ path string }

func (e *otherKeyError) Error() string {
	return "the sealing key in " + e.path + " is another one than that of the backup"
}

func (e *otherKeyError) Hint() string {
	return fmt.Sprintf("it may be what something else is sealed with; if nothing is: mv %s %s.old", e.path, e.path)
}

// place puts the key where it belongs, whole, and only where none is.
func (k *keyFile) place() error {
	if k.text == nil {
		return nil
	}
	dir := filepath.Dir(k.path)
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".key-") // of mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(k.text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	err = os.Link(f.Name(), k.path)
	k.made = err == nil
	return err
}

func (k *keyFile) there() bool {
	_, err := os.Lstat(k.path)
	return err == nil
}

func (k *keyFile) undo() {
	if k.made {
		_ = os.Remove(k.path)
		k.made = false
	}
}

func (k *keyFile) wipe() { clear(k.text) }
