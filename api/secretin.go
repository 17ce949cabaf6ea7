package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/keyrounds/keyrounds/secret"
)

// SecretIn is a secret in a body. It is sealed, and no answer has it: here it is read, and nothing writes it.
type SecretIn struct{ value secret.Value }

// UnmarshalJSON takes the text as it stands; check says whether it can be a secret.
func (s *SecretIn) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return errors.New("not a text")
	}
	s.value = secret.New([]byte(text))
	return nil
}

// MarshalJSON never shows it.
func (SecretIn) MarshalJSON() ([]byte, error) { return json.Marshal(secret.Redacted) }

// Schema has the document say that it is only ever sent.
func (SecretIn) Schema(huma.Registry) *huma.Schema {
	least, most := 1, secret.MaxSize
	s := &huma.Schema{
		Type: huma.TypeString, Format: "password", WriteOnly: true, MinLength: &least, MaxLength: &most,
		Description: "The secret itself, or a key as PEM or JWK. It is sealed, and never given back. A reference to one is refused.",
	}
	s.PrecomputeMessages()
	return s
}

// read is the secret, to be wiped by the caller. A reference is refused: what this host has is named in its file only, or whoever
// may reach the API could have it sent anywhere.
func (s SecretIn) read(where string) (secret.Value, error) {
	if s.value.IsZero() {
		name := where[strings.LastIndex(where, ".")+1:]
		return secret.Value{}, wrongly(Wrong{where, "The member " + name + " is missing: it is the secret itself."})
	}
	text := s.value.Reveal()
	if ref, err := secret.ParseReference(text); err == nil && (ref.ReachesHost() || ref == secret.Sealed) {
		return secret.Value{}, wrongly(Wrong{where, fmt.Sprintf(
			"%s: is a reference. References are named in the configuration file only: send the secret itself.", ref.Scheme(),
		)})
	}
	v, err := secret.Parse([]byte(text))
	switch {
	case errors.Is(err, secret.ErrLocked):
		return v, wrongly(Wrong{where, "The key is encrypted with a passphrase. Open it first: the API opens no keys."})
	case err != nil:
		return v, wrongly(Wrong{where, "It is no secret: a client secret is one line without blanks at its ends, a key is PEM or a JWK."})
	}
	return v, nil
}

// hostNames are members that only the configuration file may have, and why.
func hostName(member string) (why string, is bool) {
	switch member {
	case "secret", "key_passphrase":
		return "References are named in the configuration file only: send client_secret, which is sealed.", true
	case "token_url", "auth_method", "issuer", "preset", "allow_private_networks":
		return "Providers are named in the configuration file only: name one of these as provider.", true
	}
	return "", false
}
