package secret

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// Sealer seals secrets for the database with one key, Tink AEAD (AES-256-GCM). The credential's name is the associated
// data: sealed bytes moved to another credential do not open. It is safe for concurrent use.
type Sealer struct {
	id   string
	aead tink.AEAD
}

// ID names the key: 8 hexadecimal digits that Tink chose at random when it made it. It is no part of the key, and begins
// everything that the key seals.
func (s *Sealer) ID() string { return s.id }

// SealedWith is the ID of the key that sealed these bytes; "" where they are none that a Sealer made.
func SealedWith(sealed []byte) string {
	if len(sealed) <= tinkPrefix || sealed[0] != 1 {
		return ""
	}
	return hex.EncodeToString(sealed[1:tinkPrefix])
}

// tinkPrefix is the length of what begins a text that Tink sealed: 1, and the key's id.
const tinkPrefix = 5

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

// MissingKeyError says that what is sealed cannot be opened, since the file of keys has not the one that sealed it.
type MissingKeyError struct {
	ID   string // of the key that is missing
	Path string // of the file; it has others, or does not exist
}

func (e *MissingKeyError) Error() string {
	return fmt.Sprintf("sealed with key %s, which is not in %s: restore it from your backup", e.ID, e.Path)
}

// Unwrap makes it an ErrUnreadable.
func (e *MissingKeyError) Unwrap() error { return ErrUnreadable }

// KeyFile is a file of sealing keys: a Tink keyset in JSON with mode 0600. One that others can read is refused. Replicas have
// the same keys. Errors say which file, and never what is in it.
type KeyFile struct {
	Path string
	// KMS encrypts the keyset in the file; nil: it stands there as it is. A file that was made without is read all the same, and
	// encrypted when it is replaced.
	KMS KMS
}

// KMS encrypts and decrypts with a key that it does not give away. String names that key.
type KMS interface {
	tink.AEADWithContext
	fmt.Stringer
}

// Keyset is what a KeyFile holds: one key, and more while they are replaced.
type Keyset struct {
	handle    *keyset.Handle
	encrypted bool
}

// Encrypted reports whether the file had it encrypted by a KMS.
func (k *Keyset) Encrypted() bool { return k.encrypted }

// ofKeys is the associated data of an encrypted keyset.
const ofKeys = "keyrounds sealing keys"

// Read reads the keys. A missing file is an error that wraps fs.ErrNotExist.
func (f KeyFile) Read(ctx context.Context) (*Keyset, error) {
	k, err := f.read(ctx)
	if err != nil {
		return nil, f.failed(err)
	}
	return k, nil
}

func (f KeyFile) failed(err error) error { return fmt.Errorf("sealing key %s: %w", f.Path, bare(err)) }

func (f KeyFile) read(ctx context.Context) (*Keyset, error) {
	st, err := os.Stat(f.Path)
	if err != nil {
		return nil, err
	}
	if st.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("mode %04o lets others read it: chmod 600 %s", st.Mode().Perm(), f.Path)
	}
	b, err := readFile(f.Path)
	if err != nil {
		return nil, err
	}
	defer clear(b)
	h, encrypted, err := f.decode(ctx, b)
	if err != nil {
		return nil, err
	}
	if _, err := aead.New(h); err != nil {
		return nil, errors.New("not a keyset of AEAD keys")
	}
	for _, key := range h.KeysetInfo().GetKeyInfo() {
		if key.GetOutputPrefixType().String() != "TINK" {
			return nil, errors.New("a key of it has another output prefix than TINK: what it seals would not say by which key")
		}
	}
	return &Keyset{h, encrypted}, nil
}

func (f KeyFile) decode(ctx context.Context, b []byte) (h *keyset.Handle, encrypted bool, err error) {
	var form struct {
		Encrypted string `json:"encryptedKeyset"`
	}
	if len(bytes.TrimSpace(b)) == 0 {
		return nil, false, errors.New("it is empty: restore it from your backup")
	}
	noKeyset := errors.New("not a Tink keyset in JSON: restore it from your backup")
	switch err := json.Unmarshal(b, &form); {
	case err != nil:
		return nil, false, noKeyset
	case form.Encrypted == "":
		if h, err = insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(b))); err != nil {
			return nil, false, noKeyset
		}
		return h, false, nil
	case f.KMS == nil:
		return nil, false, errors.New("it is encrypted by a KMS, and sealing.kms names none")
	}
	if h, err = keyset.ReadWithContext(ctx, keyset.NewJSONReader(bytes.NewReader(b)), f.KMS, []byte(ofKeys)); err != nil {
		return nil, false, failedAtKMS(err) // which does not wrap: a missing file of a token is no missing key
	}
	return h, true, nil
}

// failedAtKMS is an error of a KMS, whose causes are not ours.
func failedAtKMS(err error) error { return errors.New(err.Error()) }

