package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/finding"
)

// deed is what a person does about findings, of one or several.
type deed struct {
	on   finding.State                // the state that it takes back; "": it takes nothing back, and --all is about what is open or snoozed
	path string                       // of the API, below a finding's
	body func() any                   // what is sent there; nil: nothing
	done func(api.FindingJSON) string // what became of one, in a sentence
}

func newFindingsAck(o *options) *cobra.Command {
	cmd := &cobra.Command{Use: "ack ID...", Aliases: []string{"acknowledge"}, Short: "Say that someone looks after findings"}
	return o.does(cmd, deed{
		path: "acknowledge",
		done: func(f api.FindingJSON) string { return "is acknowledged by " + f.AcknowledgedBy },
	})
}

func newFindingsUnack(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "unack ID...",
		Short: "Take back that someone looks after findings, or that they were false alarms: they are open again",
	}
	return o.does(cmd, deed{
		on:   finding.Acknowledged,
		path: "unacknowledge",
		done: func(api.FindingJSON) string { return "is open again" },
	})
}

func newFindingsSnooze(o *options) *cobra.Command {
	howLong := "1d"
	cmd := &cobra.Command{Use: "snooze ID...", Short: "Put findings aside for a time"}
	cmd.Flags().StringVar(&howLong, "for", howLong, "how long")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if d, err := credential.ParseDuration(howLong); err != nil || d <= 0 {
			return &hintError{fmt.Errorf("--for %q is not a time", howLong), "for example 1h, 1d or 7d"}
		}
		return nil
	}
	return o.does(cmd, deed{
		path: "snooze",
		body: func() any { return api.SnoozeIn{For: howLong} },
		done: func(f api.FindingJSON) string { return "is snoozed until " + stamp(f.SnoozedUntil) },
	})
}

func newFindingsUnsnooze(o *options) *cobra.Command {
	cmd := &cobra.Command{Use: "unsnooze ID...", Short: "End the time for which findings are put aside"}
	return o.does(cmd, deed{
		on:   finding.Snoozed,
		path: "unsnooze",
		done: func(api.FindingJSON) string { return "is open again" },
	})
}

func newFindingsFalseAlarm(o *options) *cobra.Command {
	var why string
	cmd := &cobra.Command{
		Use: "false-alarm ID...", Short: "Say that findings were none, and why",
		Long: "Say that findings were none, and why. What happened once, such as a use from an unexpected network, is resolved\n" +
			"by that. What still holds is acknowledged, and ends when it does not hold any more. `findings precision` counts.",
	}
	cmd.Flags().StringVar(&why, "why", "", "what it was instead (required)")
	_ = cmd.MarkFlagRequired("why")
	return o.does(cmd, deed{
		path: "false-alarm",
		body: func() any { return api.FalseAlarmIn{Why: why} },
		done: func(f api.FindingJSON) string {
			return fmt.Sprintf("is a false alarm, says %s; it is %s", f.FalseAlarmBy, f.State)
		},
	})
}

// does makes cmd do a deed to the findings that are named, or to all of a kind or credential. Each is done by itself: of those that
// could not be done it says why, and the others are done.
func (o *options) does(cmd *cobra.Command, d deed) *cobra.Command {
	var (
		all              bool
		kind, credential string
	)
	cmd.Flags().BoolVar(&all, "all", false, "all of --kind or --credential, in place of ids")
	cmd.Flags().StringVar(&kind, "kind", "", "with --all: only this kind, such as revoked")
	cmd.Flags().StringVar(&credential, "credential", "", "with --all: only of this credential")
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		switch {
		case all && len(args) > 0:
			return mistake(cmd, "", "--all goes without ids, and was given %q", args[0])
		case all && kind == "" && credential == "":
			return mistake(cmd, "", "--all needs --kind or --credential")
		case !all && kind+credential != "":
			return mistake(cmd, "", "--kind and --credential go with --all")
		case !all && len(args) == 0:
			return mistake(cmd, cmd.CommandPath()+" ID...", "ID is missing")
		}
		return known(cmd, "kind", finding.Kind(kind), finding.Kinds())
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ids, err := findingNumbers(args)
		if err != nil {
			return err
		}
		at, err := o.desk(cmd)
		if err != nil {
			return err
		}
		defer at.close()
		if all {
			if ids, err = openFindings(cmd.Context(), at, d.on, finding.Kind(kind), credential); err != nil {
				return err
			}
			if len(ids) == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), "there is no such finding")
				return nil
			}
		}
		var errs []error
		for _, id := range ids {
			f, err := at.respond(cmd.Context(), d, id)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			fmt.Fprintf(cmd.OutOrStdout(), "finding %d %s\n", f.ID, d.done(f))
		}
		return errors.Join(errs...)
	}
	return cmd
}

func findingNumbers(args []string) (ids []int64, err error) {
	for _, arg := range args {
		id, err := strconv.ParseInt(arg, 10, 64)
		if err != nil || id < 1 {
			return nil, &hintError{fmt.Errorf("%q is not the number of a finding", arg), "see keyrounds findings list"}
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// openFindings are all that are not resolved, of a kind and a credential where they are named, in a state where one is.
func openFindings(ctx context.Context, at *desk, state finding.State, kind finding.Kind, of string) (ids []int64, err error) {
	list, _, err := at.findings(ctx, audit.Filter{Kind: kind, Credential: of, Limit: mostFindings})
	for _, f := range list {
		if f.State == state || state == "" && f.State != finding.Acknowledged {
			ids = append(ids, f.ID)
		}
	}
	return ids, err
}

// mostFindings is how many findings --all is about at most.
const mostFindings = 100_000
