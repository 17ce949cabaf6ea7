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
	"strconv"
	"strings"
	"syscall"

	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/safefile"
	"github.com/keyrounds/keyrounds/secret"
)

// unread tries everything on the host that the configuration names, and returns what cannot be read.
func unread(ctx context.Context, c *config.Config) (bad []config.Unreadable) {
	note := func(at string, err error) {
		if err != nil {
			bad = append(bad, config.Unreadable{Path: at, Err: err})
		}
	}
	tryKey := func(at string, ref, passphrase secret.Reference) {
		if !ref.ReachesHost() {
			return
		}
		v, err := secret.ResolveKey(ctx, ref, passphrase)
		v.Wipe()
		note(at, err)
	}
	try := func(at string, ref secret.Reference) { tryKey(at, ref, secret.Reference{}) }
	for i, cred := range c.Credentials {
		tryKey(fmt.Sprintf("credentials.%d.secret", i), cred.Secret, cred.KeyPassphrase)
	}
	try("database.url", c.Database.Ref)
	try("database.admin_url", c.AdminDatabase.Ref)
	try("slack.token", c.Slack.Token)
	try("slack.app_token", c.Slack.AppToken)
	try("slack.webhook_url", c.Slack.Webhook)
	try("heartbeat.url", c.Heartbeat.URL)
	for i, r := range c.Receivers {
		try(fmt.Sprintf("receivers.%d.url", i), r.URL)
		try(fmt.Sprintf("receivers.%d.token", i), r.Token)
		try(fmt.Sprintf("receivers.%d.password", i), r.Password)
	}
	for i, f := range c.Feeds {
		try(fmt.Sprintf("feeds.%d.token", i), f.Token)
		for j, pattern := range f.Paths {
			note(fmt.Sprintf("feeds.%d.paths.%d", i, j), readable(pattern))
		}
	}
	for i, s := range c.Leaks.Sources {
		note(fmt.Sprintf("leaks.sources.%d.path", i), readable(s.Path))
	}
	for i, w := range c.Leaks.Webhooks {
		try(fmt.Sprintf("leaks.webhooks.%d.secret", i), w.Secret)
		try(fmt.Sprintf("leaks.webhooks.%d.token", i), w.Token)
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
func checkAs(ctx context.Context, name string, args []string) error {
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
	cmd.Dir, cmd.Env = "/", append(os.Environ(), "HOME="+u.HomeDir)
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
