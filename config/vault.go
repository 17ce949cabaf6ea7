package config

import (
	"time"

	"github.com/keyrounds/keyrounds/outbound"
	"github.com/keyrounds/keyrounds/secret"
	"github.com/keyrounds/keyrounds/vault"
)

func (b *builder) vault(c *Config, in *VaultSection) {
	if in == nil {
		return
	}
	s := vault.Settings{Address: in.Address, Namespace: in.Namespace, CAFile: in.CAFile, AllowHTTP: in.AllowHTTP}
	if err := (outbound.TLS{CAFile: s.CAFile}).Load(); err != nil {
		b.fail("vault.ca_file", "a file with certificates in PEM", "%v", err)
	} else if s.Address != "" {
		if _, err := vault.New(s, time.Now); err != nil {
			b.fail("vault.address", "https://vault.example.com:8200", "%v", err)
		}
	}
	if in.Auth != nil {
		methods := 0
		if in.Auth.Token != "" {
			methods++
			s.Token = b.vaultSecret("vault.auth.token", in.Auth.Token)
		}
		if r := in.Auth.AppRole; r != nil {
			methods++
			s.AppRole = vault.AppRole{RoleID: r.RoleID, SecretID: b.vaultSecret("vault.auth.approle.secret_id", r.SecretID), Mount: r.Mount}
			if r.RoleID == "" {
				b.fail("vault.auth.approle", "role_id: …", "role_id is missing")
			}
		}
		if k := in.Auth.Kubernetes; k != nil {
			methods++
			s.Kubernetes = vault.Kubernetes{Role: k.Role, Mount: k.Mount, TokenFile: k.TokenFile}
			if k.Role == "" {
				b.fail("vault.auth.kubernetes", "role: …", "role is missing")
			}
		}
		if methods != 1 {
			b.fail("vault.auth", "token, approle or kubernetes", "%d ways to sign in are given, one is needed", methods)
		}
	}
	c.Vault = s
}

// vaultSecret reads a reference to what Vault is asked with, which is not in Vault itself.
func (b *builder) vaultSecret(path, text string) secret.Reference {
	ref, err := secret.ParseReference(text)
	if err != nil || ref.Scheme() == secret.SchemeVault || ref.Scheme() == secret.SchemeSealed {
		b.fail(path, "file:/path, env:NAME, exec:command or systemd:NAME", "not a reference that this can have")
	}
	return ref
}
