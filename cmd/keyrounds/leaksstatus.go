package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/api/client"
	"github.com/keyrounds/keyrounds/exposure"
	"github.com/keyrounds/keyrounds/finding"
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
			d, err := o.desk(cmd)
			if err != nil {
				return err
			}
			defer d.close()
			ask, err := d.ofLeaks(cmd.Context(), args)
			if err != nil {
				return err
			}
			all, total, err := client.List[api.EvidenceJSON](cmd.Context(), d.Client, "/leaks", ask, limit) // the newest first
			if err != nil {
				return plainly(err)
			}
			if n := len(all); total > n && !all[n-1].Seen.Before(from) {
				fmt.Fprintf(cmd.ErrOrStderr(), "the newest %d of %d are shown: --limit shows more of them\n", n, total)
			}
			all = slices.DeleteFunc(all, func(ev api.EvidenceJSON) bool { return ev.Seen.Before(from) })
			rows := [][]string{}
			for _, ev := range all {
				rows = append(rows, []string{
					ev.Credential, string(ev.Kind), ev.How, place(ev.Sighting), ev.Commit[:min(len(ev.Commit), 12)],
					stamp(ev.At), stamp(ev.Seen), ev.What,
				})
			}
			out.none = d.none("no evidence; look for some: keyrounds leaks scan PATH")
			if !from.IsZero() {
				out.none = d.none("no evidence was seen since then")
			}
			head := []string{"CREDENTIAL", "SORT", "HOW", "WHERE", "COMMIT", "HAPPENED", "SEEN", "WHAT"}
			return out.list(cmd.OutOrStdout(), head, rows, all)
		},
	}
	out.flags(cmd, "table", "json", "csv")
	mostOf(cmd, &limit, 100, "the newest `N` of them")
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

// ofLeaks asks for the leaks of the credential that args name, or for all.
func (d *desk) ofLeaks(ctx context.Context, args []string) (url.Values, error) {
	if len(args) == 0 {
		return url.Values{}, nil
	}
	return url.Values{"credential": {args[0]}}, d.named(ctx, args[0])
}

func newLeaksStatus(o *options) *cobra.Command {
	var (
		out output
		all bool
	)
	cmd := &cobra.Command{
		Use: "status [NAME]", Short: "Show secrets that got out or were replaced, sources and reporters", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := o.desk(cmd)
			if err != nil {
				return err
			}
			defer d.close()
			ask, err := d.ofLeaks(cmd.Context(), args)
			if err != nil {
				return err
			}
			ask.Set("all", strconv.FormatBool(all || len(args) > 0))
			var s statusJSON
			if err := d.Get(cmd.Context(), "/leaks/status", ask, &s); err != nil {
				return plainly(err)
			}
			if out.data() {
				return out.one(cmd.OutOrStdout(), s, "")
			}
			return s.print(cmd.OutOrStdout(), len(args) == 0, d.none("no secret is known to have got out, and none was replaced"))
		},
	}
	out.flags(cmd, "table", "json")
	cmd.Flags().BoolVarP(&all, "all", "a", false, "also present secrets that nobody saw")
	return cmd
}

// statusJSON is what the API says of leaks.
type statusJSON api.LeaksJSON

func (s statusJSON) print(w io.Writer, whole bool, none func() string) error {
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
		case givenUp(v):
			works = "never worked"
		case v.Works != nil && *v.Works:
			works = "works, " + stampOf(v.WorksAt)
		case v.Works != nil:
			works = "refused, " + stampOf(v.WorksAt)
		case !v.Present && !v.Kept:
			works = "cannot be tried: keyrounds does not have it"
		}
		rows = append(rows, []string{v.Credential, which, map[bool]string{true: "yes", false: ""}[v.Leaked], works, stampOf(v.NextTry)})
	}
	for _, name := range s.Unread {
		rows = append(rows, []string{name, "not read yet by the daemon", "yes", "not tried", ""})
	}
	if len(rows) == 0 {
		fmt.Fprintln(w, none())
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
	line("Secret", d.Which())
	if d.Finding != 0 {
		line("Finding", fmt.Sprint(d.Finding))
	}
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
