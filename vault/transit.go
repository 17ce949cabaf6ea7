package vault

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"

	"github.com/keyrounds/keyrounds/secret"
)

// Transit encrypts and decrypts with a key of a transit engine, which does not leave it (secret.KMS).
type Transit struct {
	Client *Client
	Mount  string // "": transit
	Key    string
}

// String names the key, as an error does.
func (t Transit) String() string {
	return fmt.Sprintf("%s/keys/%s at %s", or(t.Mount, "transit"), t.Key, t.Client.Address)
}

// EncryptWithContext encrypts text with the newest version of the key.
func (t Transit) EncryptWithContext(ctx context.Context, text, associated []byte) ([]byte, error) {
	var answer struct {
		Data struct {
			Ciphertext string `json:"ciphertext"`
		} `json:"data"`
	}
	plain := secret.New([]byte(base64.StdEncoding.EncodeToString(text)))
	defer plain.Wipe()
	err := t.ask(ctx, "encrypt", map[string]string{"plaintext": plain.Reveal(), "associated_data": encoded(associated)}, &answer, plain)
	if err == nil && answer.Data.Ciphertext == "" {
		err = errors.New("the answer has no ciphertext")
	}
	if err != nil {
		return nil, fmt.Errorf("encrypt with %s: %w", t, err)
	}
	return []byte(answer.Data.Ciphertext), nil
}

// DecryptWithContext decrypts what EncryptWithContext made, with whatever version of the key that was.
func (t Transit) DecryptWithContext(ctx context.Context, sealed, associated []byte) ([]byte, error) {
	var answer struct {
		Data struct {
			Plaintext string `json:"plaintext"`
		} `json:"data"`
	}
	err := t.ask(ctx, "decrypt", map[string]string{"ciphertext": string(sealed), "associated_data": encoded(associated)}, &answer)
	if err != nil {
		return nil, fmt.Errorf("decrypt with %s: %w", t, err)
	}
	text, err := base64.StdEncoding.DecodeString(answer.Data.Plaintext)
	if err != nil || len(text) == 0 {
		return nil, fmt.Errorf("decrypt with %s: the answer has no plaintext", t)
	}
	return text, nil
}

func encoded(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func (t Transit) ask(ctx context.Context, what string, in map[string]string, into any, secrets ...secret.Value) error {
	return t.Client.ask(ctx, http.MethodPost, or(t.Mount, "transit")+"/"+what+"/"+t.Key, in, into, secrets...)
}
