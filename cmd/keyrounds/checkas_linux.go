package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/secret"
)

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
