package backup

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"

	"github.com/keyrounds/keyrounds/secret"
)

// Errors of this file never have what was given: whoever mixes the two up gives a key in place of a recipient.

// Lock is what a backup is encrypted to. Its zero value encrypts nothing, and is refused.
type Lock struct {
	recipients []age.Recipient
	passphrase []age.Identity // what opens it again, where that is known
}

// minPassphrase is what scrypt, at a second a try, protects for long enough if it is random.
const minPassphrase = 12

// ToPassphrase encrypts to a passphrase of at least 12 bytes.
func ToPassphrase(v secret.Value) (Lock, error) { return toPassphrase(v, usualFactor) }

// toPassphrase: factor is scrypt's, 0 for that of age, which takes a second; for tests.
func toPassphrase(v secret.Value, factor int) (Lock, error) {
	if len(v.Reveal()) < minPassphrase {
		return Lock{}, &weakError{}
	}
	to, err := age.NewScryptRecipient(v.Reveal())
	if err != nil {
		return Lock{}, errors.New("the passphrase cannot be used")
	}
	if factor > 0 {
		to.SetWorkFactor(factor)
	}
	opens, err := FromPassphrase(v)
	return Lock{[]age.Recipient{to}, opens}, err
}

type weakError struct{}

func (*weakError) Error() string {
	return fmt.Sprintf("the passphrase has fewer than %d characters: whoever has the file could find it by trying", minPassphrase)
}

func (*weakError) Hint() string { return "for example: openssl rand -base64 24" }

// ToRecipients encrypts to age's public keys (age1…), one a line; empty lines and those that begin with # are passed over.
func ToRecipients(lines io.Reader) (Lock, error) {
	var l Lock
	scan := bufio.NewScanner(lines)
	for n := 1; scan.Scan(); n++ {
		line := strings.TrimSpace(scan.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		to, err := age.ParseRecipients(strings.NewReader(line))
		if err != nil {
			return Lock{}, &recipientError{n}
		}
		l.recipients = append(l.recipients, to...)
	}
	if err := scan.Err(); err != nil {
		return Lock{}, fmt.Errorf("read the recipients: %w", err)
	}
	if len(l.recipients) == 0 {
		return Lock{}, errors.New("no recipient is named")
	}
	return l, nil
}

type recipientError struct{ n int }

func (e *recipientError) Error() string {
	return fmt.Sprintf("number %d is not a recipient of age", e.n)
}

func (*recipientError) Hint() string {
	return "a recipient is a public key, age1…; age-keygen -y prints that of a key"
}

// Key is what opens a backup.
type Key []age.Identity

// FromPassphrase opens what was encrypted to that passphrase.
func FromPassphrase(v secret.Value) (Key, error) {
	id, err := age.NewScryptIdentity(v.Reveal())
	if err != nil {
		return nil, errors.New("the passphrase is empty")
	}
	return Key{id}, nil
}

// FromIdentities reads age's private keys (AGE-SECRET-KEY-1…), as age-keygen writes them.
func FromIdentities(r io.Reader) (Key, error) {
	in := bufio.NewReader(io.LimitReader(r, 1<<20))
	if begin, _ := in.Peek(len(ageMagic)); string(begin) == ageMagic {
		return nil, &identityError{"is encrypted itself", "decrypt it for this command: --identity <(age -d FILE)"}
	}
	ids, err := age.ParseIdentities(in)
	if err != nil {
		return nil, &identityError{"has no key of age", "it is what age-keygen wrote: a line AGE-SECRET-KEY-1…"}
	}
	return ids, nil
}

type identityError struct{ what, hint string }

func (e *identityError) Error() string { return "the file of the identity " + e.what }
func (e *identityError) Hint() string  { return e.hint }

// WrongKeyError says that the key does not open the backup.
type WrongKeyError struct{}

func (*WrongKeyError) Error() string {
	return "the backup does not open: it was encrypted to another key or passphrase"
}

// Hint says what a person does about it.
func (*WrongKeyError) Hint() string {
	return "nothing was restored; give the key or passphrase of that time"
}

const ageMagic = "age-encryption.org/v1"

// Passphrase reports whether a passphrase opens the file that begins with begin, or an identity does. The error says that it
// is no backup.
func Passphrase(begin []byte) (bool, error) {
	header, rest, _ := strings.Cut(string(begin), "\n")
	if header != ageMagic {
		return false, errNotOurs
	}
	return strings.HasPrefix(rest, "-> scrypt "), nil
}

var errNotOurs = errors.New("it is not a backup of keyrounds")

// keeper keeps the key of the one file that is encrypted to it, so that the file can be read back where nobody here has the
// recipients' keys.
type keeper struct {
	age.Recipient
	key []byte
}

// Wrap notes the key.
func (k *keeper) Wrap(key []byte) ([]*age.Stanza, error) {
	k.key = append([]byte(nil), key...)
	return k.Recipient.Wrap(key)
}

// WrapWithLabels notes the key as well; labels say which recipients may go together.
func (k *keeper) WrapWithLabels(key []byte) ([]*age.Stanza, []string, error) {
	k.key = append([]byte(nil), key...)
	if r, ok := k.Recipient.(age.RecipientWithLabels); ok {
		return r.WrapWithLabels(key)
	}
	s, err := k.Recipient.Wrap(key)
	return s, nil, err
}
