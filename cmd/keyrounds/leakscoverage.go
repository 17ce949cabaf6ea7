package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/leak/scan"
)

// exitPartial: nothing was found, and a named source or a history was not searched.
const exitPartial = 3

// coverageJSON is a promise: what a scan searched and looked for, and what not.
type coverageJSON struct {
	scan.Coverage
	NotLookedFor []notLookedFor `json:"not_looked_for"`
}

// notLookedFor is a term that a scan could not look for.
type notLookedFor struct {
	Credential string `json:"credential"`
	What       string `json:"what"` // secret or client id
	Why        string `json:"why"`
}

// coverageFlags are --coverage and --allow-partial of a scan.
type coverageFlags struct {
	file         string
	allowPartial bool
}

func (f *coverageFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.file, "coverage", "", "write what was searched, and what not and why, to this file (JSON)")
	cmd.Flags().BoolVar(&f.allowPartial, "allow-partial", false,
		"exit 0 instead of 3 where nothing was found, and a named source or a history was not searched")
}

// tell says on standard error what was and was not searched and looked for, and writes it to the file of --coverage.
func (f *coverageFlags) tell(w io.Writer, c coverageJSON) error {
	tellCoverage(w, c)
	if f.file == "" {
		return nil
	}
	text, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(f.file, append(text, '\n'), 0o666) //nolint:gosec // places and reasons, as on standard error
}

// ending is how a scan ends that found nothing: nil where everything was searched.
func (f *coverageFlags) ending(w io.Writer, found scan.Found) error {
	err := found.Partial()
	switch {
	case err == nil:
		return nil
	case err.Down():
		return err
	case f.allowPartial:
		return nil
	}
	explainError(w, err)
	return exitWith(exitPartial)
}

// mostNames is how many are named of a reason on standard error.
const mostNames = 50

func tellCoverage(w io.Writer, c coverageJSON) {
	named := map[scan.Reason]int{}
	for _, s := range c.NotSearched {
		if named[s.Reason]++; named[s.Reason] <= mostNames {
			fmt.Fprintf(w, "not searched: %s: %s (%s)\n", printable(s.Path, false), printable(s.Why, false), reasonWords(s.Reason))
		}
	}
	for _, r := range sortedReasons(named) {
		if more := named[r] - mostNames; more > 0 {
			fmt.Fprintf(w, "not searched: %d more (%s); --coverage FILE names all\n", more, reasonWords(r))
		}
	}
	for _, t := range c.NotLookedFor {
		fmt.Fprintf(w, "not looked for: the %s of %s: %s\n", t.What, printable(t.Credential, false), printable(t.Why, false))
	}
	fmt.Fprintln(w, c.Summary())
}

func reasonWords(r scan.Reason) string { return strings.ReplaceAll(string(r), "_", " ") }

func sortedReasons[N any](of map[scan.Reason]N) (all []scan.Reason) {
	for r := range of {
		all = append(all, r)
	}
	slices.Sort(all)
	return all
}
