package scan

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"strconv"
)

// OldGitError says that git cannot be told to fetch nothing: a repository that is not whole may name a program for that.
type OldGitError struct{ Version string }

func (e *OldGitError) Error() string {
	return "git " + e.Version + " cannot be told to fetch nothing (GIT_NO_LAZY_FETCH), and a repository may name a program for that"
}

// Hint returns what a person can do about it.
func (*OldGitError) Hint() string {
	return "install git 2.45 or newer, or the last of 2.39 to 2.44; or search the files as they are with --history=false"
}

// fetchesNothing are the first versions of their lines that know GIT_NO_LAZY_FETCH: it came with 2.45, and with the fix of
// CVE-2024-32465 to those before. https://github.com/git/git/blob/master/Documentation/RelNotes/2.39.4.txt
var fetchesNothing = map[int]int{39: 4, 40: 2, 41: 1, 42: 2, 43: 4, 44: 1}

var gitVersion = regexp.MustCompile(`git version (\d+)\.(\d+)(?:\.(\d+))?\S*`)

// checkGit returns an *OldGitError or a *NoGitError where a history cannot be searched safely.
func checkGit(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, "git", "version")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"}
	out, err := cmd.Output()
	if err != nil {
		return &NoGitError{err}
	}
	m := gitVersion.FindSubmatch(out)
	if m == nil {
		return &OldGitError{"of an unknown version"}
	}
	major, _ := strconv.Atoi(string(m[1]))
	minor, _ := strconv.Atoi(string(m[2]))
	patch, _ := strconv.Atoi(string(m[3]))
	if least, known := fetchesNothing[minor]; major > 2 || major == 2 && (minor >= 45 || known && patch >= least) {
		return nil
	}
	return &OldGitError{string(m[1]) + "." + string(m[2]) + "." + string(m[3])}
}
