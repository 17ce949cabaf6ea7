package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/app"
	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/exposure"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/leak"
	"github.com/keyrounds/keyrounds/secret"
)

func newLeaksList(o *options) *cobra.Command {
	var (
		out   output
		limit int
		since since
	)
	cmd := &cobra.Command{
		Use: "list [NAME]", Short: "List the evidence that secrets got out, of one credential or of all", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			from, err := since.time(time.Now())
			if err != nil {
				return err
			}
			return o.withCredentials(cmd, args, func(a *app.App, id int64, names map[int64]string) error {
				all, err := a.Leaks.Evidence(cmd.Context(), id, limit) // the newest first
				if err != nil {
					return err
				}
				all = slices.DeleteFunc(all, func(ev leak.Evidence) bool { return ev.Seen.Before(from) })
				values, rows := []api.EvidenceJSON{}, [][]string{}
				for _, ev := range all {
					values = append(values, api.EvidenceJSON{Credential: names[ev.CredentialID], Kind: ev.Kind, Sighting: ev.Sighting})
					rows = append(rows, []string{
						names[ev.CredentialID], string(ev.Kind), ev.How, place(ev.Sighting), ev.Commit[:min(len(ev.Commit), 12)],
						stamp(ev.At), stamp(ev.Seen), ev.What,
					})
				}
				if len(rows) == 0 && out.people() {
					if !from.IsZero() {
						fmt.Fprintln(cmd.OutOrStdout(), "no evidence was seen since then")
						return nil
					}
					fmt.Fprintln(cmd.OutOrStdout(), "no evidence; look for some: keyrounds leaks scan PATH")
					return nil
				}
				head := []string{"CREDENTIAL", "SORT", "HOW", "WHERE", "COMMIT", "HAPPENED", "SEEN", "WHAT"}
				return out.list(cmd.OutOrStdout(), head, rows, values)
			})
		},
	}
	out.flags(cmd, "table", "json", "csv")
	cmd.Flags().IntVar(&limit, "limit", 100, "the newest so many")
	since.flag(cmd, "only what was seen")
	return cmd
}

func place(g finding.Sighting) string {
	text := g.Source
	if g.Path != "" {
		text = strings.TrimPrefix(text+" "+g.Path, " ")
	}
	if g.Line > 0 {
		text += fmt.Sprintf(":%d", g.Line)
	}
	return text
}

// withCredentials opens the database, with the id of the credential that args names (0: all) and everybody's name.
func (o *options) withCredentials(cmd *cobra.Command, args []string, do func(a *app.App, id int64, names map[int64]string) error) error {
	a, err := o.openAsIs(cmd.Context())
	if err != nil {
		return err
	}
	defer a.Close()
	if len(args) > 0 {
		c, err := a.Registry.Get(cmd.Context(), args[0])
		if err != nil {
			return notRegistered(cmd.Context(), a, args[0], err)
		}
		return do(a, c.ID, map[int64]string{c.ID: c.Name})
	}
	names, err := a.Registry.Names(cmd.Context())
	if err != nil {
		return err
	}
	return do(a, 0, names)
}

func newLeaksStatus(o *options) *cobra.Command {
	var (
		out output
		all bool
	)
	cmd := &cobra.Command{
		Use: "status [NAME]", Short: "Show secrets that got out or were replaced, sources and reporters", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.withCredentials(cmd, args, func(a *app.App, id int64, names map[int64]string) error {
				s, err := leaksStatus(cmd.Context(), a, id, names, all || id != 0)
				if err != nil {
					return err
				}
				if out.data() {
					return out.one(cmd.OutOrStdout(), s, "")
				}
				return s.print(cmd.OutOrStdout(), id == 0)
			})
		},
	}
	out.flags(cmd, "table", "json")
	cmd.Flags().BoolVarP(&all, "all", "a", false, "also present secrets that nobody saw")
	return cmd
}

