package backup

import (
	"archive/tar"
	"bytes"
	"testing"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"

	"github.com/keyrounds/keyrounds/secret"
)

// LeftOut is for tests.
func LeftOut() map[string]string { return leftOut() }

// Named is what Save writes to where a file cannot be without a name: begun, and then placed or removed.
func Named(t *testing.T, dir, name string) (begun string, place func(path string) error, remove func()) {
	t.Helper()
	u, err := createNamed(dir, "."+name+".partial-")
	if err != nil {
		t.Fatal(err)
	}
	return u.name, u.place, u.remove
}

// ToPassphraseFast is ToPassphrase for a test, which does not wait a second for each file.
func ToPassphraseFast(t *testing.T, phrase string) Lock {
	t.Helper()
	l, err := toPassphrase(secret.New([]byte(phrase)), 10)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// Forge makes a file of entries of anybody's.
func Forge(t *testing.T, l Lock, entries ...[2]string) []byte {
	t.Helper()
	var b bytes.Buffer
	encrypted, err := age.Encrypt(&b, l.recipients...)
	if err != nil {
		t.Fatal(err)
	}
	packed, err := zstd.NewWriter(encrypted)
	if err != nil {
		t.Fatal(err)
	}
	archive := tar.NewWriter(packed)
	for _, e := range entries {
		if err := archive.WriteHeader(&tar.Header{Name: e[0], Size: int64(len(e[1]))}); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Write([]byte(e[1])); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []interface{ Close() error }{archive, packed, encrypted} {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}
