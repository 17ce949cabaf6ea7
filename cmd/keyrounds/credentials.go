package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/action"
	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/app"
	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/registry"
	"github.com/keyrounds/keyrounds/secret"
)

func newCredentials(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "credentials",
		Aliases: []string{"credential", "creds"},
		Short:   "The registry: add, list, show, import, edit, rotate, retire, restore",
	}
	cmd.AddCommand(
		newCredentialsAdd(o),
		newCredentialsList(o),
		newCredentialsShow(o),
		newCredentialsImport(o),
		newCredentialsEdit(o),
		newCredentialsRotate(o),
		newCredentialsRetire(o),
		newCredentialsRestore(o),
	)
	return cmd
}

func newCredentialsAdd(o *options) *cobra.Command {
	var in config.CredentialIn
	cmd := &cobra.Command{
		Use:   "add NAME --provider NAME --client-id ID",
		Short: "Register a credential; its secret is asked for and sealed in the database",
		Long: "Register a credential. The secret is asked for without echo, or read from standard input where that\n" +
			"is no terminal; it is sealed in the database. It is never a flag: flags are seen by others and kept\n" +
			"in histories. Then it is tried, by the daemon where one runs. Exit 0: it is ok, or could not be tried yet; 1: it is\n" +
			"registered, and not ok; 2: it was not registered.",
		Example: "  keyrounds credentials add ats-sync --provider smartrecruiters --client-id 82e4… --scopes candidates_read\n" +
			"  pass show ats-sync | keyrounds credentials add ats-sync --provider smartrecruiters --client-id 82e4…",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			in.Name, in.Secret = args[0], secret.SchemeSealed+":"
			a, err := o.open(cmd.Context())
			if err != nil {
				return err
			}
			defer a.Close()
			c, err := valid(a.Config(), in)
			if err != nil {
				return err
			}
			if _, err := a.Registry.Get(cmd.Context(), c.Name); err == nil {
				if old, _ := a.Registry.Get(cmd.Context(), c.Name); old.Retired.IsZero() {
					return &hintError{
						fmt.Errorf("the credential %q exists already", c.Name),
						"a new secret: keyrounds credentials rotate " + c.Name,
					}
				}
			} else if !errors.Is(err, registry.ErrNotFound) {
				return err
			}
			if err := warnOfDoubts(cmd, a, c); err != nil {
				return err
			}
			v, err := askSecret(cmd, "Secret of "+c.Name)
			if err != nil {
				return err
			}
			defer v.Wipe()
			err = a.Actions.Add(cmd.Context(), actor(), []credential.Credential{c}, []secret.Value{v}, firstCheck(cmd), nil)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is registered\n", c.Name)
			return tryFirst(cmd, a, []string{c.Name})
		},
	}
	takesPassphrase(cmd)
	tries(cmd)
	f := cmd.Flags()
	f.StringVar(&in.Provider, "provider", "", "name of a provider of the configuration (required)")
	f.StringVar(&in.ClientID, "client-id", "", "client id (required)")
	f.StringVar(&in.KeyID, "key-id", "", "which of the client's keys it is, as the provider's log names it")
	f.StringVar(&in.Description, "description", "", "what it is for")
	f.StringSliceVar(&in.Scopes, "scopes", nil, "declared scopes")
	f.StringVar(&in.Owner, "owner", "", "team or person")
	f.StringToStringVar(&in.Labels, "labels", nil, "labels, such as env=prod")
	f.StringVar(&in.Schedule, "schedule", "", "cron (default that of the configuration)")
	f.StringVar(&in.UnusedAfter, "unused-after", "", "how long without use makes it unused")
	f.StringVar(&in.MaxAge, "max-age", "", "how old the secret may become")
	f.StringVar(&in.Created, "created", "", "date when the provider made it")
	f.StringVar(&in.Expires, "expires", "", "date or time when it ends by itself, such as 2027-03-01; a certificate says so itself")
	f.BoolVar(&in.Canary, "canary", false, "nobody may ever use it")
	f.StringSliceVar(&in.ExpectedNetworks, "expected-networks", nil, "networks that its use comes from")
	_ = cmd.MarkFlagRequired("provider")
	_ = cmd.MarkFlagRequired("client-id")
	return cmd
}

