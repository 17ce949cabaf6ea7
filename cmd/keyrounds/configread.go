package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

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

// checkAs runs the same command as another user, for root: what can be read is a matter of who reads.
func checkAs(ctx context.Context, c *config.Config, name string, args []string) error {
	u, err := user.Lookup(name)
	if err != nil {
		return &hintError{
			fmt.Errorf("there is no user %q", name),
			"name the one that will run the daemon, such as that of the systemd unit",
		}
	}
	if self, err := user.Current(); err == nil && self.Uid == u.Uid {
		return nil
	}
	if os.Geteuid() != 0 {
		return &hintError{fmt.Errorf("only root can try what %s can read", name), "run it as root, or as that user without --user"}
	}
	who, err := credentialOf(u)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "/proc/self/exe", args...)
	cmd.Args[0] = os.Args[0]
	cmd.Dir, cmd.Env = "/", append(environmentFor(c), "HOME="+u.HomeDir)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who, Setsid: true} // without root's terminal, into which he could type
	err = cmd.Run()
	var ended *exec.ExitError
	if errors.As(err, &ended) && ended.Exited() {
		return exitWith(ended.ExitCode())
	}
	if err != nil {
		return &hintError{fmt.Errorf("as %s: %w", name, err), "that user needs to be able to run this program"}
	}
	return exitWith(0)
}

// environmentFor is what another user's process gets of our environment, which he can read there: what the configuration
// refers to, and nothing else of root's.
func environmentFor(c *config.Config) (env []string) {
	names := append([]string{"PATH", "LANG", "CREDENTIALS_DIRECTORY"}, c.ExecEnv...)
	names = append(names, vaultNames(c)...)
	for _, n := range references(c) {
		for _, ref := range []secret.Reference{n.ref, n.passphrase} {
			if name, ok := strings.CutPrefix(ref.String(), secret.SchemeEnv+":"); ok {
				names = append(names, name)
			}
		}
	}
	for _, name := range names {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// vaultNames are the variables of Vault's and OpenBao's own programs that the configuration has us read.
func vaultNames(c *config.Config) (names []string) {
	asked := c.Vault.Address != "" || c.SealingKMS != (config.Transit{}) ||
		slices.ContainsFunc(references(c), func(n refAt) bool { return n.ref.Scheme() == secret.SchemeVault })
	if !asked {
		return nil
	}
	of := []string{"ADDR", "NAMESPACE", "CACERT"}
	if c.Vault.Token.IsZero() && c.Vault.AppRole.RoleID == "" && c.Vault.Kubernetes.Role == "" {
		of = append(of, "TOKEN", "TOKEN_FILE")
	}
	for _, name := range of {
		names = append(names, "VAULT_"+name, "BAO_"+name)
	}
	return names
}

func credentialOf(u *user.User) (*syscall.Credential, error) {
	ids, err := u.GroupIds()
	if err != nil {
		return nil, err
	}
	number := func(text string) (uint32, error) {
		n, err := strconv.ParseUint(text, 10, 32)
		return uint32(n), err
	}
	uid, err1 := number(u.Uid)
	gid, err2 := number(u.Gid)
	who := &syscall.Credential{Uid: uid, Gid: gid}
	for _, id := range ids {
		if n, err := number(id); err == nil {
			who.Groups = append(who.Groups, n)
		}
	}
	return who, errors.Join(err1, err2)
}

// exitWith ends a command whose work another process did, with its exit code.
type exitWith int

func (e exitWith) Error() string { return fmt.Sprintf("exit code %d", int(e)) }
