package scan

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
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
	carry   int // bytes of a buffer that are searched again with what follows

	patience time.Duration // with git

	files, bytes, objects atomic.Int64
	mu                    sync.Mutex
	found                 Found
	histories             int  // that were searched
	full                  bool // and that was said
}

// Options are options of a Scanner. The zero value searches files as they are, without histories.
type Options struct {
	History     bool  // also searches git histories: all refs, every object
	Unreachable bool  // with History, also objects that no ref reaches
	Workers     int   // files that Tree searches at once; 0: one a processor
	Unpack      int64 // bytes that are unpacked of one file at most; 0: DefaultUnpack
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
	s.carry = widened(s.matcher.longest) + 2*margin
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
	s.matcher.find([]byte(text), 0, len(text), func(at int, f *form) { spans = append(spans, span{at, at + len(f.text)}) })
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

// stream searches all that r gives. wide says that it was UTF-16 before it became text.
func (s *Scanner) stream(ctx context.Context, at place, r io.Reader, wide bool, to sink) error {
	buf := s.buffers.Get().(*[]byte)
	defer s.buffers.Put(buf)
	var (
		all    []match
		over   bool
		before int64 // bytes before the buffer
		above  int   // lines in those
		carry  int
		told   int // where in the buffer that ends which was told
		broken lines
	)
	s.files.Add(1)
	var err error
	for err == nil {
		if err = ctx.Err(); err != nil {
			break
		}
		var n int
		n, err = fill(r, (*buf)[carry:])
		text := (*buf)[:carry+n]
		until := len(text)
		if err == nil {
			until -= margin // what is so near to the end is told when what follows is there
		}
		tell := func(m match) {
			if over = len(all) >= mostMatches; over {
				return
			}
			m.line += above
			m.from, m.to = m.from+before, m.to+before
			if wide && m.encoding == secret.Plain {
				m.encoding = secret.UTF16
			}
			all = append(all, m)
		}
		s.matches(text, told, until, tell)
		s.wrapped(text, told, until, &broken, tell)
		carry = min(len(text), s.carry)
		gone := len(text) - carry
		told = max(0, until-gone)
		above, before = above+bytes.Count(text[:gone], []byte{'\n'}), before+int64(gone)
		copy(*buf, text[gone:])
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
// that of id:secret, and what says the same of a line again.
func (s *Scanner) outermost(all []match) []match {
	slices.SortFunc(all, func(a, b match) int { return cmp.Or(cmp.Compare(a.from, b.from), -cmp.Compare(a.to, b.to)) })
	type said struct {
		line int
		meaning
	}
	var (
		kept  []match
		outer = map[string]match{} // by credential
		have  = map[said]bool{}
	)
	for _, m := range all {
		of := s.terms[m.term].Credential
		o, is := outer[of]
		inside := is && m.to <= o.to && (m.from != o.from || m.to != o.to)
		if inside || have[said{m.line, m.meaning}] {
			continue
		}
		outer[of], have[said{m.line, m.meaning}] = m, true
		kept = append(kept, m)
	}
	return kept
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