// valid makes a credential and returns all that is wrong with it in one error.
func valid(c *config.Config, in config.CredentialIn) (credential.Credential, error) {
	cred, problems := in.Credential(c.Defaults)
	return cred, inOne(in.Name, append(problems, config.CheckProvider(cred, c.Providers)...))
}

// inOne is one error of all that is wrong with a credential; nil of nothing.
func inOne(name string, problems []credential.Problem) error {
	if len(problems) == 0 {
		return nil
	}
	var lines []string
	hint := ""
	for _, p := range problems {
		lines = append(lines, fmt.Sprintf("credential %q: %s: %s", name, p.Field, p.Message))
		if hint == "" {
			hint = p.Hint
		}
	}
	return &hintError{errors.New(strings.Join(lines, "\n")), hint}
}

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

func newCredentialsRotate(o *options) *cobra.Command {
	var (
		clientID string
		expires  string
		verify   bool
		patience time.Duration
	)
	cmd := &cobra.Command{
		Use:   "rotate NAME",
		Short: "Replace the sealed secret of a credential",
		Long: "Replace the sealed secret of a credential. The new one is asked for without echo, or read from standard\n" +
			"input where that is no terminal. Until a token is issued for it the credential is pending. The old one is\n" +
			"kept, sealed, and tried until it is proven dead; --verify-revoked waits for that and prints the proof. The new one is\n" +
			"tried at once, by the daemon where one runs; exit 1: it is stored, and not ok.\n\n" +
			"A secret that is read from the host is changed there; with --verify-revoked the old one is asked for.",
		Example: "  keyrounds credentials rotate ats-sync --client-id 5f1c… --verify-revoked",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.withCredential(cmd, args[0], func(a *app.App, c credential.Credential) error {
				if c.Source == credential.FromFile {
					for _, flag := range []string{"client-id", "expires"} {
						if cmd.Flags().Changed(flag) {
							return &hintError{fmt.Errorf("--%s: %q is in the configuration file", flag, c.Name), "change it there"}
						}
					}
				}
				if c.Secret != secret.Sealed {
					return changedOnHost(cmd, a, c, verify, patience)
				}
				var end time.Time
				if expires != "" {
					var err error
					if end, err = credential.ParseEnd(expires); err != nil {
						return &hintError{fmt.Errorf("--expires: %w", err), credential.EndHint}
					}
				}
				v, err := askSecret(cmd, "New secret of "+c.Name)
				if err != nil {
					return err
				}
				defer v.Wipe()
				next := c
				if clientID != "" {
					next.ClientID, next.KeyID = clientID, ""
				}
				if next.Expires = end; c.Source == credential.FromFile {
					next.Expires = c.Expires
				}
				if err := warnOfDoubts(cmd, a, next); err != nil {
					return err
				}
				if err := a.Actions.Rotate(cmd.Context(), actor(), c.Name, clientID, end, v, firstCheck(cmd)); err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s has a new secret\n", c.Name)
				err = tryFirst(cmd, a, []string{c.Name})
				if verify {
					if alive := verifyDead(cmd, a, c, patience); alive != nil {
						err = alive
					}
				}
				return err
			})
		},
	}
	takesPassphrase(cmd)
	tries(cmd)
	cmd.Flags().StringVar(&clientID, "client-id", "", "the new client id, where the provider gives a new pair")
	cmd.Flags().StringVar(&expires, "expires", "", "date or time when the new secret ends by itself; without it, that is not known")
	cmd.Flags().BoolVar(&verify, "verify-revoked", false, "wait until the old secret is proven dead, and print the proof")
	cmd.Flags().DurationVar(&patience, "timeout", 15*time.Minute, "how long --verify-revoked tries")
	return cmd
}

// withCredential opens the database for a command about one credential.
func (o *options) withCredential(cmd *cobra.Command, name string, do func(*app.App, credential.Credential) error) error {
	a, err := o.open(cmd.Context())
	if err != nil {
		return err
	}
	defer a.Close()
	c, err := a.Registry.Get(cmd.Context(), name)
	if err != nil {
		return notRegistered(cmd.Context(), a, name, err)
	}
	return do(a, c)
}

