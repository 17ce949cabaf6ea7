package secret

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// Sealer seals secrets for the database with Tink AEAD (AES-256-GCM). The credential's name is the associated data:
// sealed bytes moved to another credential do not open. It is safe for concurrent use.
type Sealer struct{ aead tink.AEAD }

// OpenSealer reads the sealing key at path and, where create is set, makes it there first if it is missing; of
// several processes that make it at once, one does. The file holds a Tink keyset in JSON and has mode 0600; one that
// others can read is refused. Replicas share one key. Without create, a missing file is an error that wraps
// fs.ErrNotExist.
func OpenSealer(path string, create bool) (*Sealer, error) {
	s, err := openSealer(path)
	if errors.Is(err, fs.ErrNotExist) && create {
		if err = makeKey(path); err == nil || errors.Is(err, fs.ErrExist) {
			s, err = openSealer(path)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("sealing key %s: %w", path, err)
	}
	return s, nil
}

func openSealer(path string) (*Sealer, error) {
	b, err := readFile(path)
	if err != nil {
		return nil, err
	}
	defer clear(b)
	if st, err := os.Stat(path); err != nil {
		return nil, err
	} else if st.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("mode %04o lets others read it: chmod 600 it", st.Mode().Perm())
	}
	h, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(b)))
	if err != nil {
		return nil, errors.New("not a Tink keyset in JSON")
	}
	a, err := aead.New(h)
	if err != nil {
		return nil, errors.New("not a keyset of AEAD keys")
	}
	return &Sealer{a}, nil
}

// makeKey writes a whole key or none: it is linked to path only when it is on the disk.
func makeKey(path string) error {
	h, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".key-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if err := writeKey(h, f); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return os.Link(f.Name(), path)
}

func writeKey(h *keyset.Handle, w io.Writer) error {
	return insecurecleartextkeyset.Write(h, keyset.NewJSONWriter(w))
}

// Seal encrypts v for the credential of that name, differently each time. v is not wiped.
func (s *Sealer) Seal(v Value, name string) ([]byte, error) {
	return s.aead.Encrypt([]byte(v.Reveal()), []byte(name))
}

// Open decrypts what Seal made for the same name; the caller wipes it. The error wraps ErrUnreadable: another key or
// name, or bytes that were changed.
func (s *Sealer) Open(sealed []byte, name string) (Value, error) {
	b, err := s.aead.Decrypt(sealed, []byte(name))
	if err != nil {
		return Value{}, fmt.Errorf("open the sealed secret: %w: it was sealed with another key or for another credential", ErrUnreadable)
	}
	defer clear(b)
	return New(b), nil
}
