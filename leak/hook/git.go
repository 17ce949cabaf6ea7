package hook

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// command is git in the repository that the hook runs in. It fetches nothing, and takes each object for what it is.
func command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "git", append([]string{"--no-pager", "--no-replace-objects"}, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "GIT_NO_LAZY_FETCH=1", "GIT_OPTIONAL_LOCKS=0", "GIT_TERMINAL_PROMPT=0")
	return cmd
}

// lines runs git and calls each for every record of what it prints.
func lines(ctx context.Context, in io.Reader, end byte, each func(string) error, args ...string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := command(ctx, args...)
	said := &beginning{}
	cmd.Stdin, cmd.Stderr = in, said
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return err
	}
	r := bufio.NewReaderSize(out, 64<<10)
	for {
		record, err := r.ReadString(end)
		if record = strings.TrimSuffix(record, string(end)); record != "" {
			if err := each(record); err != nil {
				cancel()
				_ = cmd.Wait()
				return err
			}
		}
		if err != nil {
			break
		}
	}
	return failed(cmd.Wait(), args[0], said)
}

// output is the only line that git prints; "" where it fails.
func output(ctx context.Context, args ...string) string {
	out, err := command(ctx, args...).Output()
	if err != nil {
		return ""
	}
	return strings.TrimRight(string(out), "\n")
}

// failed says of what git said only that it failed, and how it began: a name that it repeats may hold a secret, so it repeats none.
func failed(err error, what string, said *beginning) error {
	if err == nil {
		return nil
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	text := bytes.ToLower(said.text)
	for sign, why := range map[string]string{
		"missing": ": an object is missing", "bad object": ": an object is missing", "not a git repository": ": this is no git repository",
		"corrupt": ": an object is corrupt", "unsafe repository": ": the repository is somebody else's (safe.directory)",
		"dubious ownership": ": the repository is somebody else's (safe.directory)",
	} {
		if bytes.Contains(text, []byte(sign)) {
			return fmt.Errorf("git %s failed%s", what, why)
		}
	}
	return fmt.Errorf("git %s failed (%w)", what, err)
}

// beginning keeps the first bytes that are written to it.
type beginning struct{ text []byte }

func (b *beginning) Write(p []byte) (int, error) {
	b.text = append(b.text, p[:min(len(p), 2000-len(b.text))]...)
	return len(p), nil
}