// changedOnHost: the secret is read from the host, so it was changed there, or is to be.
func changedOnHost(cmd *cobra.Command, a *app.App, c credential.Credential, verify bool, patience time.Duration) error {
	if !verify {
		return &action.HostSecretError{Credential: c}
	}
	v, err := a.Rounds.Resolve(cmd.Context(), c) // which notes that it was replaced
	if err != nil {
		return err
	}
	v.Wipe()
	return verifyDead(cmd, a, c, patience)
}

func newCredentialsRetire(o *options) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "retire NAME",
		Short: "End the registration of a credential; its history stays, its sealed secret goes",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := o.open(cmd.Context())
			if err != nil {
				return err
			}
			defer a.Close()
			c, err := a.Registry.Get(cmd.Context(), args[0])
			if err != nil {
				return notRegistered(cmd.Context(), a, args[0], err)
			}
			question := "Retire " + c.Name + "? It is not checked any more"
			if c.Secret == secret.Sealed {
				question += ", and its sealed secret is removed for good"
			}
			if err := confirmed(cmd, yes, question); err != nil {
				return err
			}
			if err := a.Actions.Retire(cmd.Context(), actor(), args[0]); err != nil {
				return notRegistered(cmd.Context(), a, args[0], err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is retired; it still works at the provider until it is revoked there\n", args[0])
			return nil
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask on a terminal")
	return cmd
}

func newCredentialsList(o *options) *cobra.Command {
	var (
		out   output
		watch watch
		only  filters
		all   bool
	)
	cmd := &cobra.Command{
		Use: "list", Short: "List credentials with what we hold of them", Args: cobra.NoArgs,
		Example: "  keyrounds credentials list --filter owner=talent-platform --filter status=revoked --sort name",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := only.check(cmd); err != nil {
				return err
			}
			d, err := o.desk(cmd)
			if err != nil {
				return err
			}
			defer d.close()
			return watch.show(cmd, func(w io.Writer) error { return showCredentials(cmd.Context(), w, d, only, all, out) })
		},
	}
	out.flags(cmd, "table", "json", "csv")
	only.flag(cmd)
	watch.flags(cmd, &out)
	cmd.Flags().BoolVarP(&all, "all", "a", false, "also retired ones")
	return cmd
}

// showCredentials prints a list of credentials, also retired ones where all are meant.
func showCredentials(ctx context.Context, w io.Writer, d desk, only filters, all bool, out output) error {
	l := out.begin(w, []string{"NAME", "PROVIDER", "STATUS", "OWNER", "SOURCE", "LAST CHECK", "NEXT CHECK"})
	err := d.credentials(ctx, all, func(v api.CredentialJSON) {
		if !only.pass(v) {
			return
		}
		l.add([]string{v.Name, v.Provider, v.Status, v.Owner, v.Source, stamp(v.LastCheck), stamp(v.NextCheck)}, v)
	})
	if err != nil {
		return err
	}
	if l.n == 0 && len(only.given) > 0 {
		if err := only.nothing(); err != nil {
			return err
		}
		if out.people() {
			fmt.Fprintln(w, "no credential is like that")
			return nil
		}
	}
	if l.n == 0 && out.people() {
		fmt.Fprintln(
			w,
			"no credential is registered yet; name some in the configuration, or: keyrounds credentials add",
		)
		return nil
	}
	return l.end()
}

// mostChecks that credentials show --since shows.
const mostChecks = 1000

// shownJSON is a credential with what its scopes are worth, and its last checks. Its names are a promise.
type shownJSON struct {
	api.CredentialJSON
	Truth  api.ScopesJSON `json:"scope_truth"`
	Checks []audit.Check  `json:"checks"`
}

