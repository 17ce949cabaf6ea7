package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/safefile"
	"github.com/keyrounds/keyrounds/secret"
)

// refAt is a reference of the configuration, and where it stands.
type refAt struct {
	at              string
	ref, passphrase secret.Reference
}

// references are those of the configuration that are read outside of it.
func references(c *config.Config) (all []refAt) {
	add := func(at string, ref secret.Reference) { all = append(all, refAt{at: at, ref: ref}) }
	for i, cred := range c.Credentials {
		all = append(all, refAt{fmt.Sprintf("credentials.%d.secret", i), cred.Secret, cred.KeyPassphrase})
	}
	add("database.url", c.Database.Ref)
	add("database.admin_url", c.AdminDatabase.Ref)
	add("vault.auth.token", c.Vault.Token)
	add("vault.auth.approle.secret_id", c.Vault.AppRole.SecretID)
	add("slack.token", c.Slack.Token)
	add("slack.app_token", c.Slack.AppToken)
	add("slack.webhook_url", c.Slack.Webhook)
	add("heartbeat.url", c.Heartbeat.URL)
	for i, r := range c.Receivers {
		add(fmt.Sprintf("receivers.%d.url", i), r.URL)
		add(fmt.Sprintf("receivers.%d.token", i), r.Token)
		add(fmt.Sprintf("receivers.%d.password", i), r.Password)
		add(fmt.Sprintf("receivers.%d.secret", i), r.Secret)
		add(fmt.Sprintf("receivers.%d.%s", i, r.KeyName()), r.Key)
	}
	for i, issuer := range c.Access.Issuers {
		add(fmt.Sprintf("access.issuers.%d.client_secret", i), issuer.ClientSecret)
	}
	for i, f := range c.Feeds {
		add(fmt.Sprintf("feeds.%d.token", i), f.Token)
	}
	for i, w := range c.Leaks.Webhooks {
		add(fmt.Sprintf("leaks.webhooks.%d.secret", i), w.Secret)
		add(fmt.Sprintf("leaks.webhooks.%d.token", i), w.Token)
	}
	return slices.DeleteFunc(all, func(n refAt) bool { return !n.ref.ReachesHost() })
}

// unread tries everything outside of the configuration that it names, and returns what cannot be read.
func unread(ctx context.Context, c *config.Config) (bad []config.Unreadable) {
	note := func(at string, err error) {
		if err != nil {
			bad = append(bad, config.Unreadable{Path: at, Err: err})
		}
	}
	for _, n := range references(c) {
		v, err := secret.ResolveKey(ctx, n.ref, n.passphrase)
		v.Wipe()
		note(n.at, err)
	}
	for i, f := range c.Feeds {
		for j, pattern := range f.Paths {
			note(fmt.Sprintf("feeds.%d.paths.%d", i, j), readable(pattern))
		}
	}
	for i, s := range c.Leaks.Sources {
		note(fmt.Sprintf("leaks.sources.%d.path", i), readable(s.Path))
	}
	for at, name := range map[string]string{"web_config": c.WebConfig, "sealing.key": c.SealingKey} {
		if name == "" {
			continue
		}
		err := readable(name)
		if at == "sealing.key" && errors.Is(err, fs.ErrNotExist) {
			continue // it is made at the first start
		}
		if at == "web_config" && err == nil {
			err = config.CheckWeb(name)
		}
		note(at, err)
	}
	return bad
}

// mostOpened of the files that a pattern names are opened.
const mostOpened = 100

// readable says why what a path or a pattern names cannot be read. A pattern that names nothing yet is fine.
func readable(pattern string) error {
	names, err := filepath.Glob(pattern)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		if strings.ContainsAny(pattern, `*?[`) {
			_, err := os.ReadDir(filepath.Dir(pattern))
			if strings.ContainsAny(filepath.Dir(pattern), `*?[`) {
				return nil
			}
			return unnamed(err)
		}
		_, err := os.Stat(pattern)
		return unnamed(err)
	}
	for _, name := range names[:min(len(names), mostOpened)] {
		if st, err := os.Stat(name); err == nil && st.IsDir() {
			if _, err := os.ReadDir(name); err != nil {
				return fmt.Errorf("%s: %w", name, unnamed(err))
			}
			continue
		}
		f, err := safefile.Open(name)
		var link *safefile.LinkError
		switch {
		case errors.As(err, &link):
			return err
		case err != nil:
			return fmt.Errorf("%s: %w", name, unnamed(err))
		}
		_ = f.Close()
	}
	return nil
}

// unnamed leaves the path out of an error.
func unnamed(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// exitWith ends a command whose work another process did, with its exit code.
type exitWith int

func (e exitWith) Error() string { return fmt.Sprintf("exit code %d", int(e)) }
