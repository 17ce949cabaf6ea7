package main

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/api/client"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/usage"
	"github.com/keyrounds/keyrounds/usage/feed"
)

func newUsageStatus(o *options) *cobra.Command {
	var out output
	cmd := &cobra.Command{
		Use: "status", Short: "Show how the feeds stand: last sign of life, what became of their records", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := o.desk(cmd)
			if err != nil {
				return err
			}
			defer d.close()
			feeds, _, err := client.List[usage.FeedStatus](cmd.Context(), d.Client, "/feeds", nil, 0)
			if err != nil {
				return plainly(err)
			}
			var rows [][]string
			for _, f := range feeds {
				state := "ok"
				switch {
				case !f.Configured:
					state = "gone from the configuration"
				case f.Error != "":
					state = f.Error + " (since " + stamp(f.ErrorSince) + ")"
				case f.LastSeen.IsZero():
					state = "nothing yet"
				case f.Type != feed.TypeImport && time.Since(f.LastSeen) > time.Duration(f.SilenceS)*time.Second:
					state = "silent"
				case f.Blind != "":
					state = "shows nobody: " + f.Blind
				}
				c := f.Counts
				silence := credential.FormatDuration((time.Duration(f.SilenceS) * time.Second).Round(time.Minute))
				if f.Learned {
					silence += " (learned)"
				}
				rows = append(rows, []string{
					f.Feed,
					f.Provider,
					f.Type,
					f.Format,
					stamp(f.LastSeen),
					count(c[usage.ResultUse]),
					count(c[usage.ResultFailure]),
					count(c.Own()),
					count(c[usage.ResultUnregistered]),
					count(c[usage.ResultLifecycle]),
					count(c[usage.ResultBad]),
					silence,
					state,
				})
			}
			out.none = d.none("no feeds; config.example.yaml shows how to connect one, `keyrounds usage import` takes files")
			columns := []string{
				"FEED",
				"PROVIDER",
				"TYPE",
				"FORMAT",
				"LAST SEEN",
				"USES",
				"REFUSED",
				"OWN",
				"UNREGISTERED",
				"LIFECYCLE",
				"BAD",
				"SILENCE",
				"STATE",
			}
			if err := out.list(cmd.OutOrStdout(), columns, rows, orEmpty(feeds)); err != nil || !out.people() {
				return err
			}
			for _, f := range feeds {
				ruleLine(cmd.OutOrStdout(), f.Feed, f.Counts)
				printBad(cmd.OutOrStdout(), f.Feed, f.Samples)
			}
			return nil
		},
	}
	out.flags(cmd, "table", "json", "csv")
	return cmd
}

func count(n int64) string { return strconv.FormatInt(n, 10) }

// ruleLine says by which rule how many events were told to be our own.
func ruleLine(w io.Writer, name string, c usage.Counts) {
	if text := c.OwnText(); text != "" {
		fmt.Fprintf(w, "%s: %s\n", name, text)
	}
}

func printBad(w io.Writer, name string, bad []feed.Bad) {
	for _, b := range bad {
		fmt.Fprintf(w, "%s: unreadable: %s", name, printable(b.Reason, false))
		if b.Sample != "" {
			fmt.Fprintf(w, ": %s", printable(b.Sample, false))
		}
		fmt.Fprintln(w)
	}
}
