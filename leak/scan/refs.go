package scan

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
)

// What is searched of a repository begins at its roots: every ref, every entry of the reflogs, among them the stashes, and the index
// of each work tree. All of these are live data: whoever has the repository has them.
var roots = []string{"--all", "--reflog", "--indexed-objects"}

// Bounds of saying which refs have what was found.
const (
	mostRefs      = 5_000
	mostQuestions = 200_000 // of one of them for one path
	mostTips      = 20_000  // that are remembered of a repository for the next scan
)

// tip is what a ref, or a stash, names.
type tip struct{ rev, name, object string }

// tips lists the refs and the stashes, by the names that people know.
func (h *history) tips(ctx context.Context) (all []tip) {
	_ = h.git.lines(ctx, []string{"for-each-ref", "--format=%(objectname) %(refname)"}, nil, '\n', func(line []byte) {
		if id, ref, is := strings.Cut(string(line), " "); is && ref != "refs/stash" {
			all = append(all, tip{ref, shortRef(ref), id})
		}
	})
	n := 0
	_ = h.git.lines(ctx, []string{"log", "-g", "--format=%H", "refs/stash", "--"}, nil, '\n', func(line []byte) {
		name := fmt.Sprintf("stash@{%d}", n)
		for _, part := range []string{"", "^2", "^3"} { // the work tree, the index, and files that are not followed
			all = append(all, tip{string(line) + part, name, string(line)})
		}
		n++
	})
	return all
}

// shortRef is how git's own commands name a ref.
func shortRef(ref string) string {
	for prefix, as := range map[string]string{"refs/heads/": "", "refs/tags/": "tag ", "refs/remotes/": ""} {
		if rest, is := strings.CutPrefix(ref, prefix); is {
			return as + rest
		}
	}
	return ref
}

// tipsOf finds the refs and stashes whose tips have what was found.
func (h *history) tipsOf(ctx context.Context, all []tip) {
	h.inTips = map[objectID][]string{}
	add := func(id objectID, name string) {
		if names := h.inTips[id]; !slices.Contains(names, name) {
			h.inTips[id] = append(names, name)
		}
	}
	type question struct {
		id   objectID
		name string
	}
	var (
		questions []question
		text      strings.Builder
	)
	for _, t := range all[:min(len(all), mostRefs)] {
		if id, ok := parseID([]byte(t.object)); ok && h.found[id] != nil { // a message
			add(id, t.name)
		}
		for id := range h.found {
			for _, by := range h.places[id] {
				if by.path == "" || strings.ContainsAny(by.path, "\n\r") || len(questions) >= mostQuestions {
					continue
				}
				questions = append(questions, question{id, t.name})
				fmt.Fprintf(&text, "%s:%s\n", t.rev, by.path)
			}
		}
	}
	if len(questions) == 0 {
		return
	}
	i := 0
	args := []string{"cat-file", "--batch-check=%(objectname)", "--buffer"}
	_ = h.git.lines(ctx, args, strings.NewReader(text.String()), '\n', func(line []byte) {
		if i < len(questions) {
			q := questions[i]
			if id, ok := parseID(line); ok && id == q.id {
				add(q.id, q.name)
			}
		}
		i++
	})
}

// inIndex finds what the index has, and where.
func (h *history) inIndex(ctx context.Context) {
	_ = h.git.lines(ctx, []string{"ls-files", "--stage", "-z", "--full-name"}, nil, 0, func(line []byte) {
		head, path, _ := bytes.Cut(line, []byte("\t"))
		fields := bytes.Fields(head)
		if len(fields) != 3 {
			return
		}
		id, ok := parseID(fields[1])
		if !ok || h.found[id] == nil {
			return
		}
		if names := h.inTips[id]; !slices.Contains(names, "the index") {
			h.inTips[id] = append(names, "the index")
		}
		if len(h.places[id]) == 0 {
			h.places[id] = []introduced{{path: string(path)}}
		}
	})
}

// since are the objects whose reach was searched before, as lines that leave it out; "": none of them is known.
func (h *history) since(ctx context.Context) string {
	known := h.Since[h.named]
	if len(known) == 0 || h.Unreachable {
		return ""
	}
	var out strings.Builder
	args := []string{"cat-file", "--batch-check=%(objectname)"}
	err := h.git.lines(ctx, args, strings.NewReader(strings.Join(known, "\n")+"\n"), '\n', func(line []byte) {
		if _, ok := parseID(line); ok { // it is there still
			out.WriteString("^" + string(line) + "\n")
		}
	})
	if err != nil {
		return ""
	}
	return out.String()
}

// remember keeps what the refs name for the next scan.
func (h *history) remember(all []tip) {
	var objects []string
	for _, t := range all {
		if !slices.Contains(objects, t.object) {
			objects = append(objects, t.object)
		}
		if len(objects) > mostTips {
			return
		}
	}
	h.Scanner.mu.Lock()
	defer h.Scanner.mu.Unlock()
	if h.Scanner.found.Tips == nil {
		h.Scanner.found.Tips = map[string][]string{}
	}
	h.Scanner.found.Tips[h.named] = objects
}

// refNames searches the names of refs.
func (h *history) refNames(all []tip) {
	for _, t := range all {
		h.name(place{source: h.named, path: t.rev}, t.rev, func(_ place, m match) {
			h.add(Hit{
				Term: h.terms[m.term], Encoding: m.encoding, Source: h.Mask(h.named), Path: "(name of a ref)", Object: t.object,
				Tips: []string{h.Mask(t.name)},
			}.bare())
		})
	}
}

// stdin is a reader of lines that a command reads with --stdin; nil: there are none.
func stdin(lines string) (arg []string, in io.Reader) {
	if lines == "" {
		return nil, nil
	}
	return []string{"--stdin"}, strings.NewReader(lines)
}
