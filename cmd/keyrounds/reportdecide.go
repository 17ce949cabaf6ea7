package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/action"
	"github.com/keyrounds/keyrounds/decision"
)

func newReportDecide(o *options) *cobra.Command {
	var until, why string
	cmd := &cobra.Command{
		Use:   "decide NAME keep|revoke|rotate|drop-scopes --why TEXT",
		Short: "Decide what becomes of a credential, why and until when",
		Long: "Decide what becomes of a credential, in place of what was decided of it before. The reports that are made from now on\n" +
			"show it beside what they recommend, with who decided, why and until when. When that day begins (UTC) the credential\n" +
			"is undecided again. Without --until what is kept is kept for 90 days, and all else is to be done within 30; a year\n" +
			"is the most.\n\n" +
			"Nothing is done at the provider. While a credential is kept, unused, never_used and unused_scopes are not told of it.",
		Example: "  keyrounds report decide offer-letters keep --until 2027-03-01 --why 'it runs at the end of each year'\n" +
			"  keyrounds report decide old-sync revoke --why 'replaced by ats-sync'",
		Args: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) == 0:
				return mistake(cmd, cmd.UseLine(), "NAME is missing")
			case len(args) == 1:
				return mistake(cmd, "one of "+joinComma(choiceWords()), "it is not said what becomes of %s", args[0])
			case len(args) > 2:
				return mistake(cmd, "", "%q is too much: --why has what goes with it", args[2])
			case !choiceOf(args[1]).Known():
				return mistake(cmd, "one of "+joinComma(choiceWords()), "unknown decision %q", args[1])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c := action.Choice{Choice: choiceOf(args[1]), Why: why}
			if until != "" {
				var err error
				if c.Until, err = time.Parse(time.DateOnly, until); err != nil {
					return &hintError{fmt.Errorf("--until %q is not a date", until), "for example --until 2027-03-01"}
				}
			}
			at, err := o.desk(cmd)
			if err != nil {
				return err
			}
			defer at.close()
			d, err := at.decide(cmd.Context(), args[0], c)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", d.Credential, d.Words())
			return nil
		},
	}
	cmd.Flags().StringVar(&until, "until", "", "until this day begins (UTC), such as 2027-03-01 (default in 90 days to keep, else 30)")
	cmd.Flags().StringVar(&why, "why", "", "why, for those who review it (required)")
	_ = cmd.MarkFlagRequired("why")
	name := o.complete(credentialNames)
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, begin string) ([]string, cobra.ShellCompDirective) {
		switch len(args) {
		case 0:
			return name(cmd, args, begin)
		case 1:
			return choiceWords(), cobra.ShellCompDirectiveNoFileComp
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return cmd
}

// choiceOf is what a word decides: drop-scopes is drop_scopes.
func choiceOf(word string) decision.Choice {
	return decision.Choice(strings.ReplaceAll(word, "-", "_"))
}

func choiceWords() (words []string) {
	for _, c := range decision.Choices() {
		words = append(words, strings.ReplaceAll(string(c), "_", "-"))
	}
	return words
}

func newReportUndecide(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "undecide NAME", Short: "Take back what was decided of a credential", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			at, err := o.desk(cmd)
			if err != nil {
				return err
			}
			defer at.close()
			d, err := at.undecide(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is undecided; it was %s\n", d.Credential, d.Words())
			return nil
		},
	}
}

func newReportDecisions(o *options) *cobra.Command {
	var out output
	cmd := &cobra.Command{
		Use: "decisions", Short: "List what is decided of credentials", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			at, err := o.desk(cmd)
			if err != nil {
				return err
			}
			defer at.close()
			list, err := at.decisions(cmd.Context())
			if err != nil {
				return err
			}
			out.none = at.none("nothing is decided")
			var rows [][]string
			for _, d := range list {
				until := d.Until.Format(time.DateOnly)
				if d.Over {
					until += ", over"
				}
				choice := strings.ReplaceAll(string(d.Choice), "_", " ")
				rows = append(rows, []string{d.Credential, choice, until, d.By, stamp(d.At), d.Why})
			}
			return out.list(cmd.OutOrStdout(), []string{"CREDENTIAL", "DECISION", "UNTIL", "BY", "AT", "WHY"}, rows, orEmpty(list))
		},
	}
	out.flags(cmd, "table", "json", "csv")
	return cmd
}
