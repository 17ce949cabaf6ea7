package secret

import (
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"slices"
)

// Redacted is what every attempt to print a Value shows.
const Redacted = "[redacted]"

// Value holds a secret that cannot be printed: fmt, slog, JSON, YAML, text encoders and a
// panic show Redacted. The bytes sit behind a closure, so that not even reflection over an
// unexported field finds them. The zero Value is empty.
//
// A memory image of the process does hold the secret; Wipe shortens that time and promises
// no more.
type Value struct{ open func() []byte }

// New makes a Value of a copy of b, which stays the caller's to clear.
func New(b []byte) Value {
	own := slices.Clone(b)
	return Value{func() []byte { return own }}
}

// Reveal returns the secret itself, "" for the zero Value, and zero bytes after Wipe. Only what sends, seals or
// compares it calls this.
func (v Value) Reveal() string {
	if v.open == nil {
		return ""
	}
	return string(v.open())
}

// IsZero reports whether there never was a secret in v. A Value that was wiped is not zero.
func (v Value) IsZero() bool { return v.open == nil || len(v.open()) == 0 }

// Equal reports whether both are the same secret, in constant time for secrets of the same length. Two zero Values
// are equal.
func (v Value) Equal(o Value) bool {
	return subtle.ConstantTimeCompare([]byte(v.Reveal()), []byte(o.Reveal())) == 1
}

// Wipe overwrites the bytes that v holds, and with them those of every Value that was assigned from v: use none of
// them after. Copies that Reveal made are not reached. It must not run while another goroutine uses v.
func (v Value) Wipe() {
	if v.open != nil {
		clear(v.open())
	}
}

// String returns Redacted.
func (Value) String() string { return Redacted }

// GoString returns Redacted.
func (Value) GoString() string { return Redacted }

// Format writes Redacted for every verb and flag.
func (Value) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, Redacted) }

// LogValue returns Redacted.
func (Value) LogValue() slog.Value { return slog.StringValue(Redacted) }

// MarshalText returns Redacted.
func (Value) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// MarshalJSON returns Redacted as a JSON string.
func (Value) MarshalJSON() ([]byte, error) { return json.Marshal(Redacted) }

// MarshalYAML returns Redacted.
func (Value) MarshalYAML() (any, error) { return Redacted, nil }
