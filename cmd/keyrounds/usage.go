package main

import (
	"cmp"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/api/client"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/report"
	"github.com/keyrounds/keyrounds/usage"
	"github.com/keyrounds/keyrounds/usage/feed"
)

func newUsage(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "usage",
		Short: "Who uses the credentials beside keyrounds: list, show, status, unregistered, try, import, formats",
	}
	cmd.AddCommand(newUsageList(o), newUsageShow(o), newUsageStatus(o), newUsageUnregistered(o), newUsageTry(o), newUsageImport(o),
		newUsageFormats())
	return cmd
}

func newUsageList(o *options) *cobra.Command {
	var (
		out    output
		q      api.UsageQuery
		status string
	)
	cmd := &cobra.Command{
		Use: "list", Short: "Tell of each credential whether it is used, and how that is known", Args: cobra.NoArgs,
		Example: "  keyrounds usage list --status unused --provider smartrecruiters\n" +
			"  keyrounds usage list --limit 1000 --after ats-sync",
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if q.State, err = api.ParseUsageState(status); err != nil {
				return err
			}
			if q.Limit < 0 {
				return &hintError{fmt.Errorf("--limit: %d is less than 0", q.Limit), "0, the default, is no limit"}
			}
			d, err := o.desk(cmd)
			if err != nil {
				return err
			}
			defer d.close()
			l := out.begin(
				cmd.OutOrStdout(),
				[]string{"CREDENTIAL", "PROVIDER", "OWNER", "USAGE", "LAST USED AT", "FROM", "DAYS UNUSED", "COVERAGE", "REASON"},
			)
			last := ""
			ask := url.Values{"status": {string(q.State)}, "provider": {q.Provider}, "q": {q.Search}, "after": {q.After}}
			total, err := client.Each(cmd.Context(), d.Client, "/usage", ask, q.Limit, func(page []api.UsageJSON) {
				for _, u := range page {
					last = u.Credential
					l.add([]string{
						u.Credential, u.Provider, u.Owner, u.Usage, stampOf(u.LastUsedAt), u.LastUsedFrom, numberOf(u.DaysUnused),
						u.Coverage, u.Reason,
					}, u)
				}
			})
			if err != nil {
				return plainly(err)
			}
			if q.Limit > 0 && l.n == q.Limit && total > l.n {
				fmt.Fprintf(cmd.ErrOrStderr(), "there are more: --after %s\n", last)
			}
			return l.end()
		},
	}
	out.flags(cmd, "table", "json", "csv")
	cmd.Flags().StringVar(&status, "status", "", "only those that are used, unused, never_used or not_known")
	cmd.Flags().StringVar(&q.Provider, "provider", "", "only those of a provider of the configuration")
	cmd.Flags().StringVar(&q.Search, "search", "", "only those with this in their name, in any case")
	cmd.Flags().IntVar(&q.Limit, "limit", 0, "at most so many, by name; 0: all")
	cmd.Flags().StringVar(&q.After, "after", "", "begin after this name, as the end of a limited list says")
	return cmd
}

func stampOf(t *time.Time) string {
	if t == nil {
		return ""
	}
	return stamp(*t)
}

func numberOf(n *int) string {
	if n == nil {
		return ""
	}
	return strconv.Itoa(*n)
}