type statusJSON struct {
	Secrets   []api.SecretJSON       `json:"secrets"`
	Sources   []exposure.Source      `json:"sources"`
	Reporters []leak.Delivery        `json:"reporters"`
	Waiting   []leak.WaitingDelivery `json:"waiting"`

	unread []string // credentials whose secret got out, and of which no secret is known yet
}

// unreadLeaks are the credentials that a scan found the secret of before the daemon read it; of one, or of all (0).
func unreadLeaks(ctx context.Context, a *app.App, id int64) (ids []int64, err error) {
	known, err := a.Leaks.Known(ctx)
	if err != nil {
		return nil, err
	}
	open, err := a.Audit.Findings(ctx, audit.Filter{})
	for _, f := range open {
		if is := f.Subject.CredentialID; f.Kind == finding.Leaked && !known[is] && (id == 0 || id == is) {
			ids = append(ids, is)
		}
	}
	return ids, err
}

func leaksStatus(ctx context.Context, a *app.App, id int64, names map[int64]string, all bool) (s statusJSON, err error) {
	rows, err := a.Leaks.Secrets(ctx, id)
	if err != nil {
		return s, err
	}
	deaths, err := a.Leaks.Deaths(ctx, id)
	if err != nil {
		return s, err
	}
	s.Secrets = []api.SecretJSON{}
	for _, r := range rows {
		if !all && !r.Leaked && r.Replaced.IsZero() && r.Dead.IsZero() {
			continue
		}
		var proof *finding.Death
		if d, is := deaths[r.ID]; is {
			proof = &d
		}
		s.Secrets = append(s.Secrets, api.NewSecretJSON(names[r.CredentialID], r, proof))
	}
	unread, err := unreadLeaks(ctx, a, id)
	if err != nil {
		return s, err
	}
	for _, id := range unread {
		s.unread = append(s.unread, names[id])
	}
	if s.Sources, err = a.Exposure.Sources(ctx); err != nil {
		return s, err
	}
	if s.Reporters, err = a.Leaks.Deliveries(ctx); err != nil {
		return s, err
	}
	s.Waiting, err = a.Leaks.WaitingDeliveries(ctx)
	s.Reporters, s.Waiting = orEmpty(s.Reporters), orEmpty(s.Waiting)
	return s, err
}

func (s statusJSON) print(w io.Writer, whole bool) error {
	var rows [][]string
	for _, v := range s.Secrets {
		which := "present"
		if !v.Present {
			which = "replaced " + stampOf(v.Replaced)
		}
		works := "not tried"
		switch {
		case v.Dead != nil:
			works = "dead since " + stampOf(v.Dead)
		case v.Works != nil && *v.Works:
			works = "works, " + stampOf(v.WorksAt)
		case v.Works != nil:
			works = "refused, " + stampOf(v.WorksAt)
		case !v.Present && !v.Kept:
			works = "cannot be tried: keyrounds does not have it"
		}
		rows = append(rows, []string{v.Credential, which, map[bool]string{true: "yes", false: ""}[v.Leaked], works, stampOf(v.NextTry)})
	}
	for _, name := range s.unread {
		rows = append(rows, []string{name, "not read yet by the daemon", "yes", "not tried", ""})
	}
	if len(rows) == 0 {
		fmt.Fprintln(w, "no secret is known to have got out, and none was replaced")
	} else if err := writeTable(w, []string{"CREDENTIAL", "SECRET", "GOT OUT", "STATE", "NEXT TRY"}, rows); err != nil {
		return err
	}
	for _, v := range s.Secrets {
		if v.Proof != nil {
			fmt.Fprintf(w, "\n%s", proofText(v.Credential, *v.Proof))
		}
	}
	if !whole {
		return nil
	}
	if len(s.Sources) > 0 {
		rows = nil
		for _, src := range s.Sources {
			rows = append(rows, []string{
				src.Name, src.Path, stamp(src.Scanned), fmt.Sprint(src.Found), fmt.Sprint(src.Skipped), megabytes(src.Bytes),
				stamp(src.Next), src.Error,
			})
		}
		fmt.Fprintln(w)
		head := []string{"SOURCE", "PATH", "SCANNED", "FOUND", "LEFT OUT", "READ", "NEXT SCAN", "ERROR"}
		if err := writeTable(w, head, rows); err != nil {
			return err
		}
		if err := writeLeftOut(w, s.Sources); err != nil {
			return err
		}
	}
	if len(s.Reporters) > 0 {
		rows = nil
		for _, d := range s.Reporters {
			rows = append(rows, []string{d.Reporter, fmt.Sprint(d.Reports), fmt.Sprint(d.Matched), fmt.Sprint(d.Foreign), stamp(d.Last)})
		}
		fmt.Fprintln(w)
		if err := writeTable(w, []string{"REPORTER", "REPORTS", "REGISTERED", "FOREIGN", "LAST"}, rows); err != nil {
			return err
		}
	}
	if len(s.Waiting) > 0 {
		rows = nil
		for _, d := range s.Waiting {
			rows = append(rows, []string{d.Reporter, stamp(d.Since), fmt.Sprint(d.Tries), stamp(d.Next), d.Why})
		}
		fmt.Fprintln(w)
		return writeTable(w, []string{"WAITING FOR", "SINCE", "TRIES", "NEXT TRY", "WHY"}, rows)
	}
	return nil
}

