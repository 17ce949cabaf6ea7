package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/credential"
)

// since is --since of a list: how long ago, or a date or time.
type since string

// flag adds it; which says what is shown, such as "only those that were opened".
func (s *since) flag(cmd *cobra.Command, which string) {
	cmd.Flags().StringVar((*string)(s), "since", "", which+" since so long ago, such as 7d, or since a date, such as 2026-11-01")
}

// time is zero where the flag was not given.
func (s *since) time(now time.Time) (time.Time, error) {
	if *s == "" {
		return time.Time{}, nil
	}
	return ago(string(*s), now)
}

// ago reads a time in the past: how long ago, or a date or time.
func ago(text string, now time.Time) (time.Time, error) {
	if d, err := credential.ParseDuration(text); err == nil {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, &hintError{fmt.Errorf("--since %q is neither a time ago nor a date", text), "for example 7d, 12h or 2026-11-01"}
}
