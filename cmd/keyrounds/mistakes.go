package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/keyrounds/keyrounds/config"
)

// The mistakes of a call, each in a sentence of ours: what is wrong, and what would be right. No text of the libraries that read
// the command line reaches a person (TestMistakes).

// inOurWords has cmd and all below it refuse a call in our words.
func inOurWords(cmd *cobra.Command) {
	takes := cmd.Args
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		switch {
		case cmd.HasSubCommands() && len(args) > 0:
			return unknownCommand(cmd, args[0])
		case takes == nil:
			return missingFlags(cmd)
		}
		err := takes(cmd, args)
		if own := (*hintError)(nil); err == nil || errors.As(err, &own) {
			return cmp.Or(err, missingFlags(cmd))
		}
		return wrongArguments(cmd, args)
	}
	if cmd.HasSubCommands() && cmd.RunE == nil {
		cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	}
	if run := cmd.RunE; run != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error { return inFlags(cmd, run(cmd, args)) }
	}
	cmd.SetFlagErrorFunc(wrongFlag)
	cmd.SuggestionsMinimumDistance = 2
	for _, c := range cmd.Commands() {
		inOurWords(c)
	}
}

// mistake is an error of a call with the way to the help of its command, where there is no better hint.
func mistake(cmd *cobra.Command, hint, format string, a ...any) error {
	if hint == "" {
		hint = "see " + cmd.CommandPath() + " --help"
	}
	return &hintError{fmt.Errorf(format, a...), hint}
}

func unknownCommand(cmd *cobra.Command, word string) error {
	hint := ""
	if near := cmd.SuggestionsFor(word); len(near) > 0 {
		hint = "did you mean " + joinOr(cmd.CommandPath()+" ", near) + "?"
	}
	return mistake(cmd, hint, "%s has no command %q", cmd.CommandPath(), word)
}

func joinOr(before string, words []string) string {
	var b strings.Builder
	for i, w := range words {
		switch {
		case i > 0 && i == len(words)-1:
			b.WriteString(" or ")
		case i > 0:
			b.WriteString(", ")
		}
		b.WriteString(before + w)
	}
	return b.String()
}

// wrongArguments reads from the command's usage what it takes: NAME, [NAME...].
func wrongArguments(cmd *cobra.Command, args []string) error {
	var needed, all []string
	flag := false
	for _, word := range strings.Fields(cmd.Use)[1:] {
		if isFlag := strings.HasPrefix(word, "-"); isFlag || flag { // or its value
			flag = isFlag
			continue
		}
		all = append(all, word)
		if !strings.HasPrefix(word, "[") {
			needed = append(needed, strings.TrimSuffix(word, "..."))
		}
	}
	usage := strings.Join(append([]string{cmd.CommandPath()}, all...), " ")
	switch {
	case len(args) < len(needed):
		missing := needed[len(args):]
		is := "is"
		if len(missing) > 1 {
			is = "are"
		}
		return mistake(cmd, usage, "%s %s missing", strings.Join(missing, " and "), is)
	case len(all) == 0:
		return mistake(cmd, "", "%s takes nothing but flags, and was given %q", cmd.CommandPath(), args[0])
	}
	return mistake(cmd, usage, "%q is one too many", args[min(len(all), len(args)-1)])
}

// missingFlags are those that a command cannot do without. Where one of them was never given cobra would say so in its own words.
func missingFlags(cmd *cobra.Command) error {
	var missing []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if must := f.Annotations[cobra.BashCompOneRequiredFlag]; len(must) > 0 && must[0] == "true" && !f.Changed {
			missing = append(missing, "--"+f.Name)
		}
	})
	if len(missing) == 0 {
		return nil
	}
	is := "is"
	if len(missing) > 1 {
		is = "are"
	}
	return mistake(cmd, "", "%s %s missing", strings.Join(missing, " and "), is)
}

// wrongFlag says what is wrong with a flag.
func wrongFlag(cmd *cobra.Command, err error) error {
	if before := cmd.Flags().Args(); cmd.HasSubCommands() && len(before) > 0 {
		return unknownCommand(cmd, before[0]) // its flags are unknown for that
	}
	var (
		unknown *pflag.NotExistError
		bare    *pflag.ValueRequiredError
		invalid *pflag.InvalidValueError
		syntax  *pflag.InvalidSyntaxError
	)
	switch {
	case errors.As(err, &unknown):
		name := "--" + unknown.GetSpecifiedName()
		if unknown.GetSpecifiedShortnames() != "" {
			return mistake(cmd, "", "%s has no flag -%s", cmd.CommandPath(), unknown.GetSpecifiedName())
		}
		return mistake(cmd, nearFlag(cmd, name), "%s has no flag %s", cmd.CommandPath(), name)
	case errors.As(err, &bare):
		return mistake(cmd, "", "--%s needs %s", bare.GetFlag().Name, kindOf(bare.GetFlag()))
	case errors.As(err, &invalid):
		if own := (*hintError)(nil); errors.As(err, &own) {
			return &hintError{fmt.Errorf("--%s: %w", invalid.GetFlag().Name, own.error), own.hint}
		}
		value := invalid.GetValue()
		if len(value) > 60 {
			value = value[:60] + "…"
		}
		return mistake(cmd, "", "--%s needs %s, and was given %s", invalid.GetFlag().Name, kindOf(invalid.GetFlag()), strconv.Quote(value))
	case errors.As(err, &syntax):
		return mistake(cmd, "", "%q is not how a flag is written", syntax.GetSpecifiedFlag())
	}
	return mistake(cmd, "", "the flags cannot be read")
}

func nearFlag(cmd *cobra.Command, name string) string {
	var known []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			known = append(known, "--"+f.Name)
		}
	})
	if hint := config.DidYouMean(name, known); strings.HasPrefix(hint, "did") {
		return hint
	}
	return ""
}

// kindOf says what value a flag takes.
func kindOf(f *pflag.Flag) string {
	switch f.Value.Type() {
	case "int", "int64":
		return "a whole number"
	case "uint", "uint32", "uint64":
		return "a whole number, 0 or more"
	case "float64":
		return "a number"
	case "duration":
		return "a time such as 90s, 15m or 2h"
	case "bool":
		return "true or false"
	case "stringToString":
		return "KEY=VALUE"
	}
	return "a value"
}

// known refuses a value of a flag that is none of the words it knows; "" is no value.
func known[T ~string](cmd *cobra.Command, flag string, value T, words []T) error {
	if value == "" || slices.Contains(words, value) {
		return nil
	}
	var texts []string
	for _, w := range words {
		texts = append(texts, string(w))
	}
	return mistake(cmd, config.DidYouMean(string(value), texts), "--%s: there is no %s %q", flag, flag, string(value))
}
