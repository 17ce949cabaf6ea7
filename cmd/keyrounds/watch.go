package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// watch is --watch and --interval of a command that shows how things are: it shows them again and again until Ctrl-C, which is exit
// code 0. On a terminal the screen is drawn anew, and is as before at the end. Elsewhere what is new or has changed comes as lines
// after those before, as from kubectl get --watch; what is gone is not said.
type watch struct {
	on    bool
	every time.Duration
}

const leastInterval = 100 * time.Millisecond

// flags adds them to a command that prints by out.
func (x *watch) flags(cmd *cobra.Command, out *output) {
	cmd.Flags().BoolVarP(&x.on, "watch", "w", false, "show it again and again until Ctrl-C; not on a terminal only the lines that change")
	cmd.Flags().DurationVar(&x.every, "interval", 2*time.Second, "how often --watch looks")
	before := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case x.on && out.data():
			return mistake(cmd, "leave -o out, or --watch", "--watch is not for -o %s", out.format)
		case x.every < leastInterval:
			return mistake(cmd, "for example --interval 2s", "--interval is %s at least", leastInterval)
		}
		return before(cmd, args)
	}
}

// show draws once, or again and again. The first error of draw ends it; a later one is shown, and it goes on.
func (x *watch) show(cmd *cobra.Command, draw func(io.Writer) error) error {
	switch f, ok := cmd.OutOrStdout().(*os.File); {
	case !x.on:
		return draw(cmd.OutOrStdout())
	case ok && isTerminal(f):
		return x.screen(cmd, f, draw)
	}
	return x.lines(cmd, draw)
}

// each calls next until ctx ends, which is no error. errFound is none either.
func (x *watch) each(ctx context.Context, next func(first bool) error) error {
	ticks := time.NewTicker(x.every)
	defer ticks.Stop()
	for first := true; ; first = false {
		err := next(first)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && !errors.Is(err, errFound) {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticks.C:
		}
	}
}

// What a terminal understands (ECMA-48, and xterm's other screen).
const (
	otherScreen = "\x1b[?1049h\x1b[?25l" // and no cursor
	ownScreen   = "\x1b[?25h\x1b[?1049l"
	topLeft     = "\x1b[H"
	clearLine   = "\x1b[K"
	clearRest   = "\x1b[J"
)

// screen draws each frame over the one before, in one write, so that nothing flickers.
func (x *watch) screen(cmd *cobra.Command, f *os.File, draw func(io.Writer) error) error {
	on := false
	defer func() {
		if on {
			fmt.Fprint(f, ownScreen)
		}
	}()
	stderr := cmd.ErrOrStderr()
	defer cmd.SetErr(stderr)
	last := ""
	return x.each(cmd.Context(), func(first bool) error {
		now := &frame{of: f}
		cmd.SetErr(now)
		err := draw(now)
		text := now.String()
		switch fine := err == nil || errors.Is(err, errFound); {
		case cmd.Context().Err() != nil:
			return nil
		case fine:
			last = text
		case first:
			return err
		default:
			text = printable(plainWords.Replace(err.Error()), true) + "\n\n" + last
		}
		start := ""
		if !on {
			start, on = otherScreen, true
		}
		_, err = io.WriteString(f, start+x.fit(f, text))
		return err
	})
}

// fit is a frame for a terminal, with the time above; what does not fit into its height is left out.
func (x *watch) fit(f *os.File, text string) string {
	lines := append(
		[]string{fmt.Sprintf("%s, every %s; Ctrl-C ends", time.Now().Format("15:04:05 MST"), x.every), ""},
		strings.Split(strings.TrimRight(text, "\n"), "\n")...)
	if _, height, err := term.GetSize(int(f.Fd())); err == nil && height > 2 && len(lines) > height {
		left := len(lines) - height + 1
		lines = append(lines[:height-1], fmt.Sprintf("… and %d more lines", left))
	}
	return topLeft + strings.Join(lines, clearLine+"\r\n") + clearLine + clearRest
}

// lines prints the first time all, and then the lines that were not there the time before, whatever blanks lay them out.
func (x *watch) lines(cmd *cobra.Command, draw func(io.Writer) error) error {
	had := map[string]int{}
	return x.each(cmd.Context(), func(first bool) error {
		var now bytes.Buffer
		err := draw(&now)
		if err != nil && !errors.Is(err, errFound) {
			if first || cmd.Context().Err() != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "%s\n", printable(plainWords.Replace(err.Error()), true))
			return nil
		}
		has := map[string]int{}
		for line := range strings.Lines(now.String()) {
			key := strings.Join(strings.Fields(line), " ")
			if has[key]++; first || has[key] > had[key] {
				if _, err := io.WriteString(cmd.OutOrStdout(), line); err != nil {
					return err
				}
			}
		}
		had = has
		return nil
	})
}

// frame is what is drawn before it is shown, laid out for the terminal that it is for.
type frame struct {
	bytes.Buffer
	of *os.File
}
