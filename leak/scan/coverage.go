package scan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Reason says in a word why something was not searched, or not whole. Scripts of users depend on the words.
type Reason string

// The reasons why something was not searched.
const (
	Encrypted     Reason = "encrypted"       // a key or a password is needed
	NotOpened     Reason = "not_opened"      // a format, or a way of packing, that is not opened; as bytes it was searched
	Broken        Reason = "broken"          // it looks like a container, and cannot be unpacked whole
	TooMuch       Reason = "too_much"        // a bound of bytes, members, depth, time or places was reached
	Unreadable    Reason = "unreadable"      // the file system refused, or it is no regular file
	KernelsOwn    Reason = "kernel"          // the kernel makes it up
	Linked        Reason = "link"            // links are not followed
	Shallow       Reason = "shallow"         // a clone without the older history
	PartialClone  Reason = "partial"         // a clone without some of its objects
	Corrupt       Reason = "corrupt"         // git cannot read an object that is there
	GitFailed     Reason = "git_failed"      // git listed or gave less than it should
	NoRepository  Reason = "git_cannot_open" // it looks like a repository, and git does not open it
	NothingInside Reason = "nothing"         // of a source not one file or object could be searched
)

// Skipped is something that was not searched, or not whole, and why. Terms are masked in Path and Why.
type Skipped struct {
	Path   string `json:"path"`
	Reason Reason `json:"reason"`
	Why    string `json:"why"`
	// Named: it is a source that somebody named, or the history of a repository. Of those it is not known that there is nothing in them.
	Named bool `json:"named_source_or_history"`
}

// Searched says what of a source was searched.
type Searched struct {
	Source    string `json:"source"`    // as it was named, masked
	Files     int64  `json:"files"`     // files, members of archives, and objects of histories
	Bytes     int64  `json:"bytes"`     // in those, as they are unpacked
	Histories int    `json:"histories"` // repositories whose history was searched
	Objects   int64  `json:"objects"`   // of those
}

// Coverage says what a scan searched, and what it did not. Its JSON is a promise.
type Coverage struct {
	Complete    bool           `json:"complete"` // every named source and every history was searched
	Sources     []Searched     `json:"sources"`
	Reasons     map[Reason]int `json:"not_searched_by_reason"`
	NotSearched []Skipped      `json:"not_searched"`
}

// Coverage returns what of the scan belongs to its coverage.
func (f Found) Coverage() Coverage {
	c := Coverage{Complete: len(f.Failed) == 0, Sources: f.Sources, Reasons: f.Reasons(), NotSearched: f.Skipped}
	if c.Sources == nil {
		c.Sources = []Searched{}
	}
	if c.NotSearched == nil {
		c.NotSearched = []Skipped{}
	}
	return c
}

// Reasons counts Skipped by reason.
func (f Found) Reasons() map[Reason]int {
	n := map[Reason]int{}
	for _, s := range f.Skipped {
		n[s.Reason]++
	}
	return n
}

// Summary is the coverage in one line for people, such as "searched 12 files in 1 source (1.2 MB), 1 history of 40 objects".
func (c Coverage) Summary() string {
	var all Searched
	for _, s := range c.Sources {
		all.Files, all.Bytes = all.Files+s.Files, all.Bytes+s.Bytes
		all.Histories, all.Objects = all.Histories+s.Histories, all.Objects+s.Objects
	}
	text := fmt.Sprintf("searched %s (%.1f MB) of %s", count(all.Files-all.Objects, "file"), float64(all.Bytes)/1e6,
		count(int64(len(c.Sources)), "source"))
	if all.Histories > 0 {
		text += fmt.Sprintf(", and %s with %s", count(int64(all.Histories), "history"), count(all.Objects, "object"))
	}
	if len(c.NotSearched) == 0 {
		return text + "; nothing was left out"
	}
	var parts []string
	for _, r := range c.ordered() {
		parts = append(parts, fmt.Sprintf("%s %d", strings.ReplaceAll(string(r), "_", " "), c.Reasons[r]))
	}
	return text + fmt.Sprintf("; not searched, or not whole: %d (%s)", len(c.NotSearched), strings.Join(parts, ", "))
}

func (c Coverage) ordered() (all []Reason) {
	for r := range c.Reasons {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b Reason) int { return cmp.Or(-cmp.Compare(c.Reasons[a], c.Reasons[b]), cmp.Compare(a, b)) })
	return all
}

func count(n int64, what string) string {
	switch {
	case n == 1:
		return "1 " + what
	case strings.HasSuffix(what, "y"):
		return fmt.Sprintf("%d %sies", n, strings.TrimSuffix(what, "y"))
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// tally is what was searched so far, of one source after the other.
type tally struct {
	files, bytes, objects int64
	histories             int
}

func (s *Scanner) tallied() tally {
	s.mu.Lock()
	defer s.mu.Unlock()
	return tally{s.files.Load(), s.bytes.Load(), s.objects.Load(), s.histories}
}

// covered notes what was searched of a source since before. A source of which not one file could be searched, though it has
// some, is no source that was searched.
func (s *Scanner) covered(named string, before tally) {
	now := s.tallied()
	of := Searched{
		Source: s.Mask(named), Files: now.files - before.files, Bytes: now.bytes - before.bytes,
		Histories: now.histories - before.histories, Objects: now.objects - before.objects,
	}
	s.mu.Lock()
	s.found.Sources = append(s.found.Sources, of)
	nothing := of.Files == 0 && slices.ContainsFunc(s.found.Skipped, func(k Skipped) bool {
		return k.Path == of.Source || strings.HasPrefix(k.Path, of.Source+"/")
	})
	s.mu.Unlock()
	if nothing {
		s.fail(named, NothingInside, "nothing of it could be searched")
	}
}
