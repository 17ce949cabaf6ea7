package secret

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// The schemes of references.
const (
	SchemeEnv     = "env"
	SchemeFile    = "file"
	SchemeExec    = "exec"
	SchemeSystemd = "systemd"
	SchemeVault   = "vault"
	SchemeSealed  = "sealed"
)

// scheme is all that is known of a kind of reference. A new kind is a new line of schemes.
type scheme struct {
	name    string
	example string
	valid   func(rest string) bool
	read    func(ctx context.Context, rest string) ([]byte, error)
	// ofProcess says that what it names belongs to one process: another one, such as a shell beside the daemon,
	// may find another secret there, or none.
	ofProcess bool
}

// schemes are all of them, in the order in which a hint names them.
func schemes() []scheme {
	return []scheme{
		{SchemeEnv, "env:NAME", envName.MatchString, readEnv, true},
		{SchemeFile, "file:/path", validPath, func(_ context.Context, path string) ([]byte, error) { return readFile(path) }, false},
		{SchemeExec, "exec:command", validCommand, output, true},
		{SchemeSystemd, "systemd:NAME", validCredential, readSystemd, true},
		{SchemeVault, "vault:mount/path#field", validVault, readVault, true},
		{
			SchemeSealed,
			"sealed: (the secret is in the database, put there by `keyrounds credentials add` or `rotate`)",
			func(rest string) bool { return rest == "" },
			noneSealed,
			false,
		},
	}
}

// schemeNamed returns the scheme of a name; ok false: there is none.
func schemeNamed(name string) (s scheme, ok bool) {
	for _, s := range schemes() {
		if s.name == name {
			return s, true
		}
	}
	return scheme{}, false
}

// schemesHint lists what a reference may be.
func schemesHint() string {
	text := "one of "
	all := schemes()
	for i, s := range all {
		switch i {
		case 0:
		case len(all) - 1:
			text += ", or "
		default:
			text += ", "
		}
		text += s.example
	}
	return text
}

// HasScheme reports whether text begins like a reference, so that it is none of the secrets that are pasted in
// their place.
func HasScheme(text string) bool {
	name, _, found := strings.Cut(text, ":")
	_, known := schemeNamed(name)
	return found && known
}

var (
	envName     = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	systemdName = regexp.MustCompile(`^[A-Za-z0-9_.@-]+$`)
)

func validPath(rest string) bool {
	return strings.HasPrefix(rest, "/") && !strings.ContainsRune(rest, 0)
}

func validCommand(rest string) bool { return strings.TrimSpace(rest) != "" }

func validCredential(rest string) bool {
	return systemdName.MatchString(rest) && rest != "." && rest != ".."
}

func readEnv(_ context.Context, name string) ([]byte, error) {
	s, ok := os.LookupEnv(name)
	if !ok {
		return nil, errors.New("not set in the environment")
	}
	return []byte(s), nil
}

func readSystemd(_ context.Context, name string) ([]byte, error) {
	dir, ok := os.LookupEnv("CREDENTIALS_DIRECTORY")
	if !ok {
		return nil, errors.New("CREDENTIALS_DIRECTORY is not set: the service needs LoadCredential= for it")
	}
	return readFile(filepath.Join(dir, name))
}

func noneSealed(context.Context, string) ([]byte, error) {
	return nil, errors.New("no secret is sealed for this credential; `keyrounds credentials rotate` stores one")
}
