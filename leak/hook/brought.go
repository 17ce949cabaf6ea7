package hook

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Brought is what a push or a commit would bring.
type Brought struct {
	Refs  []Ref
	Texts []Text
	not   []string // what is there already, as arguments of rev-list
}

// Ref is a ref that is made or moved.
type Ref struct{ Name, New string }

// Kind says what a Text is.
type Kind string

// The kinds of texts. The first four are what git calls its objects.
const (
	Blob   Kind = "blob"
	Tree   Kind = "tree" // its text is the names of files
	Commit Kind = "commit"
	Tag    Kind = "tag"
	Name   Kind = "ref"    // of a ref: it has no text but its name
	Person Kind = "person" // who commits: a name and a mail address
)

// Text is something that can be searched.
type Text struct {
	Kind   Kind
	Name   string // a path of a blob; what it is otherwise
	Object string // "": it is no object
	Size   int64
	text   string // of what is no object
}

// PreReceive reads what receive-pack gives its hook: old, new and ref, a line for each. Refs that are deleted bring nothing.
func PreReceive(ctx context.Context, in io.Reader) (*Brought, error) {
	return pushed(ctx, in, 3, func(f []string) Ref { return Ref{f[2], f[1]} }, "--all")
}

// PrePush reads what push gives its hook: local ref and object, remote ref and object, a line for each. What the remote is known to
// have brings nothing: what its branches were when they were last fetched or pushed.
func PrePush(ctx context.Context, remote string, in io.Reader) (*Brought, error) {
	not := []string{}
	if remote != "" && !strings.HasPrefix(remote, "-") && !strings.ContainsAny(remote, "*?[\\") {
		not = append(not, "--remotes="+remote)
	}
	return pushed(ctx, in, 4, func(f []string) Ref { return Ref{f[2], f[1]} }, not...)
}

// mostRefs of one push.
const mostRefs = 100_000

func pushed(ctx context.Context, in io.Reader, fields int, ref func([]string) Ref, not ...string) (*Brought, error) {
	b := &Brought{not: not}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		f := strings.Split(lines.Text(), " ")
		if len(f) != fields || len(b.Refs) == mostRefs {
			return nil, fmt.Errorf("standard input is not what git gives this hook, in line %d", len(b.Refs)+1)
		}
		r := ref(f)
		if !isID(r.New) {
			return nil, fmt.Errorf("standard input is not what git gives this hook, in line %d", len(b.Refs)+1)
		}
		if strings.Trim(r.New, "0") == "" { // it is deleted
			continue
		}
		b.Refs = append(b.Refs, r)
		b.Texts = append(b.Texts, Text{Kind: Name, Name: r.Name})
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(b.Refs) == 0 {
		return b, nil
	}
	return b, b.objects(ctx)
}

func isID(text string) bool {
	return (len(text) == 40 || len(text) == 64) && strings.Trim(text, "0123456789abcdef") == ""
}

// objects takes in every object that the refs reach, and what is there already does not.
func (b *Brought) objects(ctx context.Context) error {
	args := append([]string{"rev-list", "--objects", "--stdin", "--not"}, b.not...)
	var found []Text
	var ids bytes.Buffer
	err := lines(ctx, strings.NewReader(b.news()), '\n', func(line string) error {
		id, path, _ := strings.Cut(line, " ")
		if !isID(id) {
			return fmt.Errorf("git rev-list said something else than objects")
		}
		found = append(found, Text{Name: path, Object: id})
		ids.WriteString(id + "\n")
		return nil
	}, args...)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return nil
	}
	return b.sized(ctx, found, &ids)
}

// news are the objects that refs come to name, a line each.
func (b *Brought) news() string {
	var all strings.Builder
	for _, r := range b.Refs {
		all.WriteString(r.New + "\n")
	}
	return all.String()
}

// sized adds objects with their kinds and sizes.
func (b *Brought) sized(ctx context.Context, found []Text, ids io.Reader) error {
	i := 0
	err := lines(ctx, ids, '\n', func(line string) error {
		f := strings.Fields(line)
		if i >= len(found) || len(f) != 3 || f[0] != found[i].Object {
			return fmt.Errorf("git has not every object that it names: %.80q", line)
		}
		size, err := strconv.ParseInt(f[2], 10, 64)
		if err != nil {
			return err
		}
		t := found[i]
		if t.Kind, t.Size = Kind(f[1]), size; t.Kind != Blob || t.Name == "" {
			t.Name = f[1] + " " + t.Object
		}
		b.Texts = append(b.Texts, t)
		i++
		return nil
	}, "cat-file", "--batch-check", "--buffer")
	if err == nil && i < len(found) {
		err = fmt.Errorf("git named %d objects, and has %d of them", len(found), i)
	}
	return err
}
