package scan

import (
	"cmp"
	"encoding/binary"
	"slices"
	"sort"
	"strings"

	"github.com/keyrounds/keyrounds/secret"
)

// How it is found, in one pass however many credentials (docs/decisions/0013):
//
//  1. An occurrence of a long form covers sixteen places, one after the other, where eight bytes of it begin.
//     So it is enough to look at eight bytes at every sixteenth place: one of the form's first sixteen blocks
//     is there. Short forms are looked for at every place by their first block.
//  2. A filter says of nearly all blocks that they begin nothing. It misses nothing.
//  3. Where it does not, the forms with that block at that offset are found in a table and compared whole.

// matcher finds forms in text. It is not changed after it was made and may be shared.
type matcher struct {
	forms   []form // by text
	classes []*class
	longest int
}

// form is a text that is looked for.
type form struct {
	text   string
	key    uint64 // its first eight bytes, which are ordered as they are
	inside int32  // the longest form that begins this one; -1: none
	means  []meaning
}

// meaning is a term, and how it is written by a form.
type meaning struct {
	term     int32
	encoding secret.Encoding
	group    base64Group
}

// class holds forms that are looked for at every stride-th place.
type class struct {
	stride int
	long   *[1 << longBits]uint64 // three bits of a word a block
	short  *[1 << shortBits]uint8 // a byte a block, of which only a part is used by few
	shift  uint                   // of a hash, to its byte in short

	bucket uint // of a hash, to its bucket in starts
	starts []uint32
	blocks []block
}

const (
	longStride = 16
	longBits   = 18 // 2 MiB
	shortBits  = 20 // 1 MiB, which is slower than what a nearer cache holds
	fewBits    = 18
	few        = 1 << 12 // blocks
)

// block is where the forms of a block at an offset are: forms[from:to], of which not all need have it.
type block struct {
	check    uint32 // the low half of the hash
	offset   uint32
	from, to int32
}

const blockLength = 8

func newMatcher(terms []Term) *matcher {
	m := &matcher{forms: make([]form, 0, 8*len(terms))}
	for i, t := range terms {
		for _, s := range t.spellings() {
			m.forms = append(m.forms, form{s.text, keyOf(s.text), -1, []meaning{{int32(i), s.encoding, s.group}}})
			m.longest = max(m.longest, len(s.text))
		}
	}
	slices.SortStableFunc(m.forms, func(a, b form) int {
		if a.key != b.key {
			return cmp.Compare(a.key, b.key)
		}
		return strings.Compare(a.text, b.text)
	})
	m.forms = oneOfEach(m.forms)
	m.nest()
	var long, short []int32
	for i, f := range m.forms {
		if len(f.text) >= longStride+blockLength-1 {
			long = append(long, int32(i))
		} else {
			short = append(short, int32(i))
		}
	}
	if len(long) > 0 {
		c := m.newClass(longStride, long)
		c.long = new([1 << longBits]uint64)
		m.classes = append(m.classes, c)
	}
	if len(short) > 0 {
		c := m.newClass(1, short)
		c.short, c.shift = new([1 << shortBits]uint8), 64-shortBits
		if len(short) <= few {
			c.shift = 64 - fewBits
		}
		m.classes = append(m.classes, c)
	}
	for _, c := range m.classes {
		c.fill(m.forms)
	}
	return m
}

func keyOf(text string) uint64 {
	var b [8]byte
	copy(b[:], text)
	return binary.BigEndian.Uint64(b[:])
}

// oneOfEach joins the meanings of forms with the same text, which are side by side.
func oneOfEach(forms []form) []form {
	kept := forms[:0]
	for _, f := range forms {
		if n := len(kept); n > 0 && kept[n-1].text == f.text {
			kept[n-1].means = append(kept[n-1].means, f.means...)
			continue
		}
		kept = append(kept, f)
	}
	return kept
}

// nest notes which form begins which.
func (m *matcher) nest() {
	var open []int32
	for i := range m.forms {
		for len(open) > 0 && !strings.HasPrefix(m.forms[i].text, m.forms[open[len(open)-1]].text) {
			open = open[:len(open)-1]
		}
		if len(open) > 0 {
			m.forms[i].inside = open[len(open)-1]
		}
		open = append(open, int32(i))
	}
}

func (m *matcher) newClass(stride int, forms []int32) *class {
	n := len(forms) * stride
	c := &class{stride: stride, bucket: 64 - 4}
	for ; 1<<(64-c.bucket) < n/2; c.bucket-- {
	}
	// Ordered by bucket, by counting; in a bucket by form.
	hashes := make([]uint64, 0, n)
	places := make([]uint32, 1<<(64-c.bucket)+1)
	for _, f := range forms {
		text := m.forms[f].text
		for offset := range stride {
			h := hash([]byte(text[offset : offset+blockLength]))
			hashes = append(hashes, h)
			places[h>>c.bucket+1]++
		}
	}
	for i := 1; i < len(places); i++ {
		places[i] += places[i-1]
	}
	c.starts = slices.Clone(places)
	all := make([]block, n)
	for i, h := range hashes {
		f := forms[i/stride]
		all[places[h>>c.bucket]] = block{uint32(h), uint32(i % stride), f, f + 1}
		places[h>>c.bucket]++
	}
	// One block for all forms that have it at one offset.
	c.blocks = make([]block, 0, n)
	for bucket := range len(c.starts) - 1 {
		from, to := c.starts[bucket], c.starts[bucket+1]
		begin := len(c.blocks)
		c.starts[bucket] = uint32(begin)
	next:
		for _, b := range all[from:to] {
			for i := len(c.blocks) - 1; i >= begin; i-- {
				if k := &c.blocks[i]; k.check == b.check && k.offset == b.offset && m.sameBlock(*k, b) {
					k.to = b.to
					continue next
				}
			}
			c.blocks = append(c.blocks, b)
		}
	}
	c.starts[len(c.starts)-1] = uint32(len(c.blocks))
	return c
}

