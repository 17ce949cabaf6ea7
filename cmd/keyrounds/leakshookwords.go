package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/leak/hook"
)

// What a hook says is read by whoever pushes, and may stand in the log of a server or of CI: of a name that has a secret it shows what
// the daemon masked, and never the name itself.

const (
	mostHookPlaces = 20 // that are named
	mostHookSought = 10 // of which it is looked for where they came in
)

// tell says what was found, where it came in, and what to do.
func (f *hookFound) tell(ctx context.Context, w io.Writer, k hookKind) {
	f.tellNotSearched(w)
	if len(f.places) == 0 {
		return
	}
	var names []string
	for _, p := range f.places {
		if !slices.Contains(names, p.Credential) {
			names = append(names, p.Credential)
		}
	}
	if len(names) == 1 {
		fmt.Fprintf(w, "keyrounds: %s has the secret of %s, and is refused:\n\n", k.wordsBefore, printable(names[0], false))
	} else {
		fmt.Fprintf(w, "keyrounds: %s has the secrets of %d credentials, and is refused:\n\n", k.wordsBefore, len(names))
	}
	var kinds []hook.Kind
	for i, p := range f.places {
		if i == mostHookPlaces {
			fmt.Fprintf(w, "  and in %d more places\n", len(f.places)-i)
			break
		}
		var where hook.Where
		if i < mostHookSought {
			where = f.brought.Find(ctx, p.text, lineOf(p))
		}
		if !slices.Contains(kinds, p.text.Kind) {
			kinds = append(kinds, p.text.Kind)
		}
		fmt.Fprintln(w, "  "+printable(f.sentence(p, where), false))
	}
	fmt.Fprint(w, "\n"+whatToDo(k, kinds, names))
}

func lineOf(p hookPlace) int {
	if p.Line == nil {
		return 0
	}
	return *p.Line
}

// sentence says of a place whose secret is there, and where it came in.
func (f *hookFound) sentence(p hookPlace, where hook.Where) string {
	text := p.Credential
	if p.Owner != "" {
		text += " (of " + p.Owner + ")"
	}
	if p.Former {
		text += ", a secret that was replaced,"
	}
	text += " in " + f.place(p, where)
	if p.Encoding != "plain" {
		text += ", as " + p.Encoding
	}
	if p.text.Kind == hook.Blob || p.text.Kind == hook.Tree {
		if where.Commit != "" {
			text += ", first in commit " + where.Commit[:12]
		} else if len(f.brought.Refs) > 0 {
			text += ", object " + p.text.Object[:12]
		}
	}
	var refs []string
	for _, r := range where.Refs {
		if masked, is := f.masked[r]; is {
			r = masked
		}
		refs = append(refs, r)
	}
	if len(refs) > 0 {
		text += ", in " + joinComma(refs)
	}
	return text
}

// place names a place.
func (f *hookFound) place(p hookPlace, where hook.Where) string {
	short := p.text.Object[:min(len(p.text.Object), 12)]
	switch p.text.Kind {
	case hook.Name:
		return "the name of the ref " + p.Name
	case hook.Person:
		return "the " + p.text.Name + "'s name or mail address"
	case hook.Tree:
		return "the name of a file or directory (git show --stat)"
	case hook.Commit, hook.Tag:
		what := string(p.text.Kind) + " " + short
		switch where.Part {
		case "":
			return what
		case "message":
			return "the message of " + what
		}
		return "the " + where.Part + "'s name or mail address of " + what
	}
	if p.Line == nil {
		return "the name of the file " + p.Name
	}
	return fmt.Sprintf("%s, line %d", p.Name, *p.Line)
}

// tellNotSearched names what could not be opened, which refuses nothing.
func (f *hookFound) tellNotSearched(w io.Writer) {
	for i, n := range f.notSearched {
		if i == mostHookPlaces {
			fmt.Fprintf(w, "keyrounds: not searched: %d more\n", len(f.notSearched)-i)
			break
		}
		reason := strings.ReplaceAll(n.Reason, "_", " ")
		fmt.Fprintf(w, "keyrounds: not searched: %s: %s (%s)\n", printable(n.Name, false), printable(n.Why, false), reason)
	}
	if f.unreadable > 0 {
		fmt.Fprintf(w, "keyrounds: %s could not be looked for; keyrounds findings list may say why\n",
			finding.Plural(f.unreadable, "registered secret"))
	}
}

// whatToDo says how to get a secret out of what is new.
func whatToDo(k hookKind, kinds []hook.Kind, names []string) string {
	var b strings.Builder
	if k.name == "pre-commit" {
		b.WriteString("Take it out of the files and add them again, or leave them out: git restore --staged FILE\n")
		if slices.Contains(kinds, hook.Person) {
			b.WriteString("Another name and address: git config user.name, git config user.email, git commit --author\n")
		}
	} else {
		b.WriteString("Take it out of every commit that has it; another commit that deletes it leaves it in the history:\n")
		b.WriteString("  the last commit:   git commit --amend   (with --author or --reset-author: another name and address)\n")
		b.WriteString("  an older one:      git rebase -i COMMIT^, edit for its line, git commit --amend, git rebase --continue\n")
		b.WriteString("  many:              git filter-repo --path FILE --invert-paths, or --replace-text FILE for a part of it\n")
	}
	if slices.Contains(kinds, hook.Tag) {
		b.WriteString("  a tag:             git tag -f -a NAME NAME^{}   with another message\n")
	}
	if slices.Contains(kinds, hook.Name) {
		b.WriteString("  the name of a ref: git branch -m OLD NEW; git tag NEW OLD^{} and git tag -d OLD\n")
	}
	b.WriteString("Was it pushed anywhere already? Then it got out, whatever is deleted: make a new one at the provider, and\n")
	fmt.Fprintf(&b, "  keyrounds credentials rotate %s --verify-revoked\n", printable(names[0], false))
	return b.String()
}
