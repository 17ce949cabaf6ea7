package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/secret"
)

const passphraseFlag = "key-passphrase"

// takesPassphrase adds the flag of commands that take a secret.
func takesPassphrase(cmd *cobra.Command) {
	cmd.Flags().String(passphraseFlag, "",
		"where the passphrase of an encrypted key (PEM, PKCS #12) is: env:NAME, file:/path or exec:command; the key is opened\n"+
			"once, and sealed without it")
}

func readPassphrase(cmd *cobra.Command) (secret.Value, error) {
	text, err := cmd.Flags().GetString(passphraseFlag)
	if err != nil || text == "" {
		return secret.Value{}, nil
	}
	ref, err := secret.ParseReference(text)
	if err != nil {
		return secret.Value{}, &hintError{fmt.Errorf("--%s: %w", passphraseFlag, err), "for example --" + passphraseFlag + " file:/path"}
	}
	v, err := secret.Resolve(cmd.Context(), ref)
	if err != nil {
		return v, fmt.Errorf("--%s: %w", passphraseFlag, err)
	}
	return v, nil
}

// askSecret asks on a terminal without echo, and otherwise reads standard input to its end: one line, or a key, which
// the command's passphrase opens.
func askSecret(cmd *cobra.Command, prompt string) (secret.Value, error) {
	phrase, err := readPassphrase(cmd)
	if err != nil {
		return phrase, err
	}
	defer phrase.Wipe()
	if f, ok := terminalOf(cmd); ok {
		b, err := hidden(cmd, f, prompt, "secret")
		if err != nil {
			return secret.Value{}, err
		}
		warnOfBlanks(cmd, b)
		return secret.ParseKey(b, phrase)
	}
	b, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), secret.MaxSize+2))
	if err != nil {
		return secret.Value{}, fmt.Errorf("read the secret: %w", err)
	}
	if len(bytes.TrimSpace(b)) == 0 {
		hint := "for example: pass show NAME | " + cmd.CommandPath() + " …"
		return secret.Value{}, &hintError{errors.New("no secret came on standard input"), hint}
	}
	warnOfBlanks(cmd, bytes.TrimRight(b, "\r\n"))
	v, err := secret.ParseKey(b, phrase)
	if err != nil {
		return v, &hintError{
			fmt.Errorf("the secret on standard input: %w", err),
			"a client secret is one line, a key is PEM or a JWK; for example: pass show NAME | keyrounds credentials …",
		}
	}
	return v, nil
}

// warnOfBlanks warns of a secret with blanks at an end, which were perhaps copied with it. Those around a key mean nothing.
func warnOfBlanks(cmd *cobra.Command, b []byte) {
	plain := bytes.TrimSpace(b)
	if len(plain) == len(b) || !utf8.Valid(b) || bytes.HasPrefix(plain, []byte("-----BEGIN")) || bytes.HasPrefix(plain, []byte("{")) {
		return
	}
	fmt.Fprintln(cmd.ErrOrStderr(), "warning: the secret begins or ends with a blank, which is kept: was it copied with it?")
}
