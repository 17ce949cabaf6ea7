package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/audit"
)

func newAudit(o *options) *cobra.Command {
	cmd := &cobra.Command{Use: "audit", Short: "The record of who did what: log"}
	var (
		out   output
		f     audit.LogFilter
		limit uint32
		since since
	)
	log := &cobra.Command{
		Use: "log", Short: "Show the record of who did what, the newest first", Args: cobra.NoArgs,
		Example: "  keyrounds audit log --subject credential/ats-sync\n" +
			"  keyrounds audit log --actor ann --action finding. --since 7d",
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.Limit = int(limit)
			from, err := since.time(time.Now())
			if err != nil {
				return err
			}
			f.Since = from
			a, err := o.openAnyhow(cmd)
			if err != nil {
				return err
			}
			defer a.Close()
			entries, err := a.Audit.Log(cmd.Context(), f)
			if err != nil {
				return err
			}
			if len(entries) == 0 && out.people() {
				fmt.Fprintln(cmd.OutOrStdout(), "no entries")
				return nil
			}
			var rows [][]string
			for _, e := range entries {
				detail := string(e.Detail)
				if out.people() {
					detail = inWords(e.Detail)
				}
				rows = append(rows, []string{strconv.FormatInt(e.ID, 10), stamp(e.At), e.Actor, e.Action, e.Subject, detail})
			}
			if n := len(entries); n == f.Limit {
				fmt.Fprintf(cmd.ErrOrStderr(), "there may be more: --before %d shows the next\n", entries[n-1].ID)
			}
			return out.list(cmd.OutOrStdout(), []string{"ID", "AT", "ACTOR", "ACTION", "SUBJECT", "DETAIL"}, rows, orEmpty(entries))
		},
	}
	out.flags(log, "table", "json", "csv")
	log.Flags().StringVar(&f.Subject, "subject", "", "only of this subject: credential/NAME, provider/NAME or report/MONTH")
	log.Flags().StringVar(&f.Actor, "actor", "", "only by this one, or who has it in his name")
	log.Flags().StringVar(&f.Action, "action", "", "only this action, or those that begin so, such as finding. or credential.rotated")
	since.flag(log, "only")
	log.Flags().Int64Var(&f.Before, "before", 0, "only those before the entry with this `ID`: the last one of a list before")
	log.Flags().Uint32Var(&limit, "limit", 100, "at most `N` of them")
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
