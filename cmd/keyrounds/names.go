package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/app"
	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/registry"
)

// notRegistered adds to an error of the registry which name may have been meant.
func notRegistered(ctx context.Context, a *app.App, name string, err error) error {
	if !errors.Is(err, registry.ErrNotFound) {
		return err
	}
	return noCredential(ctx, a, name)
}

// noCredential says that no credential has a name, and which one may have been meant.
func noCredential(ctx context.Context, a *app.App, name string) error {
	hint := "see keyrounds credentials list"
	if names, err := a.Registry.Names(ctx); err == nil {
		hint = meant(name, slices.Collect(maps.Values(names)), hint)
	}
	return &hintError{fmt.Errorf("no credential has the name %q", name), hint}
}

// mostCompleted is how many words a shell is given.
const mostCompleted = 200

// completeIn is how long a person waits at most who has pressed Tab.
const completeIn = 2 * time.Second

// completion answers a shell with words, each maybe with a tab and what it is; nothing where the database does not answer.
type completion = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective)

func (o *options) complete(words func(ctx context.Context, a *app.App, begin string) ([]string, error)) completion {
	return func(cmd *cobra.Command, args []string, begin string) ([]string, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(cmd.Context(), completeIn)
		defer cancel()
		a, err := o.openAsIs(ctx)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		defer a.Close()
		all, err := words(ctx, a, begin)
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

func credentialNames(ctx context.Context, a *app.App, _ string) ([]string, error) {
	names, err := a.Registry.Names(ctx)
	return slices.Sorted(maps.Values(names)), err
}

func findingIDs(ctx context.Context, a *app.App, _ string) (ids []string, err error) {
	list, err := a.Audit.Findings(ctx, audit.Filter{Limit: mostCompleted})
	for _, f := range list {
		ids = append(ids, fmt.Sprintf("%d\t%s of %s", f.ID, f.Kind, printable(f.Subject.Name(), false)))
	}
	return ids, err
}

func providerNames(_ context.Context, a *app.App, _ string) ([]string, error) {
	return slices.Sorted(maps.Keys(a.Config().Providers)), nil
}

func reportMonths(ctx context.Context, a *app.App, _ string) (months []string, err error) {
	made, err := a.Reports.Made(ctx)
	for _, m := range made {
		months = append(months, m.String())
	}
	return months, err
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
