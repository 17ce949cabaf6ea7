package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/checker"
)

const noCheckFlag = "no-check"

// mostFirst is how many credentials an import tries at once.
const mostFirst = 100

// tries adds the flag of commands that try what they were given.
func tries(cmd *cobra.Command) {
	cmd.Flags().Bool(noCheckFlag, false, "do not try the secret at once; it is checked first when its schedule says")
}

// checksLater: --no-check.
func checksLater(cmd *cobra.Command) bool {
	off, _ := cmd.Flags().GetBool(noCheckFlag)
	return off
}

// tryFirst says what came of the first checks of credentials. Their secrets are kept whatever comes, since some providers
// show them only once. errFound: one of them is not ok.
func tryFirst(cmd *cobra.Command, d *desk, names []string) error {
	if checksLater(cmd) {
		if len(names) == 1 {
			fmt.Fprintf(cmd.OutOrStdout(), "check it with: keyrounds check %s\n", names[0])
		}
		return nil
	}
	rest := names[min(len(names), mostFirst):]
	names = names[:min(len(names), mostFirst)]
	var checks []api.CheckJSON
	why := counting(cmd.ErrOrStderr(), len(names), "checked", "waiting for the first check", func(at func(int)) error {
		return d.checks(cmd.Context(), api.ChecksIn{Names: names, First: true}, func(c api.CheckJSON) {
			checks = append(checks, c)
			at(len(checks))
		})
	})
	ok := sayFirst(cmd.OutOrStdout(), checks, len(names) == 1)
	var waiting []string
	for _, name := range names {
		if !slices.ContainsFunc(checks, func(c api.CheckJSON) bool { return c.Credential == name }) {
			waiting = append(waiting, name)
		}
	}
	if cmd.Context().Err() != nil {
		text := "interrupted: what was given is registered"
		if len(waiting)+len(rest) > 0 {
			text += ", and what was not tried until then is checked when it is due"
		}
		fmt.Fprintln(cmd.OutOrStdout(), text+": keyrounds credentials list")
		return exitWith(exitInterrupted)
	}
	sayWaiting(cmd.OutOrStdout(), waiting, len(rest), plainly(why))
	if !ok { // what could not be tried yet is no error of the call: what was given is stored
		return errFound
	}
	return nil
}

// sayFirst reports whether all are ok.
func sayFirst(w io.Writer, checks []api.CheckJSON, alone bool) bool {
	slices.SortFunc(checks, func(a, b api.CheckJSON) int { return strings.Compare(a.Credential, b.Credential) })
	ok := 0
	for _, c := range checks {
		fine := c.Outcome == string(checker.OK)
		if fine {
			ok++
		}
		if !fine || alone {
			fmt.Fprintln(w, printable(fmt.Sprintf("%s: %s: %s", c.Credential, c.Outcome, c.Message), false))
		}
	}
	if !alone && len(checks) > 0 {
		fmt.Fprintf(w, "tried: %d, ok: %d\n", len(checks), ok)
	}
	return ok == len(checks)
}

func sayWaiting(w io.Writer, names []string, more int, why error) {
	switch {
	case len(names)+more == 0:
	case len(names)+more == 1 && len(names) == 1:
		fmt.Fprintf(w, "%s was not tried yet%s; see keyrounds credentials show %s\n", names[0], because(why), names[0])
	case why == nil:
		fmt.Fprintf(w, "%d were not tried yet; a daemon tries each when it is due: keyrounds credentials list\n", len(names)+more)
	default:
		fmt.Fprintf(w, "%d were not tried yet%s; see keyrounds credentials list\n", len(names)+more, because(why))
	}
}

func because(why error) string {
	if why == nil {
		return ""
	}
	return ": " + printable(strings.ReplaceAll(why.Error(), "\n", "; "), false)
}
