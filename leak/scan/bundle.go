package scan

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"context"
	"crypto/sha1" //nolint:gosec // git names objects so
	"encoding/hex"
	"fmt"
	"io"
)

// bundle searches the objects of a git bundle, or of a pack (git-scm.com, gitformat-bundle and gitformat-pack), of SHA-1 names. Of
// an object that is stored as a difference from one that is not in it, the difference is searched, and that is told.
func (s *Scanner) bundle(ctx context.Context, at place, in *bufio.Reader, _ *section, left *budget, to sink) error {
	var head bytes.Buffer
	for {
		if b, err := in.Peek(4); err == nil && string(b) == "PACK" {
			break
		}
		line, err := in.ReadSlice('\n') // refs, and commits that whoever opens it must have
		if err != nil {
			return errPacked
		}
		if bytes.Contains(line, []byte("object-format=sha256")) {
			s.skip(at, NotOpened, "a bundle with SHA-256 names is not opened")
		}
		head.Write(line)
		if head.Len() > 16<<20 {
			return errPacked
		}
	}
	if err := s.text(ctx, at, nil, &head, left, to); err != nil {
		return err
	}
	p := &pack{in: &counted{r: in}, byPlace: map[int64]packed{}, byName: map[string]packed{}}
	objects, err := p.begin()
	if err != nil {
		return err
	}
	var waits []delta
	alone := 0
	for range objects {
		if err := left.member(); err != nil {
			return err
		}
		o, d, err := p.next(left)
		if err != nil {
			return err
		}
		if d != nil {
			waits = append(waits, *d)
			continue
		}
		if err := s.packedObject(ctx, at, p.keep(o), left, to); err != nil {
			return err
		}
	}
	for again := true; again && len(waits) > 0; { // a base may come behind
		again = false
		for i := 0; i < len(waits); i++ {
			o, is := p.resolve(waits[i])
			if !is {
				continue
			}
			waits = append(waits[:i], waits[i+1:]...)
			i--
			again = true
			if left.bytes -= int64(len(o.content)); left.bytes < 0 {
				return errBudget
			}
			if err := s.packedObject(ctx, at, p.keep(o), left, to); err != nil {
				return err
			}
		}
	}
	for _, d := range waits {
		alone++
		if err := s.contents(ctx, at.inside("difference"), bytes.NewReader(d.content), nil, left, to); err != nil {
			return err
		}
	}
	if alone > 0 {
		s.skip(at, PartialClone, "%s in it need others that are not in it", count(int64(alone), "object"))
	}
	return nil
}

func (s *Scanner) packedObject(ctx context.Context, at place, o packed, left *budget, to sink) error {
	kind := map[byte]string{1: "commit", 2: "tree", 3: "blob", 4: "tag"}[o.kind]
	return s.contents(ctx, at.inside(fmt.Sprintf("%s %.12s", kind, o.name)), bytes.NewReader(o.content), nil, left, to)
}

// pack reads the objects of a pack, one after the other, and keeps those that others may be differences from.
type pack struct {
	in      *counted
	byPlace map[int64]packed
	byName  map[string]packed
	kept    int64
}

type packed struct {
	kind    byte
	content []byte
	name    string
	place   int64
}

// delta is an object that is stored as a difference.
type delta struct {
	content []byte
	place   int64
	base    int64  // where it is in the pack; 0: by its name
	name    string // of the base
}

func (p *pack) begin() (objects uint32, err error) {
	head := make([]byte, 12)
	if _, err := io.ReadFull(p.in, head); err != nil {
		return 0, errPacked
	}
	return uint32(head[8])<<24 | uint32(head[9])<<16 | uint32(head[10])<<8 | uint32(head[11]), nil
}

