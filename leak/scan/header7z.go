package scan

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
)

// errLocked: the list of files of a 7z is encrypted.
var errLocked = errors.New("it is encrypted")

// check7z looks at the header of a 7z as package sevenzip will read it (7zFormat.txt of the LZMA SDK): that package makes room for as many
// files, folders and streams as a header says there are, up to 2^32 of each, before it reads one. A list of more of them than it has bytes
// is no list.
func check7z(whole *section) error {
	var start [32]byte
	if _, err := whole.ReadAt(start[:], 0); err != nil {
		return errPacked
	}
	offset, size := binary.LittleEndian.Uint64(start[12:]), binary.LittleEndian.Uint64(start[20:])
	if size == 0 {
		return nil // it is empty
	}
	header, err := part7z(whole, offset, size)
	for depth := 0; err == nil && depth < 4; depth++ { // a list is packed once
		h := &header7z{rest: header, most: uint64(len(header))}
		switch h.byte() {
		case 0x01:
			return h.files()
		case 0x17:
			header, err = h.unpack(whole)
		default:
			return errPacked
		}
	}
	return errors.Join(err, errPacked)
}

// part7z reads what stands behind the first 32 bytes.
func part7z(whole *section, offset, size uint64) ([]byte, error) {
	if size > maxInMemory || offset > uint64(whole.size) || offset+size > uint64(whole.size) {
		return nil, errPacked
	}
	b := make([]byte, size)
	_, err := io.ReadFull(io.NewSectionReader(whole, int64(32+offset), int64(size)), b)
	return b, err
}

// header7z reads a header. What is wrong with it is in bad, once all was read.
type header7z struct {
	rest []byte
	most uint64 // of anything
	bad  bool

	// Of its first stream: where it is, how it is packed, and how many bytes it is.
	position, packed, size uint64
	method, properties     string
	folders                []folder7z
	outputs                uint64 // of all folders
}

// folder7z is how some files are packed together.
type folder7z struct {
	outputs, streams uint64
	summed           bool
}

func (h *header7z) take(n uint64) []byte {
	if n > uint64(len(h.rest)) {
		h.bad, h.rest = true, nil
		return nil
	}
	b := h.rest[:n]
	h.rest = h.rest[n:]
	return b
}

