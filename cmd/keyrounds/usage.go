package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/app"
	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/usage"
	"github.com/keyrounds/keyrounds/web"
)

func newUsage(o *options) *cobra.Command {
	cmd := &cobra.Command{Use: "usage", Short: "Who uses the credentials beside keyrounds: list, show, status, unregistered, import, formats"}
	cmd.AddCommand(newUsageList(o), newUsageShow(o), newUsageStatus(o), newUsageUnregistered(o), newUsageImport(o), newUsageFormats())
	return cmd
}

func newUsageList(o *options) *cobra.Command {
	var out output
	cmd := &cobra.Command{
		Use: "list", Short: "Tell of each credential whether it is used, and how that is known", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := o.open(cmd.Context())
			if err != nil {
				return err
			}
			defer a.Close()
			cs, err := a.Registry.List(cmd.Context(), false)
			if err != nil {
				return err
			}
			all, err := web.Usages(cmd.Context(), a.Usage, cs, a.Now())
			if err != nil {
				return err
			}
			var rows [][]string
			for _, u := range all {
				rows = append(rows, []string{u.Credential, u.Provider, u.Owner, u.Usage, stampOf(u.LastUsedAt), u.LastUsedFrom, numberOf(u.DaysUnused), u.Coverage, u.Reason})
			}
			return out.list(cmd.OutOrStdout(), []string{"CREDENTIAL", "PROVIDER", "OWNER", "USAGE", "LAST USED AT", "FROM", "DAYS UNUSED", "COVERAGE", "REASON"}, rows, all)
		},
	}
	out.flags(cmd, "table", "json", "csv")
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
			ctx := cmd.Context()
			a, err := o.open(ctx)
			if err != nil {
				return err
			}
			defer a.Close()
			c, err := a.Registry.Get(ctx, args[0])
			if err != nil {
				return &hintError{err, "see keyrounds credentials list"}
			}
			all, err := web.Usages(ctx, a.Usage, []credential.Credential{c}, a.Now())
			if err != nil {
				return err
			}
			sources, err := a.Usage.Sources(ctx, c.ID, a.Now().AddDate(0, 0, -90), 30)
			if err != nil {
				return err
			}
			done, err := a.Usage.History(ctx, c.ID, 20)
			if err != nil {
				return err
			}
			row, err := a.Reports.Row(ctx, c, a.Now())
			if err != nil {
				return err
			}
			value := struct {
				web.UsageJSON
				Sources        []usage.Source    `json:"sources"`
				Lifecycle      []usage.Lifecycle `json:"lifecycle"`
				Recommendation string            `json:"recommendation"`
				Why            string            `json:"why"`
				Plan           []string          `json:"plan"`
			}{all[0], orEmpty(sources), orEmpty(done), string(row.Recommendation), row.Why, row.Plan}
			var b strings.Builder
			line := func(label, text string) {
				if text != "" {
					fmt.Fprintf(&b, "%-16s %s\n", label, printable(text, false))
				}
			}
			u := all[0]
			line(c.Name, strings.ReplaceAll(u.Usage, "_", " ")+": "+u.Reason)
			line("Last used", strings.TrimSpace(stampOf(u.LastUsedAt)+" "+u.LastUsedFrom+" "+u.LastUsedBy))
			line("Watched", u.Coverage)
			line("Rhythm", u.Rhythm)
			line("Quiet hours", u.QuietHours)
			line("Unused scopes", strings.Join(u.UnusedScopes, " "))
			line("Recommendation", row.Recommendation.Words()+": "+row.Why)
			for i, p := range row.Plan {
				line(map[bool]string{true: "Plan"}[i == 0], p)
			}
			if out.format == "json" {
				return out.one(cmd.OutOrStdout(), value, "")
			}
			if len(sources) > 0 {
				b.WriteString("\nUsed by, in the last 90 days:\n")
				var rows [][]string
				for _, s := range sources {
					rows = append(rows, []string{s.Network, s.UserAgent, strconv.FormatInt(s.Uses, 10), strconv.FormatInt(s.Failures, 10), stamp(s.FirstAt), stamp(s.LastAt)})
				}
				_ = writeTable(&b, []string{"NETWORK", "USER AGENT", "USES", "REFUSED", "FIRST", "LAST"}, rows)
			}
			if len(done) > 0 {
				b.WriteString("\nIn the provider's own log:\n")
				var rows [][]string
				for _, l := range done {
					rows = append(rows, []string{stamp(l.At), string(l.Action), l.Actor, l.Feed})
				}
				_ = writeTable(&b, []string{"AT", "WHAT", "BY", "FEED"}, rows)
			}
			return out.one(cmd.OutOrStdout(), value, b.String())
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
			a, err := o.open(cmd.Context())
			if err != nil {
				return err
			}
			defer a.Close()
			feeds, err := a.Usage.Feeds(cmd.Context())
			if err != nil {
				return err
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
				case f.Type != usage.ImportFeed && a.Now().Sub(f.LastSeen) > f.Silence:
					state = "silent"
				}
				c := f.Counts
				rows = append(rows, []string{
					f.Feed, f.Provider, f.Type, f.Format, stamp(f.LastSeen), count(c[usage.ResultUse]), count(c[usage.ResultFailure]), count(c.Own()),
					count(c[usage.ResultUnregistered]), count(c[usage.ResultLifecycle]), count(c[usage.ResultBad]), state,
				})
			}
			if len(rows) == 0 && out.format == "table" {
				fmt.Fprintln(cmd.OutOrStdout(), "no feeds; config.example.yaml shows how to connect one, `keyrounds usage import` takes files")
				return nil
			}
			if err := out.list(cmd.OutOrStdout(), []string{"FEED", "PROVIDER", "TYPE", "FORMAT", "LAST SEEN", "USES", "REFUSED", "OWN", "UNREGISTERED", "LIFECYCLE", "BAD", "STATE"}, rows, orEmpty(feeds)); err != nil || out.format != "table" {
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
func ruleLine(w io.Writer, feed string, c usage.Counts) {
	if c.Own() == 0 {
		return
	}
	fmt.Fprintf(w, "%s: own checks taken out: %d by token, %d by nonce, %d by address and time, %d by time alone\n",
		feed, c[usage.ResultOwnToken], c[usage.ResultOwnNonce], c[usage.ResultOwnAddress], c[usage.ResultOwnTime])
}

func printBad(w io.Writer, feed string, bad []usage.Bad) {
	for _, b := range bad {
		fmt.Fprintf(w, "%s: unreadable: %s", feed, printable(b.Reason, false))
		if b.Sample != "" {
			fmt.Fprintf(w, ": %s", printable(b.Sample, false))
		}
		fmt.Fprintln(w)
	}
}

func newUsageUnregistered(o *options) *cobra.Command {
	var out output
	cmd := &cobra.Command{
		Use: "unregistered", Short: "List client ids that feeds show and nobody registered", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := o.open(cmd.Context())
			if err != nil {
				return err
			}
			defer a.Close()
			list, err := a.Unregistered(cmd.Context(), 1000)
			if err != nil {
				return err
			}
			var rows [][]string
			for _, u := range list {
				from := ""
				if u.Address.IsValid() {
					from = u.Address.String()
				}
				id := cmp.Or(u.ClientID, "(not said)")
				rows = append(rows, []string{id, u.Provider, count(u.Events), stamp(u.FirstAt), stamp(u.LastAt), from, stamp(u.CreatedAt), u.CreatedBy})
			}
			if len(rows) == 0 && out.format == "table" {
				fmt.Fprintln(cmd.OutOrStdout(), "none: every client id in the feeds is registered")
				return nil
			}
			if err := out.list(cmd.OutOrStdout(), []string{"CLIENT ID", "PROVIDER", "EVENTS", "FIRST", "LAST", "FROM", "CREATED", "BY"}, rows, orEmpty(list)); err != nil || out.format != "table" {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "register one: keyrounds credentials add NAME --provider %s --client-id '%s'\n", list[0].Provider, printable(strings.ReplaceAll(cmp.Or(list[0].ClientID, "ID"), "'", ""), false))
			return nil
		},
	}
	out.flags(cmd, "table", "json", "csv")
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
			for _, p := range usage.Presets() {
				values = append(values, format{p.Name, p.Title, p.Docs, p.Notes, p.JQ, p.Poll != nil})
				rows = append(rows, []string{p.Name, p.Title, map[bool]string{true: "yes"}[p.Poll != nil], p.Docs})
			}
			return out.list(cmd.OutOrStdout(), []string{"FORMAT", "TITLE", "LOG API", "DOCUMENTED AT"}, rows, values)
		},
	}
	out.flags(cmd, "table", "json", "csv")
	return cmd
}

