package main

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/api/client"
	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/credential"
)

const (
	fewChecks  = 10   // that credentials show shows
	mostChecks = 1000 // that it shows with --since
)

// shownJSON is a credential with what its scopes are worth, and its last checks. Its names are a promise.
type shownJSON struct {
	api.CredentialJSON
	Truth  api.ScopesJSON `json:"scope_truth"`
	Checks []audit.Check  `json:"checks"`
}

func newCredentialsShow(o *options) *cobra.Command {
	var (
		out   output
		since since
	)
	cmd := &cobra.Command{
		Use: "show NAME", Short: "Show a credential and its last checks", Args: cobra.ExactArgs(1),
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
			j, err := d.shown(cmd.Context(), args[0], from)
			if err != nil {
				return err
			}
			return out.one(cmd.OutOrStdout(), j, describe(j.CredentialJSON, j.Truth, j.Checks))
		},
	}
	out.flags(cmd, "table", "json")
	since.flag(cmd, fmt.Sprintf("instead of the last 10 checks those (%d at most)", mostChecks))
	return cmd
}

// shown is a credential with its checks from a time on, or the last few.
func (d *desk) shown(ctx context.Context, name string, from time.Time) (j shownJSON, err error) {
	if j.CredentialJSON, err = d.credential(ctx, name); err != nil {
		return j, err
	}
	path := "/credentials/" + url.PathEscape(name)
	if err := d.Get(ctx, path+"/scopes", nil, &j.Truth); err != nil {
		return j, plainly(err)
	}
	q, most := url.Values{}, fewChecks
	if !from.IsZero() {
		q.Set("since", from.UTC().Format(time.RFC3339Nano))
		most = mostChecks
	}
	j.Checks, _, err = client.List[audit.Check](ctx, d.Client, path+"/checks", q, most)
	return j, plainly(err)
}

func describe(v api.CredentialJSON, scopes api.ScopesJSON, history []audit.Check) string {
	var b strings.Builder
	line := func(label, text string) {
		if text != "" && text != "0s" {
			fmt.Fprintf(&b, "%-18s %s\n", label, printable(text, false))
		}
	}
	line("Name", v.Name)
	line("Status", strings.TrimSpace(v.Status+" since "+stamp(v.StatusSince)))
	line("Last answer", v.Message)
	line("Provider", v.Provider)
	line("Client id", v.ClientID)
	line("Key id", v.KeyID)
	line("Secret", v.Secret)
	line("Description", v.Description)
	line("Owner", v.Owner)
	line("Scopes", strings.Join(v.Scopes, " "))
	var labels []string
	for _, k := range slices.Sorted(maps.Keys(v.Labels)) {
		labels = append(labels, k+"="+v.Labels[k])
	}
	line("Labels", strings.Join(labels, " "))
	line("Schedule", v.Schedule)
	line("Unused after", v.UnusedAfter)
	line("Max age", v.MaxAge)
	line("Created", v.Created)
	if !v.ExpiresAt.IsZero() {
		line("Ends", stamp(v.ExpiresAt)+", "+credential.EndSource(v.ExpiresBy).Words())
	}
	line("Not proven", strings.Join(v.Unproven, " "))
	line("Networks", strings.Join(v.ExpectedNetworks, " "))
	line("Registered", stamp(v.Registered)+" by "+v.Source)
	line("Retired", stamp(v.Retired))
	line("Last success", stamp(v.LastSuccess))
	if !v.NextCheck.IsZero() {
		line("Next check", stamp(v.NextCheck)+", "+v.NextCheckWhy)
	}
	b.WriteString(scopeText(scopes))
	if len(history) > 0 {
		b.WriteString("\n")
		var rows [][]string
		for _, h := range history {
			rows = append(
				rows,
				[]string{
					stamp(h.At),
					string(h.Outcome),
					string(h.Reason),
					string(h.Status),
					fmt.Sprintf("%.1f ms", h.LatencyMS),
					h.Message,
				},
			)
		}
		_ = writeTable(&b, []string{"CHECKED", "OUTCOME", "REASON", "STATUS", "LATENCY", "MESSAGE"}, rows)
	}
	return b.String()
}