// Make writes a file with a new key: the whole file, or none. The error wraps fs.ErrExist where there is one: of several
// processes that make it at once, one does.
func (f KeyFile) Make(ctx context.Context) error {
	h, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err == nil {
		err = f.write(ctx, &Keyset{handle: h}, func(whole *os.File) error { return os.Link(whole.Name(), f.Path) })
	}
	if err != nil {
		return f.failed(err)
	}
	return nil
}

// Replace writes k in the place of the file that is there, whole or not at all; who owns the file goes on owning it. A link is
// not replaced.
func (f KeyFile) Replace(ctx context.Context, k *Keyset) error {
	err := func() error {
		st, err := os.Lstat(f.Path)
		if err != nil {
			return err
		}
		if !st.Mode().IsRegular() {
			return errors.New("it is a link or no file, so that its keys cannot be replaced here: name the file itself")
		}
		return f.write(ctx, k, func(whole *os.File) error {
			if err := sameOwner(whole, st); err != nil {
				return err
			}
			return os.Rename(whole.Name(), f.Path)
		})
	}()
	if err != nil {
		return f.failed(err)
	}
	return nil
}

// write puts k in place when it is on the disk.
func (f KeyFile) write(ctx context.Context, k *Keyset, put func(whole *os.File) error) error {
	dir := filepath.Dir(f.Path)
	whole, err := os.CreateTemp(dir, ".key-") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(whole.Name())
	defer whole.Close()
	if err := f.encode(ctx, k, whole); err != nil {
		return err
	}
	if err := whole.Sync(); err != nil {
		return err
	}
	if err := put(whole); err != nil {
		var le *os.LinkError
		if errors.As(err, &le) {
			return le.Err
		}
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func (f KeyFile) encode(ctx context.Context, k *Keyset, w io.Writer) error {
	if f.KMS == nil {
		return insecurecleartextkeyset.Write(k.handle, keyset.NewJSONWriter(w))
	}
	if err := k.handle.WriteWithContext(ctx, keyset.NewJSONWriter(w), f.KMS, []byte(ofKeys)); err != nil {
		return failedAtKMS(err)
	}
	return nil
}

// Lock has other processes of this machine wait that want to replace the keys. unlock ends it, as the end of the process does.
func (f KeyFile) Lock() (unlock func(), err error) {
	d, err := os.Open(filepath.Dir(f.Path))
	if err != nil {
		return nil, f.failed(err)
	}
	if err := lockAlone(d); err != nil {
		d.Close()
		return nil, f.failed(err)
	}
	return func() { d.Close() }, nil
}

// Primary is the ID of the key that a Tink program would seal with: the newest.
func (k *Keyset) Primary() string { return idText(k.handle.KeysetInfo().GetPrimaryKeyId()) }

// IDs names the keys.
func (k *Keyset) IDs() (ids []string) {
	for _, key := range k.handle.KeysetInfo().GetKeyInfo() {
		ids = append(ids, idText(key.GetKeyId()))
	}
	return ids
}

func idText(id uint32) string { return fmt.Sprintf("%08x", id) }

// Sealer returns the key of that ID, nil where there is none.
func (k *Keyset) Sealer(id string) *Sealer {
	only, err := k.Only(id)
	if err != nil {
		return nil
	}
	a, err := aead.New(only.handle)
	if err != nil {
		return nil
	}
	return &Sealer{id, a}
}

// Only returns a keyset of these keys alone, of which the first is the Primary.
func (k *Keyset) Only(ids ...string) (*Keyset, error) {
	m := keyset.NewManagerFromHandle(k.handle)
	for i, id := range ids {
		number, err := strconv.ParseUint(id, 16, 32)
		if err != nil || !slices.Contains(k.IDs(), id) {
			return nil, fmt.Errorf("no key %s", id)
		}
		if i > 0 {
			continue
		}
		if err := m.SetPrimary(uint32(number)); err != nil {
			return nil, err
		}
	}
	for _, key := range k.handle.KeysetInfo().GetKeyInfo() {
		if !slices.Contains(ids, idText(key.GetKeyId())) {
			if err := m.Delete(key.GetKeyId()); err != nil {
				return nil, err
			}
		}
	}
	h, err := m.Handle()
	if err != nil {
		return nil, err
	}
	return &Keyset{h, k.encrypted}, nil
}

// WithNew returns a keyset of these keys and a new one, which is its Primary.
func (k *Keyset) WithNew() (*Keyset, error) {
	m := keyset.NewManagerFromHandle(k.handle)
	id, err := m.Add(aead.AES256GCMKeyTemplate())
	if err == nil {
		err = m.SetPrimary(id)
	}
	if err != nil {
		return nil, err
	}
	h, err := m.Handle()
	return &Keyset{h, k.encrypted}, err
}

// Missing reports whether err says that there is no file of keys.
func Missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
