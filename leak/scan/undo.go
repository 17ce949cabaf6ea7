package scan

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sort"
	"strings"

	"github.com/keyrounds/keyrounds/confine"
	"github.com/keyrounds/keyrounds/secret"
)

// How a secret is found however it is written:
//
//  1. The matcher finds it as it is, and in base64 of any alignment, in one pass (matcher.go).
//  2. What may be an encoding is undone, only where it stands, and as far as it may be a part of a term: escapes (escapes.go), what
//     splits a text (joins.go), base64, hex and base32 (runs.go), numbers in dumps and lists (dumps.go), UTF-16 and UTF-32 (wide.go).
//  3. What that gives is searched in the same way again, so that one in another is undone as well: deepest times at most, and
//     at each depth below the first at most mostUndone times as much text as there is.

const (
	deepest    = 6       // encodings in each other
	mostUndone = 8       // bytes that are undone of one byte of text, at most, at each depth below the first
	mostBlob   = 8 << 20 // bytes of text that are one encoding
	mostPacked = 8 << 20 // that are unpacked of a container in an encoding
)

// The names of what is undone, beside those of package secret.
const (
	HTML            secret.Encoding = "html"             // entities of HTML and XML
	QuotedPrintable secret.Encoding = "quoted-printable" // RFC 2045 §6.7
	Escaped         secret.Encoding = "escaped"          // signs of shells, LDAP, CSV and the like before or instead of a character
	Split           secret.Encoding = "split"            // by tags, joined strings, continued lines, colours of a terminal
	Base32          secret.Encoding = "base32"           // RFC 4648 §6, either case
	HexDump         secret.Encoding = "hexdump"          // of xxd, hexdump -C or od
	UTF32           secret.Encoding = "utf-32"
	packedIn        secret.Encoding = "packed" // a container in an encoding
)

// undoer undoes encodings in one text after the other.
type undoer struct {
	*Scanner
	ctx  context.Context
	at   place
	left *budget // for containers in encodings

	lines  [deepest]lines // what is undone now, by depth
	by     [deepest]secret.Encoding
	do     [deepest]func(by secret.Encoding)           // searches the lines of a depth, which were undone
	pack   [deepest]func(c *lines, by secret.Encoding) // searches a container that stands in what is undone at a depth
	spent  [deepest]int
	most   int
	over   bool // and it was more than that
	failed error
	ofRuns bool // what is found now was in a run of letters
	found  func(from, to int, m meaning, how secret.Encoding)
}

func (s *Scanner) undoer(ctx context.Context, at place, left *budget) *undoer {
	u, is := s.undoers.Get().(*undoer)
	if !is {
		u = &undoer{Scanner: s}
		for depth := range deepest {
			u.do[depth] = func(by secret.Encoding) { u.undone(depth, by) }
			u.pack[depth] = func(c *lines, by secret.Encoding) { u.packed(depth, c, by) }
		}
	}
	u.ctx, u.at, u.left, u.over, u.failed = ctx, at, left, false, nil
	return u
}

// give gives an undoer back that is not used any more.
func (u *undoer) give() {
	u.ctx, u.left, u.found = nil, nil, nil
	u.undoers.Put(u)
}

// search calls found for what text has in encodings. Runs of letters that begin at or behind runsEnd are left out, and of all else what
// lies in front of from: both are searched with another part of a text.
func (u *undoer) search(text []byte, from, runsEnd int, found func(from, to int, m meaning, how secret.Encoding)) {
	u.spent, u.most, u.found, u.ofRuns = [deepest]int{}, mostUndone*len(text)+1<<16, found, false
	u.level(text, from, runsEnd, 0)
}

// lift says where a part of what was undone at a depth is in the text that search got.
func (u *undoer) lift(depth, from, to int) (int, int) {
	for ; depth >= 0; depth-- {
		from, to = u.lines[depth].span(from, to)
	}
	return from, to
}

// how names what is undone up to a depth.
func (u *undoer) how(depth int) (how secret.Encoding) {
	for _, by := range u.by[:depth+1] {
		how = inside(how, by)
	}
	return how
}

// level undoes what is in text.
func (u *undoer) level(text []byte, from, runsEnd, depth int) {
	of, l, do, packed := u.above(depth), &u.lines[depth], u.do[depth], u.pack[depth]
	apart := !of.joined || bytes.IndexByte(text, '-') >= 0 // else all are letters, of which none may be numbers that stand apart
	if !of.joined || apart && bytes.ContainsAny(text, "xX") {
		u.escapes(text, from, of, l, do)
	}
	u.ofRuns = u.ofRuns || depth == 0
	if of.joined {
		u.run(text, 0, len(text), l, do, packed)
	} else {
		u.runs(text[:runsEnd], of, l, do, packed)
	}
	u.ofRuns = u.ofRuns && depth > 0
	if apart {
		u.dumps(text, from, of, l, do)
	}
	if !of.joined {
		u.wide(text, from, l, do)
	}
}

// above are the lines that are searched at a depth.
func (u *undoer) above(depth int) *lines {
	if depth == 0 {
		return noLines
	}
	return &u.lines[depth-1]
}

