package main

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/checker"
)

// checksAtOnce is how many checks are asked for at once; the daemon holds to the providers' limits itself.
const checksAtOnce = 8

// checkFrom has a daemon elsewhere check credentials now, all or those named.
func checkFrom(cmd *cobra.Command, at *there, names []string, verbose bool, out output) error {
	if verbose {
		return elsewhere("-v")
	}
	if len(names) == 0 {
		err := at.credentials(cmd.Context(), false, func(c api.CredentialJSON) { names = append(names, c.Name) })
		if err != nil {
			return err
		}
	}
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	var (
		mu     sync.Mutex
		checks []api.CheckJSON
		failed []error
		group  errgroup.Group
	)
	group.SetLimit(checksAtOnce)
	for _, name := range names {
		group.Go(func() error {
			var c api.CheckJSON
			err := at.Post(cmd.Context(), "/credentials/"+url.PathEscape(name)+"/check", nil, &c)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = append(failed, fmt.Errorf("%s: %w", name, plainly(err)))
				return nil
			}
			checks = append(checks, c)
			return nil
		})
	}
	_ = group.Wait()
	if len(checks) == 0 && len(failed) == 1 && len(names) == 1 {
		if err := at.named(cmd.Context(), names[0]); err != nil {
			return err
		}
	}
	slices.SortFunc(checks, func(a, b api.CheckJSON) int { return strings.Compare(a.Credential, b.Credential) })
	if len(checks) > 0 || len(failed) == 0 {
		if err := tellChecks(cmd.OutOrStdout(), out, orEmpty(checks)); err != nil {
			return err
		}
	}
	if err := cmd.Context().Err(); err != nil {
		return err // once, and not for each that was not waited for
	}
	if err := errors.Join(failed...); err != nil {
		return err
	}
	if slices.ContainsFunc(checks, func(c api.CheckJSON) bool { return c.Outcome != string(checker.OK) }) {
		return errFound
	}
	return nil
}
