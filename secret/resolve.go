package secret

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"
)

// MaxSize is the largest secret that is read, in bytes, with its line end.
const MaxSize = 64 << 10

const execTimeout = 10 * time.Second

// ErrUnreadable is wrapped by every error of Resolve. Its text never holds what was read.
var ErrUnreadable = errors.New("the secret cannot be read")

// unreadableError says why what a reference names cannot be read.
type unreadableError struct {
	of  Reference
	why error
}

func (e *unreadableError) Error() string {
	if e.of == Sealed {
		return "the sealed secret cannot be read: " + e.why.Error()
	}
	return fmt.Sprintf("%s cannot be read: %s", e.of, e.why)
}

func (e *unreadableError) Unwrap() []error { return []error{ErrUnreadable, e.why} }

// Resolve reads the secret that r names on this host: env, file, exec and systemd references. The caller wipes it.
// Nothing is kept, so a new secret is there at the next call.
//
// One trailing line end and a leading byte order mark are taken off; an empty secret, a NUL, text that is not UTF-8,
// more than one line, and more than MaxSize are errors. A key has lines: PEM (RFC 7468), with LF, CRLF or \n between
// them, indented or all in one, is kept with lines of 64 characters, without what stands beside its blocks; a JWK
// (RFC 7517) of several lines is kept in one. An encrypted key is an error: ResolveKey opens it.
//
// A file must be a regular one; a named pipe is refused, not waited for. Of a directory PairCertificate and PairKey are
// read, as one secret. A command runs by /bin/sh within 10 s, with PATH, HOME,
// LANG and what KeepInExec names of our environment, and what it says on standard error is dropped, since it may hold the secret.
// Sealed references are opened by a Sealer instead, and the zero Reference names nothing: both are errors here.
func Resolve(ctx context.Context, r Reference) (Value, error) { return ResolveKey(ctx, r, Reference{}) }

func read(ctx context.Context, r Reference) ([]byte, error) {
	known, ok := schemeNamed(r.scheme)
	if !ok {
		return nil, errors.New("no reference is given")
	}
	return known.read(ctx, r.rest)
}

func readFile(path string) ([]byte, error) {
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		return readPair(path)
	}
	return readRegular(path)
}

func readRegular(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, bare(err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, bare(err)
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("not a regular file (%s)", st.Mode().Type())
	}
	b, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	return b, bare(err)
}

// The files of a directory with a certificate, as cert-manager and Kubernetes lay it out (type kubernetes.io/tls).
const (
	PairCertificate = "tls.crt" // the certificate, and those that signed it
	PairKey         = "tls.key"
)

// readPair reads a certificate and its key from the files of a directory. Whoever renews them exchanges the directory that its links
// point to: what is read in between does not fit together, and is refused as such by whoever uses it.
func readPair(dir string) (both []byte, err error) {
	for _, name := range []string{PairCertificate, PairKey} {
		b, err := readRegular(filepath.Join(dir, name))
		if err != nil {
			return nil, fmt.Errorf("a directory, whose %s: %w", name, err)
		}
		both = append(append(both, b...), '\n')
	}
	return both, nil
}

// bare drops the path from err: the reference in front names it already.
func bare(err error) error {
	var pe *os.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &plainError{"there is no such file", err}
	case errors.Is(err, fs.ErrPermission):
		return &plainError{"this user may not read it", err}
	case errors.As(err, &pe):
		return pe.Err
	}
	return err
}

// plainError is an error of the system in plain words.
type plainError struct {
	text string
	of   error
}

func (e *plainError) Error() string { return e.text }
func (e *plainError) Unwrap() error { return e.of }

func output(ctx context.Context, command string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, execTimeout)
	defer cancel()
	var out limited
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", command)
	cmd.Stdout, cmd.Env = &out, execEnv()
	cmd.WaitDelay = time.Second
	endsWhole(cmd)
	err := cmd.Run()
	switch {
	case len(out.b) > MaxSize:
		return out.b, nil // normal refuses it
	case ctx.Err() != nil:
		return nil, fmt.Errorf("the command did not end within %s", execTimeout)
	case err != nil:
		return nil, fmt.Errorf("the command failed (%s); run it by hand to see why", how(err))
	}
	return out.b, nil
}

// how says how a command ended; 127 is what /bin/sh says of a program that there is not (POSIX, Shell Command Language 2.8.2).
func how(err error) string {
	var ended *exec.ExitError
	switch {
	case errors.As(err, &ended) && ended.ExitCode() == 127:
		return "there is no such program in its PATH"
	case errors.As(err, &ended) && ended.ExitCode() == 126:
		return "its program cannot be run"
	}
	return err.Error()
}

// limited keeps what fits and one byte more, so that normal sees that it was too much, and then
// takes no more, which ends a command that would write for ever. It is not a bytes.Buffer by
// embedding: io.Copy would find ReadFrom and go around the limit.
type limited struct{ b []byte }

func (l *limited) Write(p []byte) (int, error) {
	n := min(len(p), MaxSize+1-len(l.b))
	l.b = append(l.b, p[:n]...)
	if n < len(p) {
		return n, io.ErrShortWrite
	}
	return n, nil
}

// normal returns the text of a secret as it is kept. passphrase opens a key that is encrypted; nil: nothing does.
func normal(b, passphrase []byte) ([]byte, error) {
	if len(b) > MaxSize {
		return nil, fmt.Errorf("larger than %d KiB", MaxSize>>10)
	}
	b, err := unlock(b, passphrase)
	if err != nil {
		return nil, err
	}
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	b = bytes.TrimSuffix(b, []byte("\n"))
	b = bytes.TrimSuffix(b, []byte("\r"))
	key, isKey := keyText(b)
	if isKey {
		b = key
	}
	switch {
	case len(b) == 0:
		return nil, errors.New("it is empty")
	case bytes.IndexByte(b, 0) >= 0:
		return nil, errors.New("has a NUL byte")
	case !utf8.Valid(b):
		return nil, errors.New("not UTF-8 text")
	case strings.ContainsAny(string(b), "\r\n") && !isKey:
		return nil, errors.New("has more than one line, and is no key (PEM or JWK)")
	}
	return b, nil
}

// LooseMode reports whether r is a file that others than its owner and group may read, write or execute; false where
// it cannot be looked at.
func LooseMode(r Reference) bool {
	if r.scheme != SchemeFile {
		return false
	}
	st, err := os.Stat(r.rest)
	if err == nil && st.IsDir() {
		st, err = os.Stat(filepath.Join(r.rest, PairKey))
	}
	return err == nil && st.Mode().Perm()&0o007 != 0
}

// Parse makes a Value of a secret that somebody typed or piped in, by the rules of Resolve. Its errors do not wrap
// ErrUnreadable, and never hold b, which is not wiped here.
func Parse(b []byte) (Value, error) { return ParseKey(b, Value{}) }
