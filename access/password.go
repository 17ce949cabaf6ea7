package access

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/secure/precis"

	"github.com/keyrounds/keyrounds/secret"
)

// Rules of passwords:
//
//  1. They are compared as RFC 8265's OpaqueString has them: the same on every keyboard.
//  2. They are stored as Argon2id (RFC 9106) with a salt of their own, and with the parameters, so that those can grow.
//  3. At most atOnce are hashed at the same time: whoever guesses takes no more memory and processor than that.
//  4. Who is unknown, disabled or without a password costs the same as a wrong password.

// Cost is what a hash takes: memory in KiB, and passes over it.
type Cost struct{ KiB, Passes uint32 }

// DefaultCost is what OWASP recommends, and more: about 50 ms of one processor.
var DefaultCost = Cost{32 << 10, 3}

const (
	atOnce     = 2
	waitToHash = 5 * time.Second

	saltBytes = 16
	hashBytes = 32
	mostKiB   = 256 << 10 // of a stored hash: more is not ours
	mostPass  = 20

	leastPassword = 12  // characters
	mostPassword  = 256 // bytes
)

type hashing struct {
	cost  Cost
	slots chan struct{}
	dummy string // a hash that no password has
	made  *atomic.Int64
}

func newHashing(c Cost) hashing {
	salt := make([]byte, saltBytes)
	_, _ = rand.Read(salt)
	sum := make([]byte, hashBytes)
	_, _ = rand.Read(sum)
	return hashing{c, make(chan struct{}, atOnce), c.format(salt, sum), &atomic.Int64{}}
}

// wait takes one of the places in which passwords are hashed; ErrBusy: none became free in time.
func (h hashing) wait(ctx context.Context) (done func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, waitToHash)
	defer cancel()
	select {
	case h.slots <- struct{}{}:
		h.made.Add(1)
		return func() { <-h.slots }, nil
	case <-ctx.Done():
		return nil, ErrBusy
	}
}

// hash is how a password is stored. The error is an *InputError where it is no password that anybody should have.
func (h hashing) hash(ctx context.Context, name string, password secret.Value) (string, error) {
	text, err := opaque(password)
	switch {
	case err != nil:
		return "", &InputError{"the password has characters that no keyboard sends"}
	case utf8.RuneCountInString(text) < leastPassword:
		return "", &InputError{fmt.Sprintf("the password is too short: %d characters or more", leastPassword)}
	case len(text) > mostPassword:
		return "", &InputError{fmt.Sprintf("the password is too long: %d bytes or less", mostPassword)}
	case strings.Contains(strings.ToLower(text), strings.ToLower(name)):
		return "", &InputError{"the password must not hold the name"}
	case len(distinct(text)) < 5:
		return "", &InputError{"the password repeats too few characters"}
	}
	done, err := h.wait(ctx)
	if err != nil {
		return "", err
	}
	defer done()
	salt := make([]byte, saltBytes)
	_, _ = rand.Read(salt)
	return h.cost.format(salt, h.cost.hash(text, salt)), nil
}

// matches compares a password with a stored hash; "" is compared with one that nothing matches, and takes as long.
func (h hashing) matches(ctx context.Context, stored string, password secret.Value) (bool, error) {
	known := stored != ""
	if !known {
		stored = h.dummy
	}
	cost, salt, want, err := parseHash(stored)
	if err != nil {
		return false, err
	}
	text, err := opaque(password)
	if err != nil || len(text) > mostPassword {
		text, known = "", false
	}
	done, err := h.wait(ctx)
	if err != nil {
		return false, err
	}
	defer done()
	got := cost.hash(text, salt)
	return subtle.ConstantTimeCompare(got, want) == 1 && known, nil
}

// opaque is a password as it is compared (RFC 8265 §4.2).
func opaque(password secret.Value) (string, error) {
	if len(password.Reveal()) > 4*mostPassword {
		return "", errHash
	}
	return precis.OpaqueString.String(password.Reveal())
}

func distinct(s string) map[rune]bool {
	m := map[rune]bool{}
	for _, r := range s {
		m[r] = true
	}
	return m
}

func (c Cost) hash(text string, salt []byte) []byte {
	return argon2.IDKey([]byte(text), salt, c.Passes, c.KiB, 1, hashBytes)
}

func (c Cost) format(salt, sum []byte) string {
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=1$%s$%s", argon2.Version, c.KiB, c.Passes, b64(salt), b64(sum))
}

var errHash = errors.New("a stored password is not one of keyrounds'")

// parseHash reads what format writes. Parameters that would take very much are an error: whoever can write into the
// database must not take the daemon's memory by it.
func parseHash(s string) (c Cost, salt, sum []byte, err error) {
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return c, nil, nil, errHash
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=1", &c.KiB, &c.Passes); err != nil || c.KiB > mostKiB || c.Passes > mostPass ||
		c.KiB == 0 || c.Passes == 0 {
		return c, nil, nil, errHash
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(parts[4])
	sum, err2 := base64.RawStdEncoding.DecodeString(parts[5])
	if err1 != nil || err2 != nil || len(sum) != hashBytes || len(salt) < 8 {
		return c, nil, nil, errHash
	}
	return c, salt, sum, nil
}

// stale reports whether a stored hash was made at another cost than today's.
func (h hashing) stale(stored string) bool {
	c, _, _, err := parseHash(stored)
	return err == nil && c != h.cost
}
