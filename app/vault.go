package app

import (
	"context"
	"fmt"
	"time"

	"github.com/keyrounds/keyrounds/secret"
	"github.com/keyrounds/keyrounds/vault"
)

// ReadVault has vault references read from the Vault that the configuration names, or else the environment. Without either they
// say so when they are read; an address of the environment that cannot be used too.
func ReadVault(s vault.Settings, now func() time.Time) error {
	named := s.Address != ""
	client, err := newVault(s, now)
	switch {
	case err != nil && named:
		return err
	case err != nil:
		secret.ReadVaultBy(func(context.Context, secret.VaultPlace) ([]byte, error) { return nil, err })
	case client == nil:
		secret.ReadVaultBy(nil)
	default:
		secret.ReadVaultBy(client.Read)
	}
	return nil
}

// newVault makes a client of the Vault that the configuration names, or else the environment; nil: neither does.
func newVault(s vault.Settings, now func() time.Time) (*vault.Client, error) {
	e := secret.VaultEnv{Address: s.Address, Namespace: s.Namespace, CAFile: s.CAFile, Token: s.Token}.Or(secret.ReadVaultEnv())
	if e.Address == "" {
		return nil, nil
	}
	s.Address, s.Namespace, s.CAFile, s.Token = e.Address, e.Namespace, e.CAFile, e.Token
	client, err := vault.New(s, now)
	if err != nil {
		return nil, fmt.Errorf("the address of Vault: %w", err)
	}
	return client, nil
}
