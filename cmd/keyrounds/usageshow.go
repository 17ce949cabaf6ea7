package main

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/report"
)

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
