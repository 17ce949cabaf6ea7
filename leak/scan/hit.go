package scan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/keyrounds/keyrounds/secret"
)

// Hit is a term that was found in one place. It has neither the term's Value, Partner nor Home, which are "", nor any text
// of what stands around it, and terms in Source and Path are masked: it can be shown and stored.
type Hit struct {
	Term
	Encoding  secret.Encoding
	Source    string    // the file, tree or repository, as it was named
	Path      string    // inside of Source, masked; members of archives after "!/"; "": Source itself
	Line      int       // from 1; 0: it is in the path itself, not in what the path names
	Commit    string    // the first that has it; "": not of a history, or in no commit
	Object    string    // the object's name; "": not of a history
	InHead    bool      // of a history: HEAD has it
	Tips      []string  // of a history: refs whose tips have it, stashes, and "the index", as people name them
	FirstSeen time.Time // the commit's author date; zero: not known
}

// bare is h without what must not be shown.
func (h Hit) bare() Hit {
	h.Value, h.Partner, h.Home = "", "", ""
	return h
}

// Found is the result of a scan.
type Found struct {
	Hits    []Hit
	Skipped []Skipped
	// Failed are those of Skipped that are a named source, or a history: "nothing was found" is not known of them.
	Failed  []Skipped
	Sources []Searched // what was searched, by source, in the order of the calls
	// Tips are, by repository, the objects that its refs named, for Options.Since of the next scan; of very many refs there are none.
	Tips  map[string][]string
	Files int64 // files, members of archives, and objects of histories that were searched
	Bytes int64 // in those, as they are unpacked
}

// Partial says which named sources and histories were not searched, or not whole; nil where there are none.
func (f Found) Partial() *PartialError {
	if len(f.Failed) == 0 {
		return nil
	}
	return &PartialError{f.Failed}
}

// PartialError says that named sources or histories were not searched, or not whole.
type PartialError struct{ Failed []Skipped }

func (e *PartialError) Error() string {
	var text strings.Builder
	text.WriteString("not everything that was named was searched")
	for i, r := range e.Failed {
		if i == 3 {
			fmt.Fprintf(&text, "; and %d more", len(e.Failed)-i)
			break
		}
		fmt.Fprintf(&text, "; %s: %s", r.Path, r.Why)
	}
	return text.String()
}

// Down reports whether one of them is a repository that was named and that git cannot open: then it could not be done.
func (e *PartialError) Down() bool {
	return slices.ContainsFunc(e.Failed, func(s Skipped) bool { return s.Reason == NoRepository })
}

// Hint returns what a person can do about it.
func (e *PartialError) Hint() string {
	for _, s := range e.Failed {
		switch s.Reason {
		case Shallow:
			return "git fetch --unshallow (in CI: fetch-depth: 0), and scan again"
		case PartialClone:
			return "clone it without --filter, and scan again"
		case Encrypted:
			return "decrypt it and scan what is in it, or leave it out"
		}
	}
	return "when that is mended, scan again; --history=false searches the files as they are"
}

// same is what hits of one leak have in common.
type same struct {
	credential string
	kind       Kind
	former     bool
	encoding   secret.Encoding
	source     string
	path       string
	line       int
}

func (h Hit) same(line int) same {
	return same{h.Credential, h.Kind, h.Former, h.Encoding, h.Source, h.Path, line}
}

// tidy sorts hits, and leaves out those of a file that its history has in HEAD as well.
func (f *Found) tidy() {
	inHead := map[same]bool{}
	for _, h := range f.Hits {
		if h.InHead {
			inHead[h.same(0)] = true
		}
	}
	seen := map[same]bool{}
	f.Hits = slices.DeleteFunc(f.Hits, func(h Hit) bool {
		if h.Object == "" && inHead[h.same(0)] || h.Object == "" && seen[h.same(h.Line)] {
			return true
		}
		seen[h.same(h.Line)] = true
		return false
	})
	slices.SortFunc(f.Hits, func(a, b Hit) int {
		return cmp.Or(cmp.Compare(a.Credential, b.Credential), -cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Source, b.Source),
			cmp.Compare(a.Path, b.Path), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Encoding, b.Encoding), cmp.Compare(a.Commit, b.Commit))
	})
	slices.SortFunc(f.Skipped, func(a, b Skipped) int { return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Why, b.Why)) })
	f.Skipped = slices.Compact(f.Skipped)
	f.Failed = slices.DeleteFunc(slices.Clone(f.Skipped), func(s Skipped) bool { return !s.Named })
}