func newUsageShow(o *options) *cobra.Command {
	var out output
	cmd := &cobra.Command{
		Use: "show NAME", Short: "Show who used a credential, from where, and in which rhythm", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := o.desk(cmd)
			if err != nil {
				return err
			}
			defer d.close()
			if err := d.named(cmd.Context(), args[0]); err != nil {
				return err
			}
			var u api.UsageDetailJSON
			if err := d.Get(cmd.Context(), "/credentials/"+url.PathEscape(args[0])+"/usage", nil, &u); err != nil {
				return plainly(err)
			}
			var b strings.Builder
			line := func(label, text string) {
				if text != "" {
					fmt.Fprintf(&b, "%-16s %s\n", label, printable(text, false))
				}
			}
			line(u.Credential, strings.ReplaceAll(u.Usage, "_", " ")+": "+u.Reason)
			line("Last used", strings.TrimSpace(stampOf(u.LastUsedAt)+" "+u.LastUsedFrom+" "+u.LastUsedBy))
			if u.Uses > 0 {
				text := fmt.Sprintf("%d in the time that counts", u.Uses)
				if u.NotAllowed > 0 {
					text += fmt.Sprintf(", %d of them not allowed", u.NotAllowed)
				}
				line("Uses", text)
			}
			if u.Attempts > 0 {
				text := fmt.Sprintf("%d were refused", u.Attempts)
				if u.LastAttemptAt != nil {
					text += fmt.Sprintf(", the first %s, the last %s", stampOf(u.FirstAttemptAt), stampOf(u.LastAttemptAt))
				}
				line("Attempts", text)
			}
			line("Watched", u.Coverage)
			line("Rhythm", u.Rhythm)
			line("Quiet hours", u.QuietHours)
			line("Unused scopes", strings.Join(u.UnusedScopes, " "))
			line("Recommendation", report.Recommendation(u.Recommendation).Words()+": "+u.Why)
			for i, p := range u.Plan {
				line(map[bool]string{true: "Plan"}[i == 0], p)
			}
			if out.data() {
				return out.one(cmd.OutOrStdout(), u, "")
			}
			if len(u.Sources) > 0 {
				b.WriteString("\nUsed by, in the last 90 days:\n")
				var rows [][]string
				for _, s := range u.Sources {
					rows = append(
						rows,
						[]string{
							s.Network,
							s.UserAgent,
							strconv.FormatInt(s.Uses, 10),
							strconv.FormatInt(s.Failures, 10),
							stamp(s.FirstAt),
							stamp(s.LastAt),
						},
					)
				}
				_ = writeTable(&b, []string{"NETWORK", "USER AGENT", "USES", "REFUSED", "FIRST", "LAST"}, rows)
			}
			if len(u.Keys) > 0 {
				b.WriteString("\nKeys of its client:\n")
				var rows [][]string
				for _, k := range u.Keys {
					rows = append(rows, []string{
						k.KeyID, map[bool]string{true: "this one"}[k.Own], count(k.Uses),
						stampOf(k.FirstAt), stampOf(k.LastAt),
					})
				}
				_ = writeTable(&b, []string{"KEY ID", "", "USES", "FIRST", "LAST"}, rows)
			}
			if len(u.Lifecycle) > 0 {
				b.WriteString("\nIn the provider's own log:\n")
				var rows [][]string
				for _, l := range u.Lifecycle {
					rows = append(rows, []string{stamp(l.At), string(l.Action), l.Actor, l.Feed})
				}
				_ = writeTable(&b, []string{"AT", "WHAT", "BY", "FEED"}, rows)
			}
			return out.one(cmd.OutOrStdout(), u, b.String())
		},
	}
	out.flags(cmd, "table", "json")
	return cmd
}

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
			if len(rows) == 0 && out.people() {
				fmt.Fprintln(
					cmd.OutOrStdout(),
					"no feeds; config.example.yaml shows how to connect one, `keyrounds usage import` takes files",
				)
				return nil
			}
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

func newUsageUnregistered(o *options) *cobra.Command {
	var (
		out   output
		limit int
	)
	cmd := &cobra.Command{
		Use: "unregistered", Short: "List client ids that feeds show and nobody registered", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := o.desk(cmd)
			if err != nil {
				return err
			}
			defer d.close()
			l := out.begin(cmd.OutOrStdout(), []string{"CLIENT ID", "PROVIDER", "EVENTS", "FIRST", "LAST", "FROM", "CREATED", "BY"})
			var first usage.Unregistered
			total, err := client.Each(cmd.Context(), d.Client, "/unregistered", nil, limit, func(page []usage.Unregistered) {
				for _, u := range page {
					if l.n == 0 {
						first = u
					}
					from := ""
					if u.Address.IsValid() {
						from = u.Address.String()
					}
					id := cmp.Or(u.ClientID, "(not said)")
					row := []string{
						id,
						u.Provider,
						count(u.Events),
						stamp(u.FirstAt),
						stamp(u.LastAt),
						from,
						stamp(u.CreatedAt),
						u.CreatedBy,
					}
					l.add(row, u)
				}
			})
			if err != nil {
				return plainly(err)
			}
			if l.n == 0 && out.people() {
				fmt.Fprintln(cmd.OutOrStdout(), "none: every client id in the feeds is registered")
				return nil
			}
			if limit > 0 && total > l.n {
				fmt.Fprintf(cmd.ErrOrStderr(), "there are more than %d: --limit 0 lists all\n", limit)
			}
			if err := l.end(); err != nil || !out.people() {
				return err
			}
			fmt.Fprintf(
				cmd.OutOrStdout(),
				"register one: keyrounds credentials add NAME --provider %s --client-id '%s'\n",
				first.Provider,
				printable(strings.ReplaceAll(cmp.Or(first.ClientID, "ID"), "'", ""), false),
			)
			return nil
		},
	}
	out.flags(cmd, "table", "json", "csv")
	cmd.Flags().IntVar(&limit, "limit", 1000, "at most so many, those that were used last; 0: all")
	return cmd
}

func newUsageFormats() *cobra.Command {
	var out output
	cmd := &cobra.Command{
		Use: "formats", Short: "List the formats of records that are known, and where they are documented", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			type format struct {
				Name  string `json:"name"`
				Title string `json:"title"`
				Docs  string `json:"docs"`
				Notes string `json:"notes"`
				JQ    string `json:"jq"`
				Poll  bool   `json:"log_api"`
			}
			var rows [][]string
			var values []format
			for _, p := range feed.Presets() {
				values = append(values, format{p.Name, p.Title, p.Docs, p.Notes, p.JQ, p.Poll != nil})
				rows = append(rows, []string{p.Name, p.Title, map[bool]string{true: "yes"}[p.Poll != nil], p.Docs})
			}
			return out.list(cmd.OutOrStdout(), []string{"FORMAT", "TITLE", "LOG API", "DOCUMENTED AT"}, rows, values)
		},
	}
	out.flags(cmd, "table", "json", "csv")
	return cmd
}
