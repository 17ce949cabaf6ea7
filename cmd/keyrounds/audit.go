package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/api/client"
	"github.com/keyrounds/keyrounds/audit"
)

func newAudit(o *options) *cobra.Command {
	cmd := &cobra.Command{Use: "audit", Short: "The record of who did what: log"}
	var (
		out   output
		f     api.RecordFilter
		last  int64
		limit int
		since since
	)
	log := &cobra.Command{
		Use: "log", Short: "Show the record of who did what, the newest first", Args: cobra.NoArgs,
		Example: "  keyrounds audit log --subject credential/ats-sync\n" +
			"  keyrounds audit log --actor ann --action finding. --since 7d",
		RunE: func(cmd *cobra.Command, _ []string) error {
			from, err := since.time(time.Now())
			if err != nil {
				return err
			}
			d, err := o.desk(cmd)
			if err != nil {
				return err
			}
			defer d.close()
			q := url.Values{"subject": {f.Subject}, "actor": {f.Actor}, "action": {f.Action}}
			if !from.IsZero() {
				q.Set("since", from.UTC().Format(time.RFC3339Nano))
			}
			if last != 0 {
				q.Set("before", strconv.FormatInt(last, 10))
			}
			entries, total, err := client.List[audit.Entry](cmd.Context(), d.Client, "/audit", q, limit)
			if err != nil {
				return plainly(err)
			}
			out.none = d.none("no entries")
			var rows [][]string
			for _, e := range entries {
				detail := string(e.Detail)
				if out.people() {
					detail = inWords(e.Detail)
				}
				rows = append(rows, []string{strconv.FormatInt(e.ID, 10), stamp(e.At), e.Actor, e.Action, e.Subject, detail})
			}
			if n := len(entries); n > 0 && total > n {
				fmt.Fprintf(cmd.ErrOrStderr(), "there are more: --before %d shows the next\n", entries[n-1].ID)
			}
			return out.list(cmd.OutOrStdout(), []string{"ID", "AT", "ACTOR", "ACTION", "SUBJECT", "DETAIL"}, rows, orEmpty(entries))
		},
	}
	out.flags(log, "table", "json", "csv")
	log.Flags().StringVar(&f.Subject, "subject", "", "only of this subject: credential/NAME, provider/NAME or report/MONTH")
	log.Flags().StringVar(&f.Actor, "actor", "", "only by this one, or who has it in his name")
	log.Flags().StringVar(&f.Action, "action", "", "only this action, or those that begin so, such as finding. or credential.rotated")
	since.flag(log, "only")
	log.Flags().Int64Var(&last, "before", 0, "only those before the entry with this `ID`: the last one of a list before")
	mostOf(log, &limit, 100, "at most `N` of them")
	cmd.AddCommand(log)
	return cmd
}

// mostDetail is how many characters of an entry a table shows; JSON and CSV have it all.
const mostDetail = 160

// inWords says of what an entry has beside who, what and whom what is short: names and values, without what is nested.
func inWords(detail json.RawMessage) string {
	var of map[string]any
	if json.Unmarshal(detail, &of) != nil {
		return string(detail)
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(of)) {
		switch v := of[name].(type) {
		case string:
			if v != "" {
				parts = append(parts, name+"="+v)
			}
		case float64:
			parts = append(parts, name+"="+strconv.FormatFloat(v, 'f', -1, 64))
		case bool:
			parts = append(parts, name+"="+strconv.FormatBool(v))
		case []any:
			if text, ok := listed(v); ok {
				parts = append(parts, name+"="+text)
			}
		}
	}
	text := []rune(strings.Join(parts, " "))
	if len(text) > mostDetail {
		return string(text[:mostDetail]) + "…"
	}
	return string(text)
}

func listed(values []any) (string, bool) {
	var all []string
	for _, v := range values {
		s, ok := v.(string)
		if !ok {
			return "", false
		}
		all = append(all, s)
	}
	return strings.Join(all, ","), len(all) > 0
}
