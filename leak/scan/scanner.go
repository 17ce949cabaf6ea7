package scan

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keyrounds/keyrounds/confine"
	"github.com/keyrounds/keyrounds/secret"
)

// Scanner searches for terms and collects what it finds. Its methods are safe for concurrent use.
type Scanner struct {
	Options
	terms   []Term
	matcher *matcher
	buffers sync.Pool
	undoers sync.Pool
	carry   int // bytes of a buffer that are searched again with what follows
	// The shortest term, and the shortest run of letters that can be one: in base32, or in base64 of what is encoded itself.
	shortest, shortestRun int
	reach                 int           // bytes between two escapes of one text, at most
	may                   [256]bool     // bytes that a term, or an encoding of one, may have
	solid                 [256]bool     // those, and the zeros of wide ones
	pairs                 *pairs        // of that
	joints                [256][]family // by their first byte

	patience time.Duration // with git

	files, bytes, objects atomic.Int64
	mu                    sync.Mutex
	found                 Found
	histories             int  // that were searched
	full                  bool // and that was said
}

// Options are options of a Scanner. The zero value searches files as they are, without histories.
type Options struct {
	History     bool // also searches git histories: all refs, every object
	Unreachable bool // with History, also objects that no ref reaches
	// Since is, by repository, what its refs named when it was searched before, with the same terms: with History, what those reach is
	// left out. Found.Tips has it.
	Since   map[string][]string
	Workers int   // files that Tree searches at once; 0: one a processor
	Unpack  int64 // bytes that are unpacked of one file at most; 0: DefaultUnpack
	// Confine starts git so that it reads its repository alone; the zero value: git is started as it is.
	Confine confine.Launcher
	// Progress is told the bytes that were searched so far, from any goroutine; may be nil.
	Progress func(bytes int64)
}

// NewScanner returns a Scanner for terms, and those of them that are shorter than MinLength, which it does not search
// for. It keeps the values of terms as long as it lives. Of a private key it searches for the number, which is in
// every file of that key (secret.KeyNumber).
func NewScanner(terms []Term, o Options) (s *Scanner, short []Term) {
	terms = slices.Clone(terms)
	for i := range terms {
		if number, ok := secret.KeyNumber(secret.New([]byte(terms[i].Value))); ok {
			terms[i].Value, terms[i].Partner = number.Reveal(), ""
		}
	}
	for _, t := range terms {
		if len(t.Value) < MinLength {
			short = append(short, t)
		}
	}
	if o.Unpack <= 0 {
		o.Unpack = DefaultUnpack
	}
	s = &Scanner{Options: o, terms: terms, matcher: newMatcher(terms), patience: gitPatience}
	s.shortest = maxForm
	for _, t := range terms {
		if len(t.Value) >= MinLength {
			s.shortest = min(s.shortest, len(t.Value))
		}
	}
	s.shortestRun = min(shortestLine, max(15, (4*s.shortest+2)/3))
	s.may, s.reach = mayHave(terms), 2*s.matcher.longest+64
	s.solid = s.may
	s.solid[0] = true
	s.pairs, s.joints = newPairs(&s.may), jointsBy()
	s.carry = max(widened(s.matcher.longest)+2*margin, min(16*s.matcher.longest, 32<<10))
	s.buffers.New = func() any { b := make([]byte, chunk+s.carry); return &b }
	return s, short
}

// Found returns what was found so far by all searches of s, ordered by credential, kind, source, path and line. At most
// 200,000 hits are kept; that there were more is in Skipped.
func (s *Scanner) Found() Found {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.found
	f.Hits, f.Skipped, f.Sources = slices.Clone(f.Hits), slices.Clone(f.Skipped), slices.Clone(f.Sources)
	f.Tips = maps.Clone(f.Tips)
	f.Files, f.Bytes = s.files.Load(), s.bytes.Load()
	f.tidy()
	return f
}

// Reader searches what r gives, as it is, or unpacked where it is an archive. source is what hits name it. Its errors
// are those of r, and of ctx; what could not be unpacked is in Found.Skipped.
func (s *Scanner) Reader(ctx context.Context, source string, r io.Reader) error {
	defer s.covered(source, s.tallied())
	return s.one(ctx, place{source: source, named: true}, r, nil, s.keep)
}

// place is where something is searched.
type place struct {
	source, path string
	named        bool // source is a file that somebody named
}

func (p place) inside(name string) place {
	if p.path == "" {
		return place{p.source, name, p.named}
	}
	return place{p.source, p.path + "!/" + name, p.named}
}