// undone searches the lines of a depth, which were undone by by.
func (u *undoer) undone(depth int, by secret.Encoding) {
	l := &u.lines[depth]
	if !u.above(depth).changed(l.pieces[0].of, l.end) || !l.joined && !u.promising(l.text) {
		return
	}
	if u.spent[depth] += len(l.text); depth > 0 && u.spent[depth] > u.most {
		u.over = true
		return
	}
	if u.by[depth] = by; u.matcher.may(l.text) {
		u.matches(l.text, 0, len(l.text), func(m match) { u.tell(l.text, m, depth) })
	}
	if depth+1 < deepest && by != Escaped {
		u.level(l.text, 0, len(l.text), depth+1)
	}
}

// promising reports whether a text has as many bytes in a row as the shortest term has, that all may be of one, or zeros beside them.
func (u *undoer) promising(text []byte) bool {
	for p := u.shortest - 1; p < len(text); {
		n := 0
		for n < u.shortest && u.solid[text[p-n]] {
			n++
		}
		if n == u.shortest {
			return true
		}
		p += u.shortest - n
	}
	return false
}

// inside names what is undone by by in what was undone by how, the outermost first. Lines that were put together are not named.
func inside(how, by secret.Encoding) secret.Encoding {
	switch {
	case how == "":
		return by
	case by == "", by == secret.Plain, strings.HasSuffix("/"+string(how), "/"+string(by)):
		return how
	}
	return how + "/" + by
}

// tell tells a match in an undone text.
func (u *undoer) tell(text []byte, m match, depth int) {
	at, how := int(m.from), u.how(depth)
	outermost, _, _ := strings.Cut(string(inside(how, m.encoding)), "/")
	isBase64 := outermost == string(secret.Base64) || outermost == string(secret.Base64URL)
	if p := u.terms[m.term].Partner; isBase64 && p != "" && !m.group.is && at > len(p) &&
		text[at-1] == ':' && string(text[at-1-len(p):at-1]) == p {
		how, m.encoding, m.from = Basic, secret.Plain, m.from-int64(1+len(p))
	}
	from, to := u.lift(depth, int(m.from), int(m.to))
	u.found(from, to, m.meaning, inside(how, m.encoding))
}

// packed searches a container that was in an encoding. What is in it is told of the whole of it.
func (u *undoer) packed(depth int, c *lines, by secret.Encoding) {
	if u.left == nil {
		u.left = u.budget()
	}
	if u.left.depth <= 0 {
		u.over = true
		return
	}
	from, to := c.span(0, len(c.text))
	from, to = u.lift(depth-1, from, to)
	found, b, how := u.found, string(c.text), inside(u.how(depth-1), by)
	own := *u.left
	own.bytes = min(own.bytes, mostPacked)
	before := own.bytes
	err := confine.Apart(func() error {
		return u.contents(u.ctx, u.at, strings.NewReader(b), nil, &own, func(_ place, m match) {
			found(from, to, m.meaning, inside(inside(how, packedIn), m.encoding))
		})
	})
	u.left.members = own.members
	u.left.bytes -= before - own.bytes
	if bounded(err) {
		u.skip(u.at, TooMuch, "a container that is encoded in it: %v", err)
	} else if err != nil && !errors.Is(err, errPacked) {
		u.failed = err
	}
}

// lines is a text that was made of another one: of lines that were put together, or by undoing how it was written.
type lines struct {
	text   []byte
	pieces []piece
	end    int    // where the last of it ends in what it was made of
	unit   [2]int // so many bytes there are so many here, within a piece; 0: as many
	kept   bool   // what lies between two pieces is as it was, and searched there as well
	order  int    // of the family that was undone (see family.order); 0: others cannot be undone across it
	closed bool   // so it is
	joined bool   // they are runs of letters
	joint  byte   // what the joints of one family begin with, which were taken out
	twice  bool   // and others of it before
}

// noLines are what was not made of another text.
var noLines = &lines{}

// changed reports whether a part of the text, or what stands beside it, may be searched only here: it is not as it was in what the text
// was made of.
func (l *lines) changed(from, to int) bool {
	if !l.kept {
		return true
	}
	i := 1 + sort.Search(len(l.pieces)-1, func(i int) bool { return l.pieces[i+1].at >= from })
	return i < len(l.pieces) && l.pieces[i].at <= to
}

// piece says where a part of lines.text begins, there and in what it was made of.
type piece struct{ at, of int }

// begin empties l for what is made of another text from a place on.
func (l *lines) begin(of int) {
	l.text, l.pieces, l.unit, l.kept, l.joined, l.joint = l.text[:0], append(l.pieces[:0], piece{0, of}), [2]int{}, false, false, 0
	l.twice, l.order, l.closed = false, 0, false
}

// place is where a byte of the text was taken from.
func (l *lines) place(at int, up bool) int {
	i, is := slices.BinarySearchFunc(l.pieces, at, func(p piece, at int) int { return p.at - at })
	if !is {
		i--
	}
	for i+1 < len(l.pieces) && l.pieces[i+1].at == at { // the last of what is empty
		i++
	}
	p := l.pieces[max(i, 0)]
	n := at - p.at
	if l.unit[1] > 0 {
		n *= l.unit[0]
		if up {
			n += l.unit[1] - 1
		}
		n /= l.unit[1]
	}
	return p.of + n
}

// span is where a part of the text was taken from.
func (l *lines) span(from, to int) (int, int) {
	begin, end := l.place(from, false), l.end
	if to < len(l.text) {
		end = min(end, max(begin+1, l.place(to-1, true)+1, l.place(to, true)))
	}
	return begin, end
}
