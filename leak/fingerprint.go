package leak

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"golang.org/x/crypto/scrypt"

	"github.com/keyrounds/keyrounds/leak/intake"
	"github.com/keyrounds/keyrounds/secret"
)

// Fingerprints are HMACs with a key of this installation, which is sealed: whoever has the table can neither
// try secrets against it nor compare it with another installation's.

const keyName = "leak fingerprints"

// prints makes fingerprints.
type prints struct{ key []byte }

func (p prints) of(what, text string) []byte {
	h := hmac.New(sha256.New, p.key)
	h.Write([]byte(what + "\x00" + text))
	return h.Sum(nil)
}

func (p prints) whole(value string) []byte { return p.of("secret", value) }

// Reports that hide a part of what they found show the beginning. These lengths of it are known.
var prefixLengths = []int{intake.MinPart, 10, 12, 16, 20, 24, 32}

// prefixes of a secret, of at most two thirds of it: so much of a hash must not help to guess the rest.
func (p prints) prefixes(value string) [][]byte {
	all := [][]byte{}
	for _, n := range prefixLengths {
		if 3*n <= 2*len(value) {
			all = append(all, p.of(fmt.Sprint("prefix ", n), value[:n])[:16])
		}
	}
	return all
}

// beginnings are the fingerprints of a text that begins a secret, at each length.
func (p prints) beginnings(text string) (all [][]byte) {
	for _, n := range prefixLengths {
		if len(text) >= n {
			all = append(all, p.of(fmt.Sprint("prefix ", n), text[:n])[:16])
		}
	}
	return all
}

// begins reports whether text begins the secret that has these prefixes: at the longest length that both have, since
// many secrets begin alike.
func (p prints) begins(text string, prefixes [][]byte) bool {
	all := p.beginnings(text)
	n := min(len(all), len(prefixes))
	return n > 0 && bytes.Equal(all[n-1], prefixes[n-1])
}

func (p prints) ofHMSL(hash string) []byte { return p.of("hmsl", hash)[:16] }

// hmsl is the hash of GitGuardian's HasMySecretLeaked, which names a secret in its reports
// (github.com/GitGuardian/ggshield, hmsl): scrypt of it in hexadecimal.
func hmsl(value string) string {
	salt := sha256.Sum256([]byte("GitGuardian"))
	h, err := scrypt.Key([]byte(value), salt[:], 2048, 8, 1, 32)
	if err != nil {
		panic(err) // the parameters are constants
	}
	return hex.EncodeToString(h)
}

// prints reads the key, and makes it the first time.
func (s *Store) prints(ctx context.Context) (prints, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.key != nil {
		return prints{s.key}, nil
	}
	if s.Sealer == nil {
		return prints{}, errors.New("no sealing key is configured, and without it there are no fingerprints")
	}
	sealed, err := s.sealedKey(ctx)
	if err != nil {
		return prints{}, err
	}
	v, err := s.Sealer.Open(sealed, keyName)
	if err != nil {
		return prints{}, fmt.Errorf("the key of the fingerprints: %w", err)
	}
	if s.key, err = hex.DecodeString(v.Reveal()); err != nil {
		return prints{}, errors.New("the key of the fingerprints is damaged")
	}
	return prints{s.key}, nil
}

// sealedKey returns the key as it is stored, which is the first that anybody stored.
func (s *Store) sealedKey(ctx context.Context) (sealed []byte, err error) {
	const read = `SELECT sealed FROM leak_key`
	if err = s.Pool.QueryRow(ctx, read).Scan(&sealed); !errors.Is(err, pgx.ErrNoRows) {
		return sealed, err
	}
	fresh := make([]byte, 32)
	_, _ = rand.Read(fresh)
	err = pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		sealer, err := s.Sealer.Hold(ctx, tx)
		if err != nil {
			return err
		}
		if sealed, err = sealer.Seal(secret.New([]byte(hex.EncodeToString(fresh))), keyName); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO leak_key (sealed) VALUES ($1) ON CONFLICT DO NOTHING`, sealed); err != nil {
			return err
		}
		return tx.QueryRow(ctx, read).Scan(&sealed)
	})
	return sealed, err
}