// byte is 0, the end of a list, where there is none.
func (h *header7z) byte() byte {
	if b := h.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (h *header7z) number() (n uint64) {
	first := h.byte()
	mask := byte(0x80)
	for i := range 8 {
		if first&mask == 0 {
			return n | uint64(first&(mask-1))<<(8*i)
		}
		n |= uint64(h.byte()) << (8 * i)
		mask >>= 1
	}
	return n
}

// count is a number of things, each of which takes a byte at least.
func (h *header7z) count() uint64 {
	n := h.number()
	if n > h.most {
		h.bad = true
		return 0
	}
	return n
}

// sums skips checksums of n things, and returns which of them have one.
func (h *header7z) sums(n uint64) []bool {
	all := h.byte() != 0
	if n > h.most {
		h.bad = true
		return nil
	}
	var bits []byte
	if !all {
		bits = h.take((n + 7) / 8)
	}
	is := make([]bool, n)
	for i := range is {
		is[i] = all || i/8 < len(bits) && bits[i/8]&(0x80>>(i%8)) != 0
		if is[i] {
			h.take(4)
		}
	}
	return is
}

// files reads as far as the number of files.
func (h *header7z) files() error {
	id := h.byte()
	if id == 0x04 {
		h.streams()
		id = h.byte()
	}
	if id == 0x05 {
		h.count()
	} else if id != 0 {
		h.bad = true
	}
	if h.bad {
		return errPacked
	}
	return nil
}

// unpack reads a header that is packed.
func (h *header7z) unpack(whole *section) ([]byte, error) {
	h.streams()
	if h.bad || len(h.folders) != 1 {
		return nil, errPacked
	}
	b, err := part7z(whole, h.position, h.packed)
	if err != nil {
		return nil, err
	}
	r := io.Reader(bytes.NewReader(b))
	switch h.method {
	case "\x00":
	case "\x03\x01\x01":
		r, err = sevenZipLZMA([]byte(h.properties), h.size, r)
	case "\x21":
		r, err = sevenZipLZMA2([]byte(h.properties), h.size, r)
	case "\x06\xf1\x07\x01":
		return nil, errLocked
	default:
		return nil, errPacked
	}
	if err != nil {
		return nil, err
	}
	if h.size > maxInMemory {
		return nil, errPacked
	}
	return io.ReadAll(io.LimitReader(r, int64(h.size)))
}

func (h *header7z) streams() {
	for id := h.byte(); id != 0 && !h.bad; id = h.byte() {
		switch id {
		case 0x06:
			h.packs()
		case 0x07:
			h.unpacks()
		case 0x08:
			h.substreams()
		default:
			h.bad = true
		}
	}
}

func (h *header7z) packs() {
	h.position = h.number()
	n := h.count()
	for id := h.byte(); id != 0 && !h.bad; id = h.byte() {
		switch id {
		case 0x09:
			for i := range n {
				if size := h.number(); i == 0 {
					h.packed = size
				}
			}
		case 0x0a:
			h.sums(n)
		default:
			h.bad = true
		}
	}
}

func (h *header7z) unpacks() {
	if h.byte() != 0x0b {
		h.bad = true
	}
	n := h.count()
	if h.byte() != 0 { // they are elsewhere
		h.bad = true
	}
	for range n {
		if h.folder(); h.bad {
			return
		}
	}
	for id := h.byte(); id != 0 && !h.bad; id = h.byte() {
		switch id {
		case 0x0c:
			for i, f := range h.folders {
				for range f.outputs { // no more than there are bytes, for all folders
					if size := h.number(); i == 0 { // that of the last is what all of them make; there is one where it is asked for
						h.size = size
					}
				}
			}
		case 0x0a:
			for i, is := range h.sums(n) {
				h.folders[i].summed = is
			}
		default:
			h.bad = true
		}
	}
}

func (h *header7z) folder() {
	var inputs, outputs uint64
	coders := h.count()
	for i := range coders {
		flags := h.byte()
		method := string(h.take(uint64(flags & 0x0f)))
		in, out := uint64(1), uint64(1)
		if flags&0x10 != 0 {
			in, out = h.count(), h.count()
		}
		properties := ""
		if flags&0x20 != 0 {
			properties = string(h.take(h.count()))
		}
		if inputs, outputs = inputs+in, outputs+out; h.bad || inputs > h.most || outputs > h.most {
			h.bad = true
			return
		}
		if i == 0 && len(h.folders) == 0 {
			h.method, h.properties = method, properties
		}
	}
	if coders != 1 && len(h.folders) == 0 && h.method != "\x06\xf1\x07\x01" {
		h.method = "more than one"
	}
	if outputs == 0 || inputs+1 < outputs {
		h.bad = true
		return
	}
	for range outputs - 1 {
		h.number()
		h.number()
	}
	if packed := inputs + 1 - outputs; packed > 1 {
		for range packed {
			h.number()
		}
	}
	if h.outputs += outputs; h.outputs > h.most {
		h.bad = true
		return
	}
	h.folders = append(h.folders, folder7z{outputs: outputs, streams: 1})
}

func (h *header7z) substreams() {
	for id := h.byte(); id != 0 && !h.bad; id = h.byte() {
		switch id {
		case 0x0d:
			var all uint64
			for i := range h.folders {
				h.folders[i].streams = h.count()
				if all += h.folders[i].streams; all > h.most {
					h.bad = true
					return
				}
			}
		case 0x09:
			for _, f := range h.folders {
				for i := uint64(1); i < f.streams; i++ {
					h.number()
				}
			}
		case 0x0a:
			var n uint64
			for _, f := range h.folders {
				if f.streams != 1 || !f.summed {
					n += f.streams
				}
			}
			h.sums(n)
		default:
			h.bad = true
		}
	}
}
