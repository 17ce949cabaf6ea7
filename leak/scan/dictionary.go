package scan

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"sync"

	"github.com/bodgit/sevenzip"
	"github.com/stangelandcl/ppmd"
	"github.com/ulikunitz/xz/lzma"
)

// errDictionary: a header of a few bytes asks for so much memory.
var errDictionary = fmt.Errorf("unpacking it takes a dictionary of more than %d MiB", maxInMemory>>20)

// capDictionaries has 7z archives opened with dictionaries of at most maxInMemory. The readers of package sevenzip make one as large as the
// header says, up to 4 GiB, before they read a byte of what is packed.
var capDictionaries = sync.OnceFunc(func() {
	for id, open := range map[string]func(properties []byte, size uint64, r io.Reader) (io.Reader, error){
		"\x03\x01\x01":     sevenZipLZMA,
		"\x21":             sevenZipLZMA2,
		"\x03\x04\x01":     sevenZipPPMd,
		"\x04\xf7\x11\x01": func(_ []byte, _ uint64, r io.Reader) (io.Reader, error) { return openZstd(r) },
	} {
		sevenzip.RegisterDecompressor([]byte(id), func(properties []byte, size uint64, from []io.ReadCloser) (io.ReadCloser, error) {
			if len(from) != 1 {
				return nil, errPacked
			}
			r, err := open(properties, size, from[0])
			if err != nil {
				return nil, err
			}
			return &unpacked{r, from[0]}, nil
		})
	}
})

// unpacked closes what it is unpacked from.
type unpacked struct {
	io.Reader
	from io.Closer
}

func (u *unpacked) Close() error {
	if c, is := u.Reader.(io.Closer); is {
		_ = c.Close()
	}
	return u.from.Close()
}

func sevenZipLZMA(properties []byte, size uint64, r io.Reader) (io.Reader, error) {
	if len(properties) != 5 {
		return nil, errPacked
	}
	capacity, err := dictionary(uint64(binary.LittleEndian.Uint32(properties[1:])), size)
	if err != nil {
		return nil, err
	}
	head := append([]byte{properties[0]}, binary.LittleEndian.AppendUint32(nil, uint32(capacity))...)
	head = binary.LittleEndian.AppendUint64(head, size)
	return lzma.ReaderConfig{DictCap: capacity}.NewReader(io.MultiReader(bytes.NewReader(head), r))
}

func sevenZipLZMA2(properties []byte, size uint64, r io.Reader) (io.Reader, error) {
	if len(properties) != 1 || properties[0] > 40 {
		return nil, errPacked
	}
	capacity, err := dictionary((2|uint64(properties[0]&1))<<(properties[0]/2+11), size)
	if err != nil {
		return nil, err
	}
	return lzma.Reader2Config{DictCap: capacity}.NewReader2(r)
}

// dictionary is how large one is made: no larger than what is unpacked with it.
func dictionary(wanted, size uint64) (int, error) {
	if wanted = min(wanted, size); wanted > maxInMemory {
		return 0, errDictionary
	}
	return max(int(wanted), lzma.MinDictCap), nil
}

func sevenZipPPMd(properties []byte, size uint64, r io.Reader) (io.Reader, error) {
	if len(properties) != 5 {
		return nil, errPacked
	}
	memory := binary.LittleEndian.Uint32(properties[1:])
	if memory > maxInMemory {
		return nil, errDictionary
	}
	p, err := ppmd.NewH7zReader(r, int(properties[0]), int(memory), int(min(size, 1<<62)))
	if err != nil {
		return nil, err
	}
	return &p, nil
}