func (p place) String() string {
	if p.path == "" {
		return p.source
	}
	return p.source + "/" + p.path
}

// sink takes what a stream found.
type sink func(at place, m match)

// match is a term in a text.
type match struct {
	from, to int64 // bytes
	line     int
	meaning
}

// keep makes a hit of a match in a file.
func (s *Scanner) keep(at place, m match) {
	s.add(Hit{Term: s.terms[m.term], Encoding: m.encoding, Source: s.Mask(at.source), Path: s.Mask(at.path), Line: m.line}.bare())
}

func (s *Scanner) add(h Hit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch n := len(s.found.Hits); {
	case n < mostHits:
		s.found.Hits = append(s.found.Hits, h)
	case n == mostHits && !s.full:
		s.full = true
		s.found.Skipped = append(s.found.Skipped, Skipped{
			Path: h.Source, Reason: TooMuch, Why: fmt.Sprintf("there are more than %d places; these are some", mostHits),
		})
	}
}

const (
	chunk       = 256 << 10
	margin      = around + widestBreak // what tells whether a form is one, at most, to each side
	mostMatches = 20_000               // of one stream
	mostHits    = 200_000              // of a scan
)

// skip notes what was not searched, or not whole. Of a file that somebody named that is more than a note.
func (s *Scanner) skip(at place, reason Reason, format string, args ...any) {
	s.note(at, at.named, reason, format, args...)
}

// fail notes that a named source or a history was not searched, of which it would be taken that nothing was found.
func (s *Scanner) fail(named string, reason Reason, format string, args ...any) {
	s.note(place{source: named}, true, reason, format, args...)
}

func (s *Scanner) note(at place, named bool, reason Reason, format string, args ...any) {
	k := Skipped{s.Mask(at.String()), reason, s.Mask(fmt.Sprintf(format, args...)), named}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.found.Skipped) < mostHits || named {
		s.found.Skipped = append(s.found.Skipped, k)
	}
}

// Mask returns text with every term in it, in whatever way it is written, replaced by five asterisks.
func (s *Scanner) Mask(text string) string {
	type span struct{ from, to int }
	var spans []span
	s.all(context.Background(), place{}, []byte(text), func(m match) { spans = append(spans, span{int(m.from), int(m.to)}) })
	if len(spans) == 0 {
		return text
	}
	slices.SortFunc(spans, func(a, b span) int { return a.from - b.from })
	var b strings.Builder
	end := 0
	for _, sp := range spans {
		if sp.from >= end {
			b.WriteString(text[end:sp.from] + "*****")
		}
		end = max(end, sp.to)
	}
	return b.String() + text[end:]
}

// In returns the terms that a text has, in whatever way they are written, each once, with their values. Show none of them.
func (s *Scanner) In(text string) (terms []Term) {
	var seen []int32
	s.all(context.Background(), place{}, []byte(text), func(m match) {
		if !slices.Contains(seen, m.term) {
			seen, terms = append(seen, m.term), append(terms, s.terms[m.term])
		}
	})
	return terms
}

// all calls found for what is in a short text, in whatever way it is written.
func (s *Scanner) all(ctx context.Context, at place, text []byte, found func(match)) {
	s.matches(text, 0, len(text), found)
	u := s.undoer(ctx, at, &budget{}) // no container is opened
	defer u.give()
	u.search(text, 0, len(text), func(from, to int, m meaning, how secret.Encoding) {
		m.encoding = how
		found(match{int64(from), int64(to), 1 + bytes.Count(text[:from], []byte{'\n'}), m})
	})
}

// reading is a place that was read as a term.
type reading struct {
	from, to int64
	term     int32
}