func newCredentialsShow(o *options) *cobra.Command {
	var (
		out   output
		since since
	)
	cmd := &cobra.Command{
		Use: "show NAME", Short: "Show a credential and its last checks", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			from, err := since.time(time.Now())
			if err != nil {
				return err
			}
			if c, err := o.remote(); c != nil || err != nil {
				if err == nil {
					err = showFrom(cmd, &there{c}, args[0], from, out)
				}
				return err
			}
			a, err := o.openAsIs(cmd.Context())
			if err != nil {
				return err
			}
			defer a.Close()
			c, err := a.Registry.Get(cmd.Context(), args[0])
			if err != nil {
				return notRegistered(cmd.Context(), a, args[0], err)
			}
			standing, _, err := a.Audit.StandingOf(cmd.Context(), c.ID)
			if err != nil {
				return err
			}
			value := api.NewCredentialJSON(c, standing)
			history, err := checksOf(cmd.Context(), a, c.ID, from)
			if err != nil {
				return err
			}
			last, err := a.Audit.Scopes(cmd.Context(), c.ID)
			if err != nil {
				return err
			}
			drift, err := a.Audit.ScopeDrift(cmd.Context(), c.ID, 10)
			if err != nil {
				return err
			}
			book, err := a.Usage.Open(cmd.Context(), a.Pool, []credential.Credential{c})
			if err != nil {
				return err
			}
			table := api.NewScopesJSON(
				c,
				a.Config().Providers[c.Provider],
				last,
				drift,
				func(scope string) string { return book.ScopeUse(c, scope, a.Now()) },
			)
			full := shownJSON{value, table, orEmpty(history)}
			return out.one(cmd.OutOrStdout(), full, describe(value, table, history))
		},
	}
	out.flags(cmd, "table", "json")
	since.flag(cmd, fmt.Sprintf("instead of the last 10 checks those (%d at most)", mostChecks))
	return cmd
}

// checksOf are the last checks of a credential, or those since a time; the newest first.
func checksOf(ctx context.Context, a *app.App, id int64, from time.Time) (checks []audit.Check, err error) {
	if from.IsZero() {
		return a.Audit.History(ctx, id, 10)
	}
	stored, err := a.Audit.Checked(ctx, audit.Checks{CredentialID: id, Since: from, Limit: mostChecks})
	for _, s := range stored {
		checks = append(checks, s.Check)
	}
	return checks, err
}

func describe(v api.CredentialJSON, scopes api.ScopesJSON, history []audit.Check) string {
	var b strings.Builder
	line := func(label, text string) {
		if text != "" && text != "0s" {
			fmt.Fprintf(&b, "%-18s %s\n", label, printable(text, false))
		}
	}
	line("Name", v.Name)
	line("Status", strings.TrimSpace(v.Status+" since "+stamp(v.StatusSince)))
	line("Last answer", v.Message)
	line("Provider", v.Provider)
	line("Client id", v.ClientID)
	line("Key id", v.KeyID)
	line("Secret", v.Secret)
	line("Description", v.Description)
	line("Owner", v.Owner)
	line("Scopes", strings.Join(v.Scopes, " "))
	var labels []string
	for _, k := range slices.Sorted(maps.Keys(v.Labels)) {
		labels = append(labels, k+"="+v.Labels[k])
	}
	line("Labels", strings.Join(labels, " "))
	line("Schedule", v.Schedule)
	line("Unused after", v.UnusedAfter)
	line("Max age", v.MaxAge)
	line("Created", v.Created)
	if !v.ExpiresAt.IsZero() {
		line("Ends", stamp(v.ExpiresAt)+", "+credential.EndSource(v.ExpiresBy).Words())
	}
	line("Not proven", strings.Join(v.Unproven, " "))
	line("Networks", strings.Join(v.ExpectedNetworks, " "))
	line("Registered", stamp(v.Registered)+" by "+v.Source)
	line("Retired", stamp(v.Retired))
	line("Last success", stamp(v.LastSuccess))
	if !v.NextCheck.IsZero() {
		line("Next check", stamp(v.NextCheck)+", "+v.NextCheckWhy)
	}
	b.WriteString(scopeText(scopes))
	if len(history) > 0 {
		b.WriteString("\n")
		var rows [][]string
		for _, h := range history {
			rows = append(
				rows,
				[]string{
					stamp(h.At),
					string(h.Outcome),
					string(h.Reason),
					string(h.Status),
					fmt.Sprintf("%.1f ms", h.LatencyMS),
					h.Message,
				},
			)
		}
		_ = writeTable(&b, []string{"CHECKED", "OUTCOME", "REASON", "STATUS", "LATENCY", "MESSAGE"}, rows)
	}
	return b.String()
}
