//go:build linux

package postgres

import (
	"bytes"
	"cmp"
	"errors"
	"os"
	"regexp"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

const maxLog = 4 << 20

// serverLog is where the server's words go: to a file of ours, which begins anew when it is large (one old one is
// kept), and to lastWords.
type serverLog struct {
	path string

	mu   sync.Mutex
	file *os.File
	size int64
	lastWords
}

func openServerLog(path string) (*serverLog, error) {
	l := &serverLog{path: path}
	return l, l.open()
}

func (l *serverLog) open() (err error) {
	if l.file, err = os.OpenFile(l.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|unix.O_NOFOLLOW, 0o600); err != nil {
		return err
	}
	st, err := l.file.Stat()
	if err == nil {
		l.size = st.Size()
	}
	return err
}

// Write never fails: what cannot be written, where the disk is full for example, must not hold up the server.
func (l *serverLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = l.lastWords.Write(b)
	if l.size > maxLog && os.Rename(l.path, l.path+".old") == nil {
		_ = l.file.Close()
		_ = l.open()
	}
	if l.file != nil {
		n, _ := l.file.Write(b)
		l.size += int64(n)
	}
	return len(b), nil
}

// begins is called before a server starts, whose words are not those of the one before.
func (l *serverLog) begins() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lastWords = lastWords{}
}

func (l *serverLog) last() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.say()
}

func (l *serverLog) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.file.Close()
	l.file = nil
}

// trouble is why the server did not start: by its own words, else otherwise. dir is where the disk is.
func (l *serverLog) trouble(dir string, otherwise error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.worst == "" && (l.line == "" || !errors.Is(otherwise, errEnded)) {
		return otherwise
	}
	err := l.lastWords.trouble(dir)
	return &troubleError{err.Error() + " (its log: " + l.path + ")", err.hint}
}

// lastWords picks from what a program of Postgres says what matters: the first thing that was fatal, its details and hint.
type lastWords struct {
	part                      []byte // of a line
	worst, detail, hint, line string
	setting                   string // the first line of the settings that cannot be used, and what is wrong with it
	panics, passed            bool
}

const maxLine = 4 << 10

func (w *lastWords) Write(b []byte) (int, error) {
	w.part = append(w.part, b...)
	for {
		line, rest, found := bytes.Cut(w.part, []byte("\n"))
		if !found && len(w.part) < maxLine {
			return len(b), nil
		}
		w.part = append([]byte(nil), rest...)
		w.take(strings.TrimSpace(string(line[:min(len(line), maxLine)])))
	}
}

var (
	fatal = regexp.MustCompile(`\b(PANIC|FATAL|error|fatal): +(.*)`)
	// What a server tells those who come while it starts or stops, or with a wrong password, is not why it does not run.
	passing = regexp.MustCompile(`the database system is |terminating connection|password authentication failed|too many clients|no pg_hba`)
	setting = regexp.MustCompile(`\bLOG: +(.*\bin file "[^"]*" line \d+.*)`)
	more    = regexp.MustCompile(`\b(DETAIL|detail|HINT|hint): +(.*)`)
)

func (w *lastWords) take(line string) {
	if line == "" {
		return
	}
	w.line = line
	if m := setting.FindStringSubmatch(line); m != nil {
		w.setting = cmp.Or(w.setting, m[1])
	}
	if m := more.FindStringSubmatch(line); m != nil && (w.worst != "" || w.passed) {
		if w.passed {
			return
		}
		switch strings.ToLower(m[1]) {
		case "detail":
			w.detail = cmp.Or(w.detail, m[2])
		case "hint":
			w.hint = cmp.Or(w.hint, m[2])
		}
		return
	}
	m := fatal.FindStringSubmatch(line)
	w.passed = passing.MatchString(line)
	if m == nil || w.passed || w.worst != "" && (w.panics || m[1] != "PANIC") {
		return
	}
	w.worst, w.detail, w.hint, w.panics = m[2], "", "", m[1] == "PANIC"
}

func (w *lastWords) say() string {
	switch {
	case w.worst == "":
		return w.line
	case w.setting != "" && strings.Contains(w.worst, "contains errors"):
		return w.worst + ": " + w.setting
	case w.detail == "":
		return w.worst
	}
	return w.worst + ": " + strings.TrimSuffix(w.detail, ".")
}

// trouble is what was said, with a way out of it: ours where we know one, since Postgres' hints, "you need to initdb", are for
// those who have nothing to lose.
func (w *lastWords) trouble(dir string) *troubleError {
	hint := wayOut(w.worst+" "+w.detail+" "+w.line, dir)
	return &troubleError{w.say(), cmp.Or(hint, w.hint)}
}

// troubleError is what a program of Postgres said when it failed, and the way out of it.
type troubleError struct{ said, hint string }

func (e *troubleError) Error() string { return e.said }

// Hint says what a person does about it.
func (e *troubleError) Hint() string { return e.hint }
