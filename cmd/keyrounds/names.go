package main

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/api/client"
	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/report"
)

// mostCompleted is how many words a shell is given.
const mostCompleted = 200

// completeIn is how long a person waits at most who has pressed Tab.
const completeIn = 2 * time.Second

// completion answers a shell with words, each maybe with a tab and what it is; nothing where the database does not answer.
type completion = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective)

func (o *options) complete(words func(ctx context.Context, d *desk) ([]string, error)) completion {
	return func(cmd *cobra.Command, args []string, begin string) ([]string, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(cmd.Context(), completeIn)
		defer cancel()
		cmd.SetContext(ctx)
		d, err := o.desk(cmd)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		defer d.close()
		all, err := words(ctx, d)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		all = slices.DeleteFunc(all, func(w string) bool {
			word, _, _ := strings.Cut(w, "\t")
			return !strings.HasPrefix(word, begin) || slices.Contains(args, word)
		})
		return all[:min(len(all), mostCompleted)], cobra.ShellCompDirectiveNoFileComp
	}
}

// named is a thing of a list of which only the name is wanted.
type named struct {
	Name string `json:"name"`
}

func credentialNames(ctx context.Context, d *desk) ([]string, error) {
	return namesOf(ctx, d, "/credentials")
}

func providerNames(ctx context.Context, d *desk) ([]string, error) {
	return namesOf(ctx, d, "/providers")
}

func namesOf(ctx context.Context, d *desk, path string) (names []string, err error) {
	_, err = client.Each(ctx, d.Client, path, url.Values{"fields": {"name"}}, 0, func(page []named) {
		for _, n := range page {
			names = append(names, printable(n.Name, false))
		}
	})
	return names, err
}

func findingIDs(ctx context.Context, d *desk) (ids []string, err error) {
	list, _, err := client.List[api.FindingJSON](ctx, d.Client, "/findings", nil, mostCompleted)
	for _, f := range list {
		ids = append(ids, fmt.Sprintf("%d\t%s of %s", f.ID, f.Kind, printable(cmp.Or(f.Credential, f.Provider), false)))
	}
	return ids, err
}

func reportMonths(ctx context.Context, d *desk) (months []string, err error) {
	files, _, err := client.List[report.File](ctx, d.Client, "/reports", url.Values{"format": {"json"}}, 0)
	for _, f := range files {
		months = append(months, f.Month)
	}
	return slices.Compact(months), err
}

// completes gives the commands and flags below cmd their words, by the names that they have: NAME and ID of a usage, --kind,
// --provider, --credential.
func (o *options) completes(cmd *cobra.Command) {
	for _, c := range cmd.Commands() {
		o.completes(c)
	}
	flags := map[string]completion{
		"kind": func(*cobra.Command, []string, string) (kinds []string, _ cobra.ShellCompDirective) {
			for _, k := range finding.Kinds() {
				kinds = append(kinds, string(k))
			}
			return kinds, cobra.ShellCompDirectiveNoFileComp
		},
		"provider":   o.complete(providerNames),
		"credential": o.complete(credentialNames),
		"month":      o.complete(reportMonths),
	}
	for name, words := range flags {
		if _, has := cmd.GetFlagCompletionFunc(name); cmd.Flags().Lookup(name) != nil && !has {
			_ = cmd.RegisterFlagCompletionFunc(name, words)
		}
	}
	usage := strings.Fields(cmd.Use)
	if cmd.ValidArgsFunction != nil || len(usage) < 2 || cmd.Name() == "add" || cmd.Name() == "end" {
		return
	}
	switch strings.Trim(usage[1], "[].") {
	case "NAME":
		cmd.ValidArgsFunction = o.complete(credentialNames)
	case "ID":
		cmd.ValidArgsFunction = o.complete(findingIDs)
	}
}

// meant is a hint of which of the names may have been meant, or otherwise.
func meant(name string, names []string, otherwise string) string {
	if near := config.DidYouMean(name, names); strings.HasPrefix(near, "did") {
		return near
	}
	return otherwise
}