type importFlags struct {
	provider, format, feed, from, until string
}

func newUsageImport(o *options) *cobra.Command {
	var (
		out output
		f   importFlags
	)
	cmd := &cobra.Command{
		Use:   "import --provider NAME --format FORMAT FILE...",
		Short: "Take in files of usage records; - is standard input",
		Long: "Take in files of usage records, plain, gzip or zstd; - is standard input. Each file is taken in whole or not\n" +
			"at all, and the same content only once. Its records show when it was watching: from the first to the last\n" +
			"of them, where no day is missing; --from and --until say so where traffic is thin.\n" +
			"A format is a preset (keyrounds usage formats), or a file: FORMAT.jq, or FORMAT.yaml like the presets.",
		Example: "  keyrounds usage import --provider smartrecruiters --format nginx-json /var/log/nginx/api.json*\n" +
			"  zcat old.gz | keyrounds usage import --provider smartrecruiters --format plain -",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return &hintError{errors.New("no file is named"), "- is standard input"}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := o.open(cmd.Context())
			if err != nil {
				return err
			}
			defer a.Close()
			feed, covers, err := f.resolve(a.Config())
			if err != nil {
				return err
			}
			return importFiles(cmd, a, out, feed, covers, args)
		},
	}
	out.flags(cmd, "table", "json", "csv")
	cmd.Flags().StringVar(&f.provider, "provider", "", "whose credentials the records show")
	cmd.Flags().StringVar(&f.format, "format", "", "how records are read (default plain, or that of --feed)")
	cmd.Flags().StringVar(&f.feed, "feed", "", "take them in as of this feed of the configuration")
	cmd.Flags().StringVar(&f.from, "from", "", "the files show everything from this date on")
	cmd.Flags().StringVar(&f.until, "until", "", "up to the end of this date")
	return cmd
}

