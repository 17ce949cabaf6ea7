package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"

	"filippo.io/age"

	"github.com/keyrounds/keyrounds/safefile"
)

// Save writes a backup to a file of mode 0600, reads back all of it from the disk, and only then gives it its name; a file that
// has the name already is replaced. Until then it has no name, so that nothing is left where it fails or is killed; on a file
// system that cannot do that it has one that begins with a dot, and the next Save into that directory removes it.
func Save(ctx context.Context, path string, o Options) (c Contents, err error) {
	dir, name := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	if st, err := os.Lstat(path); err == nil && !st.Mode().IsRegular() {
		return c, &notAFileError{path}
	}
	if err := safefile.Ours(dir); err != nil {
		return c, err
	}
	f, err := create(dir, name)
	if err != nil {
		return c, err
	}
	defer f.remove()
	c, key, err := write(ctx, f.File, o)
	defer clear(key)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = readBack(f.File, c, o.Lock, key)
	}
	if err != nil {
		return c, err
	}
	return c, f.place(path)
}

type notAFileError struct{ path string }

func (e *notAFileError) Error() string { return e.path + " is there, and is not a file" }
func (e *notAFileError) Hint() string  { return "name another file; - is standard output" }

// readBack opens what was written with the passphrase, or else with the file's own key, and compares.
func readBack(f *os.File, c Contents, l Lock, key []byte) error {
	forget(f)
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	opens := Key(l.passphrase)
	if opens == nil {
		opens = Key{age.NewInjectedFileKeyIdentity(key)}
	}
	is, err := Check(f, opens, nil)
	if err == nil && (!maps.Equal(is.Sums, c.Sums) || is.Size != c.Size) {
		err = errors.New("it is another one")
	}
	if err != nil {
		return &unreadableError{err}
	}
	return nil
}

type unreadableError struct{ err error }

func (e *unreadableError) Error() string {
	return fmt.Sprintf("what was written cannot be read back, and was thrown away: %v", e.err)
}

func (*unreadableError) Hint() string    { return "the disk, or the memory, of this machine is broken" }
func (e *unreadableError) Unwrap() error { return e.err }
