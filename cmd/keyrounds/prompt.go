package main

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// errInterrupted: somebody pressed Ctrl-C at a question.
var errInterrupted = errors.New("interrupted; nothing was changed")

// terminalOf is the terminal that a person types at; false: there is none.
func terminalOf(cmd *cobra.Command) (*os.File, bool) {
	f, ok := cmd.InOrStdin().(*os.File)
	return f, ok && term.IsTerminal(int(f.Fd()))
}

// hidden asks for a line on a terminal without echo. Ctrl-C ends it at once, with the echo as it was (errInterrupted); Ctrl-D, or
// Enter alone, is an error as well.
func hidden(cmd *cobra.Command, f *os.File, prompt, what string) ([]byte, error) {
	loud, err := silence(f)
	if err != nil {
		return nil, fmt.Errorf("read the %s: %w", what, err)
	}
	line, err := asked(cmd, prompt, func() ([]byte, error) { return readLine(f) })
	loud()
	fmt.Fprintln(cmd.ErrOrStderr())
	switch {
	case errors.Is(err, errInterrupted):
		return nil, err
	case errors.Is(err, io.EOF), err == nil && len(line) == 0:
		return nil, fmt.Errorf("no %s was given; nothing was changed", what)
	case err != nil:
		return nil, fmt.Errorf("read the %s: %w", what, err)
	}
	return line, nil
}

// readLine reads what a terminal gives: a line, or what was typed before Ctrl-D; nothing at all is io.EOF.
func readLine(f *os.File) (line []byte, err error) {
	b := make([]byte, 4096) // the most that a line of a terminal has
	for !bytes.HasSuffix(line, []byte("\n")) {
		n, err := f.Read(b)
		line = append(line, b[:n]...)
		if n == 0 || err != nil {
			if len(line) == 0 {
				return nil, cmp.Or(err, io.EOF)
			}
			break
		}
	}
	clear(b)
	return bytes.TrimRight(line, "\r\n"), nil
}

// confirmed asks on a terminal whether to go on, unless yes; where there is none nobody is asked. An error says that nothing was
// changed.
func confirmed(cmd *cobra.Command, yes bool, question string) error {
	f, ok := terminalOf(cmd)
	if yes || !ok {
		return nil
	}
	line, err := asked(cmd, question+" [y/N]", func() ([]byte, error) { return bufio.NewReader(f).ReadBytes('\n') })
	switch answer := strings.ToLower(strings.TrimSpace(string(line))); {
	case errors.Is(err, errInterrupted):
		fmt.Fprintln(cmd.ErrOrStderr())
		return err
	case answer == "y" || answer == "yes":
		return nil
	}
	return errors.New("nothing was changed")
}

// asked waits for an answer, or for Ctrl-C. Who was interrupted leaves read behind: the process is about to end.
func asked(cmd *cobra.Command, prompt string, read func() ([]byte, error)) ([]byte, error) {
	type answer struct {
		line []byte
		err  error
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s: ", prompt)
	got := make(chan answer, 1)
	go func() {
		line, err := read()
		got <- answer{line, err}
	}()
	select {
	case <-cmd.Context().Done():
		return nil, errInterrupted
	case a := <-got:
		return a.line, a.err
	}
}
