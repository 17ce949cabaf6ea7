package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/action"
	"github.com/keyrounds/keyrounds/app"
	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/rounds"
)

const noCheckFlag = "no-check"

// mostFirst is how many credentials an import tries at once.
const mostFirst = 100

// tries adds the flag of commands that try what they were given.
func tries(cmd *cobra.Command) {
	cmd.Flags().Bool(noCheckFlag, false, "do not try the secret at once; it is checked first when its schedule says")
}

func firstCheck(cmd *cobra.Command) action.FirstCheck {
	if off, _ := cmd.Flags().GetBool(noCheckFlag); off {
		return action.AsScheduled
	}
	return action.AtOnce
}

// tryFirst says what came of the first checks of credentials. Their secrets are kept whatever comes, since some providers
// show them only once. errFound: one of them is not ok.
func tryFirst(cmd *cobra.Command, a *app.App, names []string) error {
	if firstCheck(cmd) == action.AsScheduled {
		if len(names) == 1 {
			fmt.Fprintf(cmd.OutOrStdout(), "check it with: keyrounds check %s\n", names[0])
		}
		return nil
	}
	rest := names[min(len(names), mostFirst):]
	names = names[:min(len(names), mostFirst)]
	var judged []rounds.Judged
	why := counting(cmd.ErrOrStderr(), len(names), "checked", "waiting for the first check", func(at func(int)) error {
		return a.Actions.First(cmd.Context(), names, func(js []rounds.Judged) {
			judged = append(judged, js...)
			at(len(judged))
		})
	})
	ok := sayFirst(cmd.OutOrStdout(), judged, len(names) == 1)
	var waiting []string
	for _, name := range names {
		if !slices.ContainsFunc(judged, func(j rounds.Judged) bool { return j.Result.Credential == name }) {
			waiting = append(waiting, name)
		}
	}
	sayWaiting(cmd.OutOrStdout(), waiting, len(rest), why)
	var notNow *rounds.NotNowError
	later := why == nil || errors.As(why, &notNow) || errors.Is(why, rounds.ErrNotExchanged)
	if !ok || !later { // never an error of the call: what was given is stored
		return errFound
	}
	return nil
}

// sayFirst reports whether all are ok.
func sayFirst(w io.Writer, judged []rounds.Judged, alone bool) bool {
	slices.SortFunc(judged, func(a, b rounds.Judged) int { return strings.Compare(a.Result.Credential, b.Result.Credential) })
	ok := 0
	for _, j := range judged {
		if j.Result.Outcome == checker.OK {
			ok++
		}
		if j.Result.Outcome != checker.OK || alone {
			text := fmt.Sprintf("%s: %s: %s", j.Result.Credential, j.Result.Outcome, j.Result.Message)
			fmt.Fprintln(w, printable(text, false))
		}
	}
	if !alone && len(judged) > 0 {
		fmt.Fprintf(w, "tried: %d, ok: %d\n", len(judged), ok)
	}
	return ok == len(judged)
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

// warnOfDoubts says on standard error what is rarely meant of credentials that are about to be registered: once for its
// cause, with the first that it is so of.
func warnOfDoubts(cmd *cobra.Command, a *app.App, creds ...credential.Credential) error {
	clients, err := sameClients(cmd.Context(), a, creds)
	if err != nil {
		return err
	}
	type cause struct{ field, message, hint string }
	var causes []cause
	names := map[cause][]string{}
	for _, c := range creds {
		same := clients[config.Client(c)]
		if same == c.Name {
			same = ""
		}
		for _, p := range config.Doubts(c, same, a.Now()) {
			if p.Field == "schedule" && c.Schedule == a.Config().Defaults.Schedule {
				continue // that of everybody
			}
			why := cause{p.Field, p.Message, p.Hint}
			if names[why] == nil {
				causes = append(causes, why)
			}
			names[why] = append(names[why], c.Name)
		}
		clients[config.Client(c)] = c.Name
	}
	for _, why := range causes {
		more := ""
		if n := len(names[why]) - 1; n > 0 {
			more = fmt.Sprintf(" and %d more", n)
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: credential %q%s: %s: %s (%s)\n", names[why][0], more, why.field, why.message, why.hint)
	}
	return nil
}

// sameClients are the names of the registered credentials that have a client of creds, by config.Client.
func sameClients(ctx context.Context, a *app.App, creds []credential.Credential) (map[string]string, error) {
	ids := map[string][]string{} // by provider
	for _, c := range creds {
		ids[c.Provider] = append(ids[c.Provider], c.ClientID)
	}
	clients := map[string]string{}
	for provider, clientIDs := range ids {
		have, err := a.Registry.OfClients(ctx, a.Pool, provider, clientIDs)
		if err != nil {
			return nil, err
		}
		for _, c := range have {
			if c.Retired.IsZero() {
				clients[config.Client(c)] = c.Name
			}
		}
	}
	return clients, nil
}
