package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/api/client"
	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/credential"
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
			in.Name = args[0]
			d, err := o.deskOfAll(cmd)
			if err != nil {
				return err
			}
			defer d.close()
			var c api.ChangedCredential
			if err := d.Post(cmd.Context(), "/credentials"+dryRun, toAdd(in, secret.Value{}), &c); err != nil {
				return plainly(err)
			}
			warnOf(cmd, c.Warnings)
			v, err := askSecret(cmd, "Secret of "+in.Name)
			if err != nil {
				return err
			}
			defer v.Wipe()
			if err := d.Post(cmd.Context(), "/credentials"+whenFirst(cmd), toAdd(in, v), &c); err != nil {
				return plainly(err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is registered\n", c.Name)
			return tryFirst(cmd, d, []string{c.Name})
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
			d, err := o.deskOfAll(cmd)
			if err != nil {
				return err
			}
			defer d.close()
			c, err := d.credential(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if c.Source == string(credential.FromFile) {
				for _, flag := range []string{"client-id", "expires"} {
					if cmd.Flags().Changed(flag) {
						return &hintError{fmt.Errorf("--%s: %q is in the configuration file", flag, c.Name), "change it there"}
					}
				}
			}
			if verify && c.Secret != secret.Sealed.String() {
				return changedOnHost(cmd, d, c, patience)
			}
			if expires != "" {
				if _, err := credential.ParseEnd(expires); err != nil {
					return &hintError{fmt.Errorf("--expires: %w", err), credential.EndHint}
				}
			}
			to, in := ofName(c.Name)+"/rotate", toRotate{ClientID: clientID, Expires: expires}
			var next api.ChangedCredential
			if err := d.Post(cmd.Context(), to+dryRun, in, &next); err != nil {
				return plainly(err)
			}
			warnOf(cmd, next.Warnings)
			v, err := askSecret(cmd, "New secret of "+c.Name)
			if err != nil {
				return err
			}
			defer v.Wipe()
			in.ClientSecret = v.Reveal()
			if err := d.Post(cmd.Context(), to+whenFirst(cmd), in, &next); err != nil {
				return plainly(err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s has a new secret\n", c.Name)
			err = tryFirst(cmd, d, []string{c.Name})
			if verify {
				if alive := verifyDead(cmd, d, c.Name, patience); alive != nil {
					err = alive
				}
			}
			return err
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

// changedOnHost: the secret is read from the host, so it was changed there. It is read by a check, which notes that it was replaced.
func changedOnHost(cmd *cobra.Command, d *desk, c api.CredentialJSON, patience time.Duration) error {
	if err := d.check(cmd.Context(), []string{c.Name}, false, func(api.CheckJSON) {}); err != nil {
		return err
	}
	return verifyDead(cmd, d, c.Name, patience)
}

func newCredentialsRetire(o *options) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "retire NAME",
		Short: "End the registration of a credential; its history stays, its sealed secret goes",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := o.deskOfAll(cmd)
			if err != nil {
				return err
			}
			defer d.close()
			c, err := d.credential(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			question := "Retire " + c.Name + "? It is not checked any more"
			if c.Secret == secret.Sealed.String() {
				question += ", and its sealed secret is removed for good"
			}
			if err := confirmed(cmd, yes, question); err != nil {
				return err
			}
			if err := d.Post(cmd.Context(), ofName(c.Name)+"/retire", nil, nil); err != nil {
				return plainly(err)
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
func showCredentials(ctx context.Context, w io.Writer, d *desk, only filters, all bool, out output) error {
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

const (
	fewChecks  = 10   // that credentials show shows
	mostChecks = 1000 // that it shows with --since
)

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
			d, err := o.desk(cmd)
			if err != nil {
				return err
			}
			defer d.close()
			j, err := d.shown(cmd.Context(), args[0], from)
			if err != nil {
				return err
			}
			return out.one(cmd.OutOrStdout(), j, describe(j.CredentialJSON, j.Truth, j.Checks))
		},
	}
	out.flags(cmd, "table", "json")
	since.flag(cmd, fmt.Sprintf("instead of the last 10 checks those (%d at most)", mostChecks))
	return cmd
}

// shown is a credential with its checks from a time on, or the last few.
func (d *desk) shown(ctx context.Context, name string, from time.Time) (j shownJSON, err error) {
	if j.CredentialJSON, err = d.credential(ctx, name); err != nil {
		return j, err
	}
	path := "/credentials/" + url.PathEscape(name)
	if err := d.Get(ctx, path+"/scopes", nil, &j.Truth); err != nil {
		return j, plainly(err)
	}
	q, most := url.Values{}, fewChecks
	if !from.IsZero() {
		q.Set("since", from.UTC().Format(time.RFC3339Nano))
		most = mostChecks
	}
	j.Checks, _, err = client.List[audit.Check](ctx, d.Client, path+"/checks", q, most)
	return j, plainly(err)
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
