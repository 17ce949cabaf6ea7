package secret

import (
	"fmt"
	"path/filepath"
	"strings"
)

// Reference names where a secret is; it is not the secret and may be printed. Two are the same if they are equal
// (==). The zero value names nothing.
type Reference struct{ scheme, rest string }

// Sealed is the reference to a secret that the database keeps, sealed under the credential's name.
var Sealed = Reference{scheme: SchemeSealed}

// ReferenceError says why a text is no reference. It never repeats the text, which may be a
// secret that was pasted in the wrong place.
type ReferenceError struct{ Problem string }

func (e *ReferenceError) Error() string { return e.Problem }

// Hint lists what a reference may be, with an example of each scheme.
func (e *ReferenceError) Hint() string { return schemesHint() }

// ParseReference reads "scheme:rest", such as env:NAME or file:/path. It looks at no variable and no file. Its errors
// are *ReferenceError.
func ParseReference(s string) (Reference, error) {
	name, rest, found := strings.Cut(s, ":")
	if !found {
		return Reference{}, &ReferenceError{"not a secret reference: a secret itself never stands in the configuration"}
	}
	switch known, ok := schemeNamed(name); {
	case !ok:
		return Reference{}, &ReferenceError{"unknown kind of secret reference"}
	case name == SchemeFile && rest != "" && !filepath.IsAbs(rest):
		return Reference{}, &ReferenceError{"the path after file: depends on where keyrounds is started: give the whole path"}
	case !known.valid(rest):
		return Reference{}, &ReferenceError{fmt.Sprintf("not a valid %s: reference", name)}
	}
	return Reference{name, rest}, nil
}

// Scheme returns the part before the colon, one of the Scheme constants; "" for the zero Reference.
func (r Reference) Scheme() string { return r.scheme }

// IsZero reports whether r names nothing.
func (r Reference) IsZero() bool { return r.scheme == "" }

// ReachesHost reports whether resolving r reads from the host. Such references are named in
// the configuration file only, never through a command or the API.
func (r Reference) ReachesHost() bool { return r.scheme != "" && r.scheme != SchemeSealed }

// OfProcess reports whether r names something that belongs to one process, such as a variable of its environment:
// a shell beside the daemon may find another secret there.
func (r Reference) OfProcess() bool {
	known, _ := schemeNamed(r.scheme)
	return known.ofProcess
}

// String returns the reference as it is written, "" for the zero Reference.
func (r Reference) String() string {
	if r.IsZero() {
		return ""
	}
	return r.scheme + ":" + r.rest
}

// MarshalText returns String.
func (r Reference) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText is ParseReference; an empty text is the zero Reference.
func (r *Reference) UnmarshalText(b []byte) (err error) {
	if len(b) == 0 {
		*r = Reference{}
		return nil
	}
	*r, err = ParseReference(string(b))
	return err
}
