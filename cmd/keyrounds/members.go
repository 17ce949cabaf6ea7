package main

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"
)

// inFlags says what a daemon finds wrong with what a call sent by the flags and arguments of that call, each on a line of its own: the
// API calls them members.
func inFlags(cmd *cobra.Command, err error) error {
	var said *saidError
	if !errors.As(err, &said) || err.Error() != said.text {
		return err
	}
	var lines []string
	for _, w := range said.of.Errors {
		in, path, is := strings.Cut(w.Where, ".")
		if !is || in != "body" && in != "query" {
			return err
		}
		text := strings.TrimSuffix(printable(w.Detail, false), ".")
		name, _, _ := strings.Cut(strings.ReplaceAll(path, "[", "."), ".")
		word := wordOf(cmd, name)
		for _, after := range []string{": ", " is "} {
			if rest, is := strings.CutPrefix(text, path+after); is {
				text = word + after + rest
			}
		}
		lines = append(lines, small(strings.Replace(text, "The member "+path, word, 1)))
	}
	if len(lines) == 0 {
		return err
	}
	hint := ""
	if hinted := (*hintError)(nil); errors.As(err, &hinted) {
		hint = hinted.hint
	}
	return &hintError{&saidError{strings.Join(lines, "\n"), said.of}, hint}
}

// wordOf is the flag or the argument of a call that gives a member of the API.
func wordOf(cmd *cobra.Command, member string) string {
	if member == "within" {
		member = "timeout"
	}
	dashed := strings.ReplaceAll(member, "_", "-")
	for _, flag := range []string{dashed, strings.TrimSuffix(dashed, "s")} {
		if cmd.Flags().Lookup(flag) != nil {
			return "--" + flag
		}
	}
	switch {
	case member == "client_secret":
		return "the secret"
	case strings.Contains(cmd.Use, strings.ToUpper(member)):
		return strings.ToUpper(member)
	}
	return member
}