func (f importFlags) resolve(c *config.Config) (feed usage.Feed, covers []usage.Span, err error) {
	if f.feed != "" {
		i := slices.IndexFunc(c.Feeds, func(x config.Feed) bool { return x.Name == f.feed })
		if i < 0 {
			return feed, nil, &hintError{fmt.Errorf("no such feed: %q", f.feed), "see keyrounds usage status"}
		}
		feed = c.Feeds[i].Feed
		if f.provider != "" && f.provider != feed.Provider {
			return feed, nil, &hintError{fmt.Errorf("the feed %q shows credentials of %q", f.feed, feed.Provider), "leave --provider out"}
		}
	} else {
		if _, ok := c.Providers[f.provider]; !ok {
			return feed, nil, &hintError{fmt.Errorf("unknown provider %q", f.provider), "--provider is one of the configuration's; see keyrounds config check"}
		}
		feed = usage.Import(f.provider, usage.Format{})
	}
	if f.format != "" || f.feed == "" {
		if feed.Format, err = usage.ReadFormat(cmp.Or(f.format, "plain")); err != nil {
			return feed, nil, err
		}
	}
	feed.Addresses = c.Egress
	feed.Poll = usage.Poll{} // a file is no poll: nothing overlaps
	return feed, covers, f.span(c, &covers)
}

