package main

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/api/client"
	"github.com/keyrounds/keyrounds/finding"
)

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
			d, err := o.deskOfAll(cmd)
			if err != nil {
				return err
			}
			defer d.close()
			if err := d.named(cmd.Context(), args[0]); err != nil {
				return err
			}
			return verifyDead(cmd, d, args[0], patience)
		},
	}
	takesPassphrase(cmd)
	cmd.Flags().DurationVar(&patience, "timeout", 15*time.Minute, "how long to try")
	return cmd
}

// verifyDead proves the death of each secret of a credential that is in question, the oldest first.
func verifyDead(cmd *cobra.Command, d *desk, name string, patience time.Duration) error {
	rows, _, err := client.List[api.SecretJSON](cmd.Context(), d.Client, "/proofs", url.Values{"credential": {name}}, 0)
	if err != nil {
		return plainly(err)
	}
	all := len(rows)
	rows = slices.DeleteFunc(rows, func(r api.SecretJSON) bool { return r.Dead != nil || givenUp(r) })
	slices.SortFunc(rows, func(a, b api.SecretJSON) int { return a.First.Compare(b.First) })
	if len(rows) > 0 {
		for _, r := range rows {
			if err := verifyOne(cmd, d, r, patience); err != nil {
				return err
			}
		}
		return nil
	}
	got := url.Values{"credential": {name}, "kind": {string(finding.Leaked)}}
	open, _, err := client.List[api.FindingJSON](cmd.Context(), d.Client, "/findings", got, 1)
	switch {
	case err != nil:
		return plainly(err)
	case len(open) > 0 && all == 0:
		return &hintError{
			fmt.Errorf("the secret of %s got out, and the daemon has not read it yet, so it cannot be tried", name),
			"it reads what no check has read within an hour; if it cannot: keyrounds findings list",
		}
	case all > 0:
		fmt.Fprintf(
			cmd.OutOrStdout(),
			"each secret of %s that got out or was replaced is proven dead, or never worked: keyrounds leaks status %s\n",
			name,
			name,
		)
		return nil
	}
	return &hintError{fmt.Errorf("no secret of %s got out or was replaced", name), "see keyrounds leaks status " + name}
}

// givenUp: it never worked, and keyrounds does not have it any more.
func givenUp(r api.SecretJSON) bool { return r.Never && !r.Leaked && !r.Kept && !r.Present }

func verifyOne(cmd *cobra.Command, d *desk, r api.SecretJSON, patience time.Duration) error {
	in := struct {
		onlySecret
		Within string `json:"within"`
	}{Within: patience.String()}
	if !r.Present && !r.Kept {
		v, err := askSecret(cmd, "The replaced secret of "+r.Credential)
		if err != nil {
			return err
		}
		defer v.Wipe()
		in.ClientSecret = v.Reveal()
	}
	asked := false
	var last api.VerifyLine
	err := client.Lines(cmd.Context(), d.Client, fmt.Sprintf("/proofs/%d/verify", r.ID), in, func(l api.VerifyLine) {
		last = l
		switch {
		case l.Works && !asked:
			asked = true
			fmt.Fprintf(
				cmd.ErrOrStderr(),
				"the old secret of %s works; revoke it at the provider now%s\n",
				r.Credential,
				d.console(cmd, r.Credential),
			)
		case l.Said != "" && !l.Works:
			fmt.Fprintf(cmd.ErrOrStderr(), "%s %s\n", stamp(l.At), printable(l.Said, false))
		}
	})
	if err == nil && last.Problem != nil {
		err = &client.Problem{Status: last.Problem.Status, Detail: last.Problem.Detail, Todo: last.Problem.Hint}
	}
	switch {
	case err != nil:
		return plainly(err)
	case last.Proof != nil:
		_, err := io.WriteString(cmd.OutOrStdout(), proofText(r.Credential, *last.Proof))
		return err
	case last.Never:
		text := fmt.Sprintf("the old secret of %s was never seen to work, so there is nothing to prove\n", r.Credential)
		_, err := io.WriteString(cmd.OutOrStdout(), text)
		return err
	case last.StillWorks:
		fmt.Fprintf(cmd.ErrOrStderr(), "the old secret of %s is not proven dead; a daemon goes on trying: keyrounds leaks status %s\n",
			r.Credential, r.Credential)
		return errFound
	}
	return errors.New("the daemon stopped; nothing is proven")
}

// console is ": " and where the credentials of the provider of one are managed; "" where that is not known.
func (d *desk) console(cmd *cobra.Command, name string) string {
	c, err := d.credential(cmd.Context(), name)
	if err != nil {
		return ""
	}
	var p struct {
		ConsoleURL string `json:"console_url"`
	}
	if d.Get(cmd.Context(), "/providers/"+url.PathEscape(c.Provider), nil, &p) != nil {
		return ""
	}
	return strings.TrimRight(": "+printable(p.ConsoleURL, false), ": ")
}
