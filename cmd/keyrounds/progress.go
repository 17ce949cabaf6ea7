package main

import (
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
)

// progress is a counter on standard error, shown only on a terminal.
type progress struct {
	w     io.Writer
	total int
	done  string    // what was done with those that are counted
	shown time.Time // last
}

func newProgress(w io.Writer, total int, done string) *progress {
	if !isTerminal(w) || total < 20 {
		return nil
	}
	return &progress{w: w, total: total, done: done}
}

// at shows n, ten times a second at most; the last one always.
func (p *progress) at(n int) {
	if p == nil || n < p.total && time.Since(p.shown) < 100*time.Millisecond {
		return
	}
	p.shown = time.Now()
	fmt.Fprintf(p.w, "\r%d of %d %s", n, p.total, p.done)
}

func (p *progress) end() {
	if p != nil {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}

// counting shows how much of total is done: do tells it to at. Where that is little it says what is waited for instead.
func counting(w io.Writer, total int, done, waits string, do func(at func(int)) error) error {
	p := newProgress(w, total, done)
	if p == nil {
		return awaiting(w, waits, func() error { return do(p.at) })
	}
	defer p.end()
	p.at(0)
	return do(p.at)
}

// patience is how long somebody waits before being told for what.
const patience = time.Second

// awaiting says on a terminal what is waited for, and for how long, while do lasts longer than patience.
func awaiting(w io.Writer, what string, do func() error) error {
	if !isTerminal(w) {
		return do()
	}
	over, said := make(chan struct{}), make(chan struct{})
	began := time.Now()
	go func() {
		defer close(said)
		each := time.NewTicker(patience)
		defer each.Stop()
		shown := false
		for {
			select {
			case <-each.C:
				fmt.Fprintf(w, "\r\x1b[K%s … %s", what, time.Since(began).Round(time.Second))
				shown = true
			case <-over:
				if shown {
					fmt.Fprint(w, "\r\x1b[K")
				}
				return
			}
		}
	}()
	err := do()
	close(over)
	<-said
	return err
}

// readProgress shows how much of a file was read, on a terminal only. total is -1 where nobody knows.
func readProgress(w io.Writer, name string, total int64) io.WriteCloser {
	if !isTerminal(w) {
		return nopCloser{io.Discard}
	}
	return progressbar.NewOptions64(
		total,
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetDescription(name),
		progressbar.OptionShowBytes(true),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionSetWidth(30),
	)
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }
