package main

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// said is what a person reads who makes a call that is refused.
func said(t *testing.T, args ...string) string {
	t.Helper()
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(io.Discard)
	root.SetErr(io.Discard)
	err := root.ExecuteContext(t.Context())
	if err == nil {
		return ""
	}
	var b bytes.Buffer
	explainError(&b, err)
	return b.String()
}

// The mistakes that people make, each with its sentence.
func TestMistakes(t *testing.T) {
	t.Parallel()
	for call, want := range map[string]string{
		"fndings list":      "keyrounds: keyrounds has no command \"fndings\"\nhint: did you mean keyrounds findings?\n",
		"fndings --limit 3": "keyrounds: keyrounds has no command \"fndings\"\nhint: did you mean keyrounds findings?\n",
		"findings lst":      "keyrounds: keyrounds findings has no command \"lst\"\nhint: did you mean keyrounds findings list?\n",
		"findings nothing":  "keyrounds: keyrounds findings has no command \"nothing\"\nhint: see keyrounds findings --help\n",
		"findings ack":      "keyrounds: ID is missing\nhint: keyrounds findings ack ID...\n",
		"findings show 1 2": "keyrounds: \"2\" is one too many\nhint: keyrounds findings show ID\n",
		"findings list --limit x": "keyrounds: --limit needs a whole number, 0 or more, and was given \"x\"\n" +
			"hint: see keyrounds findings list --help\n",
		"findings list --limit":       "keyrounds: --limit needs a whole number, 0 or more\nhint: see keyrounds findings list --help\n",
		"findings list --kin x":       "keyrounds: keyrounds findings list has no flag --kin\nhint: did you mean \"--kind\"?\n",
		"findings list --kind revokd": "keyrounds: --kind: there is no kind \"revokd\"\nhint: did you mean \"revoked\"?\n",
		"findings list extra": "keyrounds: keyrounds findings list takes nothing but flags, and was given \"extra\"\n" +
			"hint: see keyrounds findings list --help\n",
		"findings list ---x": "keyrounds: \"---x\" is not how a flag is written\nhint: see keyrounds findings list --help\n",
		"credentials add":    "keyrounds: NAME is missing\nhint: keyrounds credentials add NAME\n",
		"credentials add x":  "keyrounds: --provider is missing\nhint: see keyrounds credentials add --help\n",
		"credentials add a --provider p --client-id c --labels x": "keyrounds: --labels needs KEY=VALUE, and was given \"x\"\n" +
			"hint: see keyrounds credentials add --help\n",
		"check -z": "keyrounds: keyrounds check has no flag -z\nhint: see keyrounds check --help\n",
		"credentials rotate x --timeout 3": "keyrounds: --timeout needs a time such as 90s, 15m or 2h, and was given \"3\"\n" +
			"hint: see keyrounds credentials rotate --help\n",
		"audit log --limit -1": "keyrounds: --limit needs a whole number, 0 or more, and was given \"-1\"\n" +
			"hint: see keyrounds audit log --help\n",
	} {
		if got := said(t, strings.Fields(call)...); got != want {
			t.Errorf("keyrounds %s\nsays  %s\nwants %s", call, got, want)
		}
	}
}

// No command says what is wrong with its call in the words of a library.
func TestNoWordsOfLibraries(t *testing.T) {
	t.Parallel()
	foreign := []string{
		"strconv", "parsing", "invalid syntax", "arg(s)", "unknown flag", "unknown shorthand", "flag needs", "required flag",
		"invalid argument", "must be formatted", "bad flag syntax", "unknown command", "missing unit", "time: ",
	}
	try := func(args ...string) {
		got := said(t, args...)
		if got == "" {
			t.Errorf("keyrounds %s: taken", strings.Join(args, " "))
		}
		for _, word := range foreign {
			if strings.Contains(got, word) {
				t.Errorf("keyrounds %s says %q", strings.Join(args, " "), got)
			}
		}
	}
	var walk func(cmd *cobra.Command, path []string)
	walk = func(cmd *cobra.Command, path []string) {
		for _, c := range cmd.Commands() {
			if c.Name() != "help" && c.Name() != "completion" && !c.Hidden {
				walk(c, append(path[:len(path):len(path)], c.Name()))
			}
		}
		try(append(path, "--no-such-flag")...)
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			switch f.Value.Type() {
			case "string", "stringSlice", "stringArray":
				try(append(path, "--"+f.Name)...)
			default:
				try(append(path, "--"+f.Name+"=no such value")...)
			}
		})
		if cmd.HasSubCommands() {
			try(append(path, "no-such-command")...)
		}
	}
	walk(newRoot(), nil)
}