// sameBlock: the check of a block depends on half of it only.
func (m *matcher) sameBlock(a, b block) bool {
	of := func(b block) string { return m.forms[b.from].text[b.offset:][:blockLength] }
	return of(a) == of(b)
}

// fill has the filter let every block pass.
func (c *class) fill(forms []form) {
	for _, b := range c.blocks {
		h := hash([]byte(forms[b.from].text[b.offset:][:blockLength]))
		if c.long != nil {
			c.long[h>>(64-longBits)] |= filterBits(h)
		} else {
			c.short[h>>c.shift&(1<<shortBits-1)] = 1
		}
	}
}

// filterBits are the three of a word that stand for a hash.
func filterBits(hash uint64) uint64 { return 1<<(hash>>24&63) | 1<<(hash>>32&63) | 1<<(hash>>40&63) }

// hash of the first eight bytes. The high half depends on all of them.
func hash(b []byte) uint64 { return binary.LittleEndian.Uint64(b) * 0x9e3779b97f4a7c15 }

// find calls found for every form in text that ends after from and not after until, in no order; for one that
// begins another perhaps twice.
func (m *matcher) find(text []byte, from, until int, found func(at int, f *form)) {
	begin := max(0, from-m.longest) // what ends behind from begins there or behind it
	for _, c := range m.classes {
		pass := func(p int) { m.lookUp(c, hash(text[p:]), text, p, from, until, found) }
		if c.long != nil {
			c.everySixteenth(text, begin, pass)
		} else {
			c.every(text, begin, pass)
		}
	}
}

func (c *class) everySixteenth(text []byte, p int, pass func(p int)) {
	for ; p+blockLength <= len(text); p += longStride {
		h := hash(text[p : p+blockLength])
		if b := filterBits(h); c.long[h>>(64-longBits)]&b == b {
			pass(p)
		}
	}
}

// every looks at four places at a time, which is twice as fast.
func (c *class) every(text []byte, p int, pass func(p int)) {
	const mask = 1<<shortBits - 1
	is, shift := c.short, c.shift&63
	for rest := text[p:]; len(rest) >= blockLength+3; rest, p = rest[4:], p+4 {
		h0, h1, h2, h3 := hash(rest), hash(rest[1:]), hash(rest[2:]), hash(rest[3:])
		if is[h0>>shift&mask]|is[h1>>shift&mask]|is[h2>>shift&mask]|is[h3>>shift&mask] == 0 {
			continue
		}
		for i, h := range [4]uint64{h0, h1, h2, h3} {
			if is[h>>shift&mask] != 0 {
				pass(p + i)
			}
		}
	}
	for ; p+blockLength <= len(text); p++ {
		pass(p)
	}
}

// may reports whether the filters let anything of text pass: nothing is in it otherwise. Of a long one it always says so.
func (m *matcher) may(text []byte) (may bool) {
	const long = 1 << 10
	if len(text) > long {
		return true
	}
	for _, c := range m.classes {
		if c.long != nil {
			for p := 0; p+blockLength <= len(text); p += longStride {
				h := hash(text[p:])
				b := filterBits(h)
				may = may || c.long[h>>(64-longBits)]&b == b
			}
		} else {
			for p := 0; p+blockLength <= len(text); p++ {
				may = may || c.short[hash(text[p:])>>c.shift&(1<<shortBits-1)] != 0
			}
		}
	}
	return may
}

func (m *matcher) lookUp(c *class, h uint64, text []byte, p, from, until int, found func(int, *form)) {
	bucket := h >> c.bucket
	for _, b := range c.blocks[c.starts[bucket]:c.starts[bucket+1]] {
		if at := p - int(b.offset); b.check == uint32(h) && at >= 0 {
			m.compare(text, at, b, func(f *form) {
				if end := at + len(f.text); end > from && end <= until {
					found(at, f)
				}
			})
		}
	}
}

// compare looks for the forms of a block that begin at a place. Those that do are the last one that is not
// after the text in order, or begin it.
func (m *matcher) compare(text []byte, at int, b block, found func(*form)) {
	rest := text[at:min(len(text), at+m.longest)]
	forms := m.forms[b.from:b.to]
	i := sort.Search(len(forms), func(i int) bool { return forms[i].text > string(rest) }) - 1
	if i < 0 {
		return
	}
	for f := int32(i) + b.from; f >= 0; f = m.forms[f].inside {
		if text := m.forms[f].text; len(text) <= len(rest) && string(rest[:len(text)]) == text {
			found(&m.forms[f])
		}
	}
}