// writeLeftOut says what the last scans of the sources did not search: how much for which reason, and the first by name.
func writeLeftOut(w io.Writer, sources []exposure.Source) error {
	var rows [][]string
	for _, src := range sources {
		for _, r := range sortedReasons(src.NotSearched) {
			names := []string{}
			for _, k := range src.LeftOut {
				if k.Reason == r && len(names) < 3 {
					names = append(names, printable(k.Path, false))
				}
			}
			rows = append(rows, []string{src.Name, reasonWords(r), fmt.Sprint(src.NotSearched[r]), strings.Join(names, ", ")})
		}
	}
	if len(rows) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	return writeTable(w, []string{"NOT SEARCHED OF", "REASON", "PLACES", "SUCH AS"}, rows)
}

// proofText is the proof of a death in words.
func proofText(name string, d finding.Death) string {
	var b strings.Builder
	line := func(label, text string) {
		if text != "" {
			fmt.Fprintf(&b, "  %-16s %s\n", label, printable(text, false))
		}
	}
	fmt.Fprintf(&b, "Proof of death of a secret of %s, %s\n", name, stamp(d.At))
	var times []string
	for _, t := range d.Refused {
		times = append(times, stamp(t))
	}
	answer := strings.TrimSpace(fmt.Sprintf("HTTP %d %s", d.Status, d.ErrorCode))
	line("Exchange", fmt.Sprintf("refused %s (%s)", strings.Join(times, ", "), answer))
	line("Meanwhile", d.Control)
	token := d.Token
	if !d.Minted.IsZero() {
		token += ", issued " + stamp(d.Minted)
	}
	if d.Took != "" {
		token += ", seen refused " + d.Took + " after the first refused exchange"
	}
	line("Token", token)
	if !d.LogAt.IsZero() {
		line("Provider's log", strings.TrimSpace(fmt.Sprintf("revoked %s %s (feed %s)", stamp(d.LogAt), d.LogBy, d.LogFeed)))
	}
	return b.String()
}

func newLeaksVerify(o *options) *cobra.Command {
	var patience time.Duration
	cmd := &cobra.Command{
		Use:   "verify NAME",
		Short: "Prove that a secret that got out works no more",
		Long: "Try a secret of a credential that got out or was replaced until the provider refuses it, and a token of it\n" +
			"works no more, and write the proof down. A replaced secret that keyrounds does not have, because it was read\n" +
			"from the host, is asked for, without echo, or read from standard input; it is compared with the fingerprint.\n\n" +
			"Exit 0: it is dead; 1: it is not, or not proven in time; 2: it could not be done.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.withCredential(cmd, args[0], func(a *app.App, c credential.Credential) error {
				return verifyDead(cmd, a, c, patience)
			})
		},
	}
	takesPassphrase(cmd)
	cmd.Flags().DurationVar(&patience, "timeout", 15*time.Minute, "how long to try")
	return cmd
}

