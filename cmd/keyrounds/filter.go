package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/verdict"
)

// filters choose credentials of a list: provider=NAME, owner=NAME, status=STATUS, source=file, label.KEY=VALUE; each must hold.
// They remember what they saw, to say what may have been meant where nothing is found.
type filters struct {
	given []string
	seen  map[string]map[string]bool
}

var filterKeys = []string{"provider", "owner", "status", "source", "label.KEY"}

// mostSeen values of a key are remembered.
const mostSeen = 10_000

func (f *filters) flag(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.given, "filter", nil,
		"only those of which it holds, such as owner=talent-platform, provider=NAME, status=revoked, label.env=prod; all of several")
	_ = cmd.RegisterFlagCompletionFunc("filter", func(*cobra.Command, []string, string) (words []string, _ cobra.ShellCompDirective) {
		for _, s := range verdict.Statuses() {
			words = append(words, "status="+string(s))
		}
		return append(
			words,
			"provider=",
			"owner=",
			"source=",
			"label.",
		), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	})
}

// check refuses filters that nothing can pass.
func (f *filters) check(cmd *cobra.Command) error {
	f.seen = map[string]map[string]bool{}
	for _, given := range f.given {
		key, value, found := strings.Cut(given, "=")
		_, label := strings.CutPrefix(key, "label.")
		switch {
		case !found:
			return mistake(cmd, "such as --filter owner=talent-platform", "--filter %q is not KEY=VALUE", given)
		case !label && !slices.Contains(filterKeys, key):
			return mistake(cmd, config.DidYouMean(key, filterKeys), "--filter: there is no key %q", key)
		case key == "status":
			if err := known(cmd, "filter status", verdict.Status(value), verdict.Statuses()); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *filters) pass(c api.CredentialJSON) bool {
	pass := true
	for _, given := range f.given {
		key, value, _ := strings.Cut(given, "=")
		has := map[string]string{"provider": c.Provider, "owner": c.Owner, "status": c.Status, "source": c.Source}[key]
		if label, ok := strings.CutPrefix(key, "label."); ok {
			has = c.Labels[label]
		}
		if f.seen[key] == nil {
			f.seen[key] = map[string]bool{}
		}
		if len(f.seen[key]) < mostSeen && has != "" {
			f.seen[key][has] = true
		}
		pass = pass && has == value
	}
	return pass
}

// nothing says that no credential passed, and which value was not there at all.
func (f *filters) nothing() error {
	for _, given := range f.given {
		key, value, _ := strings.Cut(given, "=")
		if key != "status" && value != "" && !f.seen[key][value] {
			return &hintError{
				fmt.Errorf("no credential has the %s %q", strings.TrimPrefix(key, "label."), value),
				config.DidYouMean(value, slices.Collect(maps.Keys(f.seen[key]))),
			}
		}
	}
	return nil
}
