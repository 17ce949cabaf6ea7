package checker

import (
	"fmt"
	"strconv"
)

// Lockout is what a provider bears of refusals of one client before it locks it out. The zero value is that nobody knows.
type Lockout struct {
	none    bool
	perHour int
}

// ParseLockout reads none (any number), unknown or "" (nobody knows), or how many refusals an hour are borne.
func ParseLockout(s string) (Lockout, error) {
	switch s {
	case "none":
		return Lockout{none: true}, nil
	case "unknown", "":
		return Lockout{}, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > 1_000_000 {
		return Lockout{}, fmt.Errorf("%q is neither none nor unknown, nor a number of refusals an hour from 1 on", s)
	}
	return Lockout{perHour: n}, nil
}

// UnmarshalText is ParseLockout.
func (l *Lockout) UnmarshalText(b []byte) (err error) {
	*l, err = ParseLockout(string(b))
	return err
}

// None reports whether the provider is known to lock nobody out.
func (l Lockout) None() bool { return l.none }

// PerHour is how many refusals an hour are borne; 0: there is no limit, or none is known.
func (l Lockout) PerHour() int { return l.perHour }

// String returns what ParseLockout reads.
func (l Lockout) String() string {
	switch {
	case l.none:
		return "none"
	case l.perHour > 0:
		return strconv.Itoa(l.perHour)
	}
	return "unknown"
}
