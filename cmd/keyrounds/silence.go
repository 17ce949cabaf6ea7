package main

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/notify"
)

func newSilence(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use: "silence", Aliases: []string{"silences"}, Short: "Have nobody told of something for a while: add, list, end",
		Long: "Have nobody told of something for a while. What still holds when a silence ends is told then; messages that are there\n" +
			"already are kept up to date, and nobody is reminded. It is in the record who silenced what, and why.",
	}
	cmd.AddCommand(newSilenceAdd(o), newSilenceList(o), newSilenceEnd(o))
	return cmd
}

func newSilenceAdd(o *options) *cobra.Command {
	var (
		s              notify.Silence
		howLong, until string
	)
	cmd := &cobra.Command{
		Use: "add", Short: "Silence a credential, a provider, or what has labels", Args: cobra.NoArgs,
		Example: "  keyrounds silence add --credential ats-sync --for 2h --why 'we move it tonight'\n" +
			"  keyrounds silence add --provider okta --label env=test --until 2026-12-01T08:00:00Z --why 'the test tenant is rebuilt'",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if s.Until, err = untilOf(howLong, until, time.Now()); err != nil {
				return err
			}
			d, err := o.desk(cmd)
			if err != nil {
				return err
			}
			defer d.close()
			made, err := d.silence(cmd.Context(), s)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "silence %d: nobody is told of %s until %s; to end it sooner: keyrounds silence end %d\n",
				made.ID, made.What(), stamp(made.Until), made.ID)
			return nil
		},
	}
	cmd.Flags().StringVar(&s.Credential, "credential", "", "the credential of this `NAME`")
	cmd.Flags().StringVar(&s.Provider, "provider", "", "all of the provider of this `NAME`")
	cmd.Flags().StringToStringVar(&s.Labels, "label", nil, "credentials with this label, `NAME=VALUE`; all of them where there are several")
	cmd.Flags().StringVar(&howLong, "for", "", "for so long, such as 2h or 3d, 90 days at most")
	cmd.Flags().StringVar(&until, "until", "", "until this time (RFC 3339)")
	cmd.Flags().StringVar(&s.Why, "why", "", "why, for those who wonder (required)")
	return cmd
}

// untilOf reads --for or --until.
func untilOf(howLong, until string, now time.Time) (time.Time, error) {
	switch {
	case howLong != "" && until != "":
		return time.Time{}, &hintError{errors.New("--for and --until both say until when"), "give one of them"}
	case howLong == "" && until == "":
		return time.Time{}, &hintError{errors.New("it is not said until when"), "--for 2h, or --until 2026-12-01T08:00:00Z"}
	case until != "":
		t, err := time.Parse(time.RFC3339, until)
		if err != nil {
			return t, &hintError{fmt.Errorf("--until %q is not a time", until), "for example 2026-12-01T08:00:00Z"}
		}
		return t, nil
	}
	d, err := credential.ParseDuration(howLong)
	if err != nil || d <= 0 {
		return time.Time{}, &hintError{fmt.Errorf("--for %q is not a time", howLong), "for example 2h or 3d"}
	}
	return now.Add(d), nil
}

func newSilenceList(o *options) *cobra.Command {
	var (
		out output
		all bool
	)
	cmd := &cobra.Command{
		Use: "list", Short: "List the silences that hold, the next to end first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := o.desk(cmd)
			if err != nil {
				return err
			}
			defer d.close()
			list, err := d.silences(cmd.Context(), all)
			if err != nil {
				return err
			}
			out.none = d.none("nothing is silenced")
			var rows [][]string
			for _, s := range list {
				until := stamp(s.Until)
				if s.EndedAt != nil {
					until = stamp(*s.EndedAt) + " by " + s.EndedBy
				}
				rows = append(rows, []string{strconv.FormatInt(s.ID, 10), s.What(), until, s.MadeBy, s.Why})
			}
			return out.list(cmd.OutOrStdout(), []string{"ID", "WHAT", "UNTIL", "BY", "WHY"}, rows, orEmpty(list))
		},
	}
	out.flags(cmd, "table", "json", "csv")
	cmd.Flags().BoolVar(&all, "all", false, "also those that are over, the newest first")
	return cmd
}

func newSilenceEnd(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "end ID", Short: "End a silence: what it held back is told within a minute", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil || id < 1 {
				return &hintError{fmt.Errorf("%q is not the number of a silence", args[0]), "see keyrounds silence list"}
			}
			d, err := o.desk(cmd)
			if err != nil {
				return err
			}
			defer d.close()
			s, err := d.endSilence(cmd.Context(), id)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "silence %d of %s is over\n", s.ID, s.What())
			return nil
		},
	}
}
