package hook

import (
	"context"
	"slices"
	"strings"
)

// Where is where a text that has a secret came in.
type Where struct {
	Commit string   // the first of those that are brought which has it; "": none, or it is not known
	Refs   []string // that reach that commit, or name the object
	Part   string   // of a commit or tag: "message", or whose name and address: "author", "committer", "tagger"; "": it is not known
}

// Find says where a text came in, and, where it is a commit or a tag, what its line, from 1, belongs to.
func (b *Brought) Find(ctx context.Context, t Text, line int) (w Where) {
	if t.Object == "" {
		return w
	}
	switch t.Kind {
	case Commit:
		w.Commit, w.Part = t.Object, part(ctx, t, line)
	case Tag:
		w.Part = part(ctx, t, line)
	case Tree:
		if w.Commit = b.ofTree(ctx, t.Object); w.Commit == "" {
			w.Commit = b.first(ctx, t.Object)
		}
	default:
		w.Commit = b.first(ctx, t.Object)
	}
	for _, r := range b.Refs {
		if r.New == t.Object || w.Commit != "" && command(ctx, "merge-base", "--is-ancestor", w.Commit, r.New).Run() == nil {
			w.Refs = append(w.Refs, r.Name)
		}
		if len(w.Refs) == 3 { // enough to find it
			break
		}
	}
	return w
}

// first is the oldest commit that brings an object, which is not its own tree.
func (b *Brought) first(ctx context.Context, object string) (commit string) {
	b.log(ctx, func(id, _ string) {
		if commit == "" {
			commit = id
		}
	}, "--root", "-m", "-t", "-s", "--no-renames", "--no-ext-diff", "--no-textconv", "--find-object="+object)
	return commit
}

// ofTree is the oldest commit that has a tree as its own.
func (b *Brought) ofTree(ctx context.Context, tree string) (commit string) {
	b.log(ctx, func(id, of string) {
		if commit == "" && of == tree {
			commit = id
		}
	})
	return commit
}

// log calls each for the commits that are brought, and their trees, the oldest first.
func (b *Brought) log(ctx context.Context, each func(commit, tree string), args ...string) {
	if len(b.Refs) == 0 {
		return
	}
	args = slices.Concat([]string{"log", "--reverse", "--format=%H %T", "--no-show-signature", "--no-color"}, args)
	_ = lines(ctx, strings.NewReader(b.news()), '\n', func(l string) error {
		if commit, tree, _ := strings.Cut(l, " "); isID(commit) && isID(tree) {
			each(commit, tree)
		}
		return nil
	}, slices.Concat(args, []string{"--stdin", "--not"}, b.not)...)
}

// part is what a line of a commit or tag belongs to.
func part(ctx context.Context, t Text, line int) (of string) {
	if line < 1 {
		return ""
	}
	n, head := 0, true
	text := output(ctx, "cat-file", string(t.Kind), t.Object)
	for l := range strings.SplitSeq(text, "\n") {
		if n++; l == "" {
			head = false
		}
		if n < line {
			continue
		}
		word, _, _ := strings.Cut(l, " ")
		switch {
		case !head:
			return "message"
		case word == "author", word == "committer", word == "tagger":
			return word
		}
		return ""
	}
	return ""
}