func (f importFlags) span(c *config.Config, covers *[]usage.Span) error {
	if f.from == "" && f.until == "" {
		return nil
	}
	from, err1 := time.ParseInLocation(time.DateOnly, f.from, c.Zone)
	until, err2 := time.ParseInLocation(time.DateOnly, f.until, c.Zone)
	if until = until.AddDate(0, 0, 1); err1 != nil || err2 != nil || !from.Before(until) || until.After(time.Now().AddDate(0, 0, 1)) {
		return &hintError{errors.New("--from and --until are two dates that are not in the future"), "for example --from 2026-08-01 --until 2026-10-31"}
	}
	if now := time.Now(); until.After(now) {
		until = now
	}
	*covers = []usage.Span{{From: from, To: until}}
	return nil
}

type importJSON struct {
	File      string       `json:"file"`
	Records   int64        `json:"records"`
	Results   usage.Counts `json:"results"`
	FirstAt   *time.Time   `json:"first_at"`
	LastAt    *time.Time   `json:"last_at"`
	Duplicate bool         `json:"duplicate"` // it was taken in before, and was not again
	Bad       []usage.Bad  `json:"bad"`
}

func importFiles(cmd *cobra.Command, a *app.App, out output, feed usage.Feed, covers []usage.Span, names []string) error {
	var (
		values  []importJSON
		rows    [][]string
		unknown int64
	)
	for _, name := range names {
		v, err := importFile(cmd, a, feed, covers, name)
		if err != nil {
			return err
		}
		values = append(values, v)
		c := v.Results
		note := ""
		if v.Duplicate {
			note = "taken in before, not again"
		}
		rows = append(rows, []string{name, count(v.Records), count(c[usage.ResultUse]), count(c[usage.ResultFailure]), count(c.Own()), count(c[usage.ResultUnregistered]), count(c[usage.ResultBad]), stampOf(v.FirstAt), stampOf(v.LastAt), note})
		unknown += c[usage.ResultUnregistered]
	}
	if err := out.list(cmd.OutOrStdout(), []string{"FILE", "RECORDS", "USES", "REFUSED", "OWN", "UNREGISTERED", "BAD", "FIRST", "LAST", "NOTE"}, rows, values); err != nil || out.format != "table" {
		return err
	}
	for _, v := range values {
		ruleLine(cmd.OutOrStdout(), v.File, v.Results)
		printBad(cmd.OutOrStdout(), v.File, v.Bad)
	}
	if unknown > 0 {
		fmt.Fprintln(cmd.OutOrStdout(), "client ids that nobody registered: keyrounds usage unregistered")
	}
	return nil
}

func importFile(cmd *cobra.Command, a *app.App, feed usage.Feed, covers []usage.Span, name string) (importJSON, error) {
	in, size := cmd.InOrStdin(), int64(-1)
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return importJSON{}, err
		}
		defer f.Close()
		if st, err := f.Stat(); err == nil && st.IsDir() {
			return importJSON{}, &hintError{fmt.Errorf("%s is a directory", name), "name its files; a feed of type file follows a directory"}
		} else if err == nil && st.Mode().IsRegular() {
			size = st.Size()
		}
		in = f
	}
	bar := readProgress(cmd.ErrOrStderr(), name, size)
	defer bar.Close()
	news, err := a.Import(cmd.Context(), actor(), feed, name, io.TeeReader(in, bar), covers...)
	v := importJSON{File: name, Results: news.Counts, Bad: orEmpty(news.Samples)}
	var before *usage.TakenBeforeError
	switch {
	case errors.As(err, &before):
		v.Duplicate, v.Results = true, before.Counts
	case err != nil:
		return v, err
	case !news.First.IsZero():
		first, last := news.First.UTC(), news.Last.UTC()
		v.FirstAt, v.LastAt = &first, &last
	}
	v.Records = v.Results.Records()
	return v, nil
}