// stream searches all that r gives. wide says that it was UTF-16 before it became text.
func (s *Scanner) stream(ctx context.Context, at place, r io.Reader, wide bool, left *budget, to sink) error {
	pooled := s.buffers.Get().(*[]byte)
	defer s.buffers.Put(pooled)
	u := s.undoer(ctx, at, left)
	defer u.give()
	var (
		buf    = *pooled
		all    []match
		have   = map[reading]int{} // where in all
		over   bool
		before int64 // bytes before the buffer
		above  int   // lines in those
		carry  int
		told   int // where in the buffer that ends which was told
		undone int // the same of runs
		began  int // of what is in the buffer for runs only: where that ends
		hard   bool
	)
	s.files.Add(1)
	var err error
	for err == nil {
		if err = ctx.Err(); err != nil {
			break
		}
		var n int
		n, err = fill(r, buf[carry:])
		text := buf[:carry+n]
		until, open := len(text), len(text)
		if err == nil {
			until -= margin // what is so near to the end is told when what follows is there
			open = openRun(text, began)
		}
		tell := func(m match) {
			m.line += above
			m.from, m.to = m.from+before, m.to+before
			if wide && m.encoding == secret.Plain {
				m.encoding = secret.UTF16
			}
			here := reading{m.from, m.to, m.term}
			if i, is := have[here]; is { // it can be read in several ways
				if depthOf(m) < depthOf(all[i]) {
					all[i] = m
				}
				return
			}
			if over = over || len(all) >= mostMatches; over {
				return
			}
			have[here] = len(all)
			all = append(all, m)
		}
		s.matches(text, told, until, tell)
		ends := min(until, open)
		u.search(text, began, open, func(from, to int, m meaning, how secret.Encoding) {
			if !u.ofRuns && to > told && to <= until || u.ofRuns && to > undone && to <= ends {
				m.encoding = how
				tell(match{int64(from), int64(to), 1 + bytes.Count(text[:from], []byte{'\n'}), m})
			}
		})
		hard = hard || u.over
		if u.failed != nil {
			return u.failed
		}
		carry = min(len(text), max(s.carry, len(text)-open))
		gone := len(text) - carry
		told, undone, began = max(0, until-gone), max(0, ends-gone), carry-min(carry, s.carry)
		above, before = above+bytes.Count(text[:gone], []byte{'\n'}), before+int64(gone)
		if carry > len(buf)/2 { // of a long run that is searched as a whole
			buf = make([]byte, 2*len(buf))
		}
		copy(buf, text[gone:])
		if total := s.bytes.Add(int64(n)); s.Progress != nil {
			s.Progress(total)
		}
	}
	for _, m := range s.outermost(all) {
		to(at, m)
	}
	if over {
		s.skip(at, TooMuch, "there are more than %d places in it; these are some", mostMatches)
	}
	if hard {
		s.skip(at, TooMuch, "so much in it is encoded in each other that not all of it was undone")
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// matches calls found for what is in text and ends after from and not after until.
func (s *Scanner) matches(text []byte, from, until int, found func(match)) {
	s.matcher.find(text, from, until, func(at int, f *form) {
		to, line := at+len(f.text), 0
		for _, m := range f.means {
			if !m.group.holds(text, at, to, s.terms[m.term].Value) {
				continue
			}
			if line == 0 {
				line = 1 + bytes.Count(text[:at], []byte{'\n'})
			}
			found(match{int64(at), int64(to), line, m})
		}
	})
}

// outermost leaves out what lies in another match of the same credential, as the base64 of a secret does in
// that of id:secret, and what says the same of a line again. Of readings of one place the simplest stays.
func (s *Scanner) outermost(all []match) []match {
	slices.SortFunc(all, func(a, b match) int {
		return cmp.Or(cmp.Compare(depthOf(a), depthOf(b)), -cmp.Compare(a.to-a.from, b.to-b.from), cmp.Compare(a.from, b.from),
			cmp.Compare(a.encoding, b.encoding))
	})
	type said struct {
		line int
		meaning
	}
	var (
		kept []match
		of   = map[string][]match{} // by credential, ordered by from
		have = map[said]bool{}
	)
	for _, m := range all {
		name := s.terms[m.term].Credential
		others := of[name]
		i, _ := slices.BinarySearchFunc(others, m.from, func(o match, from int64) int { return cmp.Compare(o.from, from) })
		const near = 8
		covered := slices.ContainsFunc(others[max(0, i-near):min(len(others), i+near)], func(o match) bool {
			inside := m.from >= o.from && m.to <= o.to && (m.from != o.from || m.to != o.to)
			return inside || o.term == m.term && m.from < o.to && o.from < m.to
		})
		if covered || have[said{m.line, m.meaning}] {
			continue
		}
		of[name], have[said{m.line, m.meaning}] = slices.Insert(others, i, m), true
		kept = append(kept, m)
	}
	slices.SortFunc(kept, func(a, b match) int { return cmp.Compare(a.from, b.from) })
	return kept
}

// depthOf is how many encodings a match is in.
func depthOf(m match) int {
	if m.encoding == secret.Plain {
		return 0
	}
	return 1 + strings.Count(string(m.encoding), "/")
}

// fill reads until p is full. Its error is that of r, io.EOF at the end.
func fill(r io.Reader, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var m int
		m, err = r.Read(p[n:])
		n += m
	}
	return n, err
}
