package scan

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/keyrounds/keyrounds/confine"
)

// git runs git on a repository that is not trusted: its configuration may name programs, and none of them is
// run; it asks no other machine for anything, and writes nothing.
type git struct {
	confine  confine.Launcher
	parts    *parts // where it may read
	patience time.Duration
}

// gitPatience is how long git may say nothing: by a pipe that came in the place of one of its files it would wait for ever.
const gitPatience = 5 * time.Minute

var errSilent = errors.New("git said nothing for minutes and was ended; is one of its files a pipe?")

// OddFileError says that something among git's files is none, such as a pipe, for which git would wait.
type OddFileError struct{ Name string }

func (e *OddFileError) Error() string { return e.Name + " is no file: git would wait for it" }

// watched ends git where it says nothing for too long. The time that what it said is worked on does not count.
type watched struct {
	io.Reader
	patience time.Duration
	end      context.CancelCauseFunc
}

func (w watched) Read(b []byte) (int, error) {
	timer := time.AfterFunc(w.patience, func() { w.end(errSilent) })
	defer timer.Stop()
	return w.Reader.Read(b)
}

// NoGitError says that a history cannot be searched, because git is not installed.
type NoGitError struct{ error }

func (e *NoGitError) Error() string { return "git is not on this machine: " + e.error.Error() }

// Hint returns what a person can do about it.
func (*NoGitError) Hint() string {
	return "install git to search histories, or search the files as they are with --history=false"
}

// openGit makes dir a repository that git reads; it closes dir with close.
func openGit(ctx context.Context, dir *os.File, s *Scanner) (g git, err error) {
	g = git{s.Confine, partsOf(dir), s.patience}
	if err := checkGit(ctx); err != nil {
		return g, err
	}
	if name := g.parts.odd(); name != "" {
		return g, &OddFileError{name}
	}
	return g, g.lines(ctx, []string{"rev-parse", "--git-dir"}, nil, '\n', func([]byte) {})
}

func (g git) close() { g.parts.close() }

func (g git) command(ctx context.Context, args ...string) *exec.Cmd {
	safe := []string{
		"--no-pager", "--no-replace-objects", "--literal-pathspecs", "-C", g.parts.names()[0], "-c", "safe.directory=*",
		"-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "core.quotePath=false", "-c", "gc.auto=0",
		"-c", "log.showSignature=false", "-c", "diff.external=", "-c", "protocol.allow=never",
	}
	for _, transport := range []string{"ext", "file", "git", "http", "https", "ssh"} { // its own settings go before protocol.allow
		safe = append(safe, "-c", "protocol."+transport+".allow=never")
	}
	cmd := g.confine.Command(ctx, g.parts.names(), "git", append(safe, args...)...)
	g.parts.lend(cmd)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "LC_ALL=C", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_OPTIONAL_LOCKS=0", "GIT_NO_LAZY_FETCH=1", "GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=true", "GIT_ATTR_NOSYSTEM=1",
	}
	withoutTerminal(cmd)
	return cmd
}

// lines runs git and calls each for every record of what it prints. Its error has what git said.
func (g git) lines(ctx context.Context, args []string, in io.Reader, end byte, each func([]byte)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	cmd := g.command(ctx, args...)
	said := &beginning{most: 500}
	cmd.Stdin, cmd.Stderr = in, said
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	r := bufio.NewReaderSize(watched{out, g.patience, cancel}, 1<<20)
	for {
		record, err := r.ReadSlice(end)
		for errors.Is(err, bufio.ErrBufferFull) { // no name of a path is so long
			_, err = r.ReadSlice(end)
		}
		if len(record) > 0 {
			each(bytes.TrimSuffix(record, []byte{end}))
		}
		if err != nil {
			break
		}
	}
	if err := cmd.Wait(); err != nil {
		if errors.Is(context.Cause(ctx), errSilent) {
			return errSilent
		}
		if text := strings.TrimSpace(string(said.text)); text != "" {
			text, _, _ = strings.Cut(text, "\n")
			return errors.New(text)
		}
		return err
	}
	return nil
}

// beginning keeps the first bytes that are written to it.
type beginning struct {
	text []byte
	most int
}

func (b *beginning) Write(p []byte) (int, error) {
	b.text = append(b.text, p[:min(len(p), b.most-len(b.text))]...)
	return len(p), nil
}