func (p *pack) next(left *budget) (o packed, d *delta, err error) {
	o.place = p.in.n
	b, err := p.in.ReadByte()
	if err != nil {
		return o, nil, errPacked
	}
	o.kind = b >> 4 & 7
	for b&0x80 != 0 { // the size, which is told by the content as well
		if b, err = p.in.ReadByte(); err != nil {
			return o, nil, errPacked
		}
	}
	switch o.kind {
	case 6: // the base by how far it is in front
		back, err := p.offset()
		if err != nil || back <= 0 || back > o.place {
			return o, nil, errPacked
		}
		d = &delta{place: o.place, base: o.place - back}
	case 7: // by its name
		name := make([]byte, 20)
		if _, err := io.ReadFull(p.in, name); err != nil {
			return o, nil, errPacked
		}
		d = &delta{place: o.place, name: hex.EncodeToString(name)}
	case 1, 2, 3, 4:
	default:
		return o, nil, errPacked
	}
	z, err := zlib.NewReader(p.in)
	if err != nil {
		return o, nil, errPacked
	}
	content, err := io.ReadAll(io.LimitReader(&rationed{z, left}, maxInMemory+1))
	switch {
	case bounded(err):
		return o, nil, err
	case err != nil:
		return o, nil, errPacked
	case len(content) > maxInMemory:
		return o, nil, errBudget
	}
	o.content = content
	if d != nil {
		d.content = content
	}
	return o, d, nil
}

// offset reads the number of gitformat-pack that has no leading zeroes.
func (p *pack) offset() (n int64, err error) {
	for i := 0; ; i++ {
		b, err := p.in.ReadByte()
		if err != nil || i > 8 {
			return 0, errPacked
		}
		if i > 0 {
			n++
		}
		n = n<<7 | int64(b&0x7f)
		if b&0x80 == 0 {
			return n, nil
		}
	}
}

// keep names an object, and keeps it as a base while there is room.
func (p *pack) keep(o packed) packed {
	h := sha1.New() //nolint:gosec // git names objects so
	fmt.Fprintf(h, "%s %d\x00", map[byte]string{1: "commit", 2: "tree", 3: "blob", 4: "tag"}[o.kind], len(o.content))
	h.Write(o.content)
	o.name = hex.EncodeToString(h.Sum(nil))
	const most = 4 * maxInMemory
	if p.kept += int64(len(o.content)); p.kept <= most {
		p.byPlace[o.place], p.byName[o.name] = o, o
	}
	return o
}

func (p *pack) resolve(d delta) (packed, bool) {
	base, is := p.byPlace[d.base]
	if d.name != "" {
		base, is = p.byName[d.name]
	}
	if !is {
		return packed{}, false
	}
	content, err := patched(base.content, d.content)
	return packed{kind: base.kind, content: content, place: d.place}, err == nil
}

// patched applies a difference: two sizes, then copies from the base and pieces of its own.
func patched(base, d []byte) ([]byte, error) {
	size := func() (n int) {
		for shift := 0; len(d) > 0 && shift < 35; shift += 7 {
			b := d[0]
			d = d[1:]
			if n |= int(b&0x7f) << shift; b&0x80 == 0 {
				break
			}
		}
		return n
	}
	if size() != len(base) {
		return nil, errPacked
	}
	want := size()
	if want > maxInMemory {
		return nil, errPacked
	}
	var out []byte
	for len(d) > 0 {
		op := d[0]
		d = d[1:]
		if op&0x80 == 0 {
			n := int(op)
			if n == 0 || n > len(d) {
				return nil, errPacked
			}
			out, d = append(out, d[:n]...), d[n:]
			continue
		}
		var v [7]int
		for i := range v {
			if op&(1<<i) != 0 {
				if len(d) == 0 {
					return nil, errPacked
				}
				v[i], d = int(d[0]), d[1:]
			}
		}
		from, n := v[0]|v[1]<<8|v[2]<<16|v[3]<<24, v[4]|v[5]<<8|v[6]<<16
		if n == 0 {
			n = 1 << 16
		}
		if from < 0 || from+n > len(base) || len(out)+n > want {
			return nil, errPacked
		}
		out = append(out, base[from:from+n]...)
	}
	if len(out) != want {
		return nil, errPacked
	}
	return out, nil
}

// counted counts what is read, byte by byte where zlib asks so, so that nothing behind an object is taken.
type counted struct {
	r *bufio.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

func (c *counted) ReadByte() (byte, error) {
	b, err := c.r.ReadByte()
	if err == nil {
		c.n++
	}
	return b, err
}
