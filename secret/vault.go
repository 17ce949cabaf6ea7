package secret

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"unicode"
)

// VaultPlace is what a vault reference names: a field of a secret of a key-value engine, version 2.
type VaultPlace struct{ Mount, Path, Field string }

// ReadVault reads a field from Vault or OpenBao. Its errors hold neither the value nor what it signs in with.
type ReadVault func(ctx context.Context, p VaultPlace) ([]byte, error)

// vaultReader is the process', as the environment is.
var vaultReader atomic.Pointer[ReadVault]

// ReadVaultBy has vault references read by read, in the whole process, from the next one on. nil: they are errors.
func ReadVaultBy(read ReadVault) {
	if read == nil {
		vaultReader.Store(nil)
		return
	}
	vaultReader.Store(&read)
}

func readVault(ctx context.Context, rest string) ([]byte, error) {
	p, ok := parseVault(rest)
	if !ok {
		return nil, errors.New("not mount/path#field")
	}
	read := vaultReader.Load()
	if read == nil {
		return nil, errors.New("no Vault is configured: set VAULT_ADDR, or vault.address")
	}
	return (*read)(ctx, p)
}

func validVault(rest string) bool {
	_, ok := parseVault(rest)
	return ok
}

// parseVault reads mount/path#field. A slash in the name of the mount is %2F; the path may have more of them.
func parseVault(rest string) (p VaultPlace, ok bool) {
	where, field, found := strings.Cut(rest, "#")
	mount, path, slash := strings.Cut(where, "/")
	mount, err := url.PathUnescape(mount)
	if !found || !slash || err != nil || field == "" || strings.ContainsFunc(rest, unicode.IsControl) {
		return p, false
	}
	for _, part := range strings.Split(mount+"/"+path, "/") {
		if part == "" || part == "." || part == ".." {
			return p, false
		}
	}
	return VaultPlace{mount, path, field}, true
}

// VaultEnv is what the environment says of Vault or OpenBao, in the variables that their own programs read.
type VaultEnv struct {
	Address, Namespace, CAFile string
	Token                      Reference // zero: none
}

// ReadVaultEnv reads BAO_ADDR, BAO_NAMESPACE, BAO_CACERT and BAO_TOKEN, or else VAULT_ADDR and so on; and BAO_TOKEN_FILE, or
// VAULT_TOKEN_FILE, a file that has the token. No value of a token is read.
func ReadVaultEnv() VaultEnv {
	name := func(of string) string {
		if os.Getenv("BAO_"+of) != "" {
			return "BAO_" + of
		}
		return "VAULT_" + of
	}
	e := VaultEnv{Address: os.Getenv(name("ADDR")), Namespace: os.Getenv(name("NAMESPACE")), CAFile: os.Getenv(name("CACERT"))}
	if file := os.Getenv(name("TOKEN_FILE")); file != "" {
		e.Token = Reference{SchemeFile, file}
	} else if token := name("TOKEN"); os.Getenv(token) != "" {
		e.Token = Reference{SchemeEnv, token}
	}
	return e
}

// Or returns e, and of other what e does not say.
func (e VaultEnv) Or(other VaultEnv) VaultEnv {
	return VaultEnv{
		cmp.Or(e.Address, other.Address), cmp.Or(e.Namespace, other.Namespace), cmp.Or(e.CAFile, other.CAFile),
		cmp.Or(e.Token, other.Token),
	}
}