// verifyDead proves the death of the oldest secret of a credential that is in question.
func verifyDead(cmd *cobra.Command, a *app.App, c credential.Credential, patience time.Duration) error {
	rows, err := a.Leaks.Secrets(cmd.Context(), c.ID)
	if err != nil {
		return err
	}
	proven := slices.ContainsFunc(rows, func(r leak.SecretRow) bool { return !r.Dead.IsZero() })
	rows = slices.DeleteFunc(rows, func(r leak.SecretRow) bool { return !r.Dead.IsZero() || !r.Leaked && r.Replaced.IsZero() })
	if len(rows) == 0 {
		if unread, err := unreadLeaks(cmd.Context(), a, c.ID); err != nil || len(unread) > 0 {
			return errors.Join(err, &hintError{
				fmt.Errorf("the secret of %s got out, and the daemon has not read it yet, so it cannot be tried", c.Name),
				"it reads what no check has read within an hour; if it cannot: keyrounds findings list",
			})
		}
		if proven {
			fmt.Fprintf(cmd.OutOrStdout(), "each secret of %s that got out or was replaced is proven dead: keyrounds leaks status %s\n",
				c.Name, c.Name)
			return nil
		}
		return &hintError{
			fmt.Errorf("no secret of %s got out or was replaced", c.Name),
			"see keyrounds leaks status " + c.Name,
		}
	}
	for _, r := range rows {
		if err := verifyOne(cmd, a, c, r, patience); err != nil {
			return err
		}
	}
	return nil
}

func verifyOne(cmd *cobra.Command, a *app.App, c credential.Credential, r leak.SecretRow, patience time.Duration) error {
	var given secret.Value
	if !r.Replaced.IsZero() && !r.Kept {
		v, err := askSecret(cmd, "The replaced secret of "+c.Name)
		if err != nil {
			return err
		}
		defer v.Wipe()
		row, ok, err := a.Leaks.SecretByValue(cmd.Context(), c.ID, v)
		if err != nil {
			return err
		}
		if !ok || row.ID != r.ID {
			return fmt.Errorf("that is not the secret that %s had until %s", c.Name, stamp(r.Replaced))
		}
		given = v
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), patience)
	defer cancel()
	asked := false
	death, err := a.Exposure.ProveDead(ctx, r, given, func(at leak.Attempt) {
		w := cmd.ErrOrStderr()
		switch {
		case at.NotNow != "":
			fmt.Fprintf(w, "%s not tried: %s\n", stamp(at.At), at.NotNow)
		case at.Works && !asked:
			asked = true
			fmt.Fprintf(w, "the old secret of %s works; revoke it at the provider now%s\n", c.Name,
				strings.TrimRight(": "+a.Config().Providers[c.Provider].ConsoleURL, ": "))
		case at.Refused && at.Token.Alive:
			fmt.Fprintf(w, "%s refused, but %s\n", stamp(at.At), at.Token.Text)
		case at.Refused:
			fmt.Fprintf(w, "%s refused; confirming\n", stamp(at.At))
		case !at.Works:
			fmt.Fprintf(w, "%s no answer that says anything (%s)\n", stamp(at.At), at.Outcome)
		}
	})
	if errors.Is(err, exposure.ErrStillWorks) {
		fmt.Fprintf(cmd.ErrOrStderr(), "the old secret of %s is not proven dead; the daemon goes on trying: keyrounds leaks status %s\n",
			c.Name, c.Name)
		return errFound
	}
	if err != nil {
		return err
	}
	_, err = io.WriteString(cmd.OutOrStdout(), proofText(c.Name, *death))
	return err
}
