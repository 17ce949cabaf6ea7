package hook

import (
	"bytes"
	"context"
	"errors"
	"strings"
)

// PreCommit is what a commit of the index would bring: files that it changes, who commits, and the branch. Its message is not known yet.
func PreCommit(ctx context.Context) (*Brought, error) {
	b := &Brought{}
	if branch := output(ctx, "symbolic-ref", "-q", "HEAD"); branch != "" {
		b.Texts = append(b.Texts, Text{Kind: Name, Name: branch})
	}
	for _, who := range []string{"GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT"} {
		name := strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(who, "GIT_"), "_IDENT"))
		if ident := output(ctx, "var", who); ident != "" { // git asks for it itself where there is none
			b.Texts = append(b.Texts, Text{Kind: Person, Name: name, Size: int64(len(ident)), text: ident})
		}
	}
	before := output(ctx, "rev-parse", "-q", "--verify", "HEAD^{tree}")
	if before == "" { // the first commit
		if before = output(ctx, "hash-object", "-t", "tree", "/dev/null"); before == "" {
			return nil, errors.New("git hash-object failed: is this a git repository?")
		}
	}
	var found []Text
	var ids bytes.Buffer
	change := "" // what the next path is about
	args := []string{"diff-index", "--cached", "--raw", "-z", "--no-renames", "--no-abbrev", "--ignore-submodules", before, "--"}
	err := lines(ctx, nil, 0, func(record string) error {
		if change == "" {
			change = record
			return nil
		}
		f := strings.Fields(change)
		change = ""
		if len(f) != 5 || !isID(f[3]) {
			return errors.New("git diff-index said something else than changes")
		}
		if mode, id := f[1], f[3]; mode != "160000" && strings.Trim(id, "0") != "" {
			found = append(found, Text{Name: record, Object: id})
			ids.WriteString(id + "\n")
		}
		return nil
	}, args...)
	if err != nil || len(found) == 0 {
		return b, err
	}
	return b, b.sized(ctx, found, &ids)
}
