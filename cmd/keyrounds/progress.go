package main

import (
	"fmt"
	"io"
)

// progress is a counter on standard error, shown only on a terminal.
type progress struct {
	w     io.Writer
	total int
}

func newProgress(w io.Writer, total int) *progress {
	if !isTerminal(w) || total < 20 {
		return nil
	}
	return &progress{w, total}
}

func (p *progress) at(n int) {
	if p != nil {
		fmt.Fprintf(p.w, "\r%d of %d checked", n, p.total)
	}
}

func (p *progress) end() {
	if p != nil {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
