package backup

import (
	"archive/tar"
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"

	"github.com/keyrounds/keyrounds/postgres"
)

// Rules of reading:
//
//  1. What a file says is believed when it was read to its end: age authenticates each part of it and its end, and sums.json has
//     every entry before it.
//  2. Who has the public key of a recipient can make a backup. What it says never becomes SQL, a path or a large amount of memory.

// Check reads a backup to its end, and returns what is in it. key is given the text of the sealing key, if there is one in it, and
// must not keep the slice; nil: nobody is. Errors: *WrongKeyError, *DamagedError, *UnknownFormatError, that of key, or that the
// file is none, or that r cannot be read.
func Check(r io.Reader, k Key, key func(text []byte) error) (Contents, error) {
	return read(r, k, visitor{key: key})
}

// visitor is given what is read, before it is known whether the file is whole. nil: it is only checked.
type visitor struct {
	key func([]byte) error
	// table reads the rows to their end, and returns how many they are.
	table func(t Table, rows io.Reader) (int64, error)
}

// visitError is an error of the visitor, and not of the file.
type visitError struct{ error }

func (e visitError) Unwrap() error { return e.error }

func read(r io.Reader, k Key, v visitor) (c Contents, err error) {
	source := &source{r: r}
	defer func() {
		var visit visitError
		var newer *UnknownFormatError
		switch {
		case err == nil || errors.As(err, &newer):
		case source.err != nil:
			err = fmt.Errorf("read the backup: %w", source.err)
		case errors.As(err, &visit):
			err = visit.error
		default:
			err = opening(err)
		}
	}()
	in := bufio.NewReaderSize(source, 64<<10)
	if begin, _ := in.Peek(len(ageMagic) + 1); string(begin) != ageMagic+"\n" {
		return c, errNotOurs
	}
	plain, err := age.Decrypt(in, k...)
	if err != nil {
		return c, err
	}
	unpacked, err := zstd.NewReader(plain, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return c, err
	}
	defer unpacked.Close()
	e := &entries{tar: tar.NewReader(unpacked)}
	if c.Manifest, c.Sums, err = e.all(v); err != nil {
		return c, err
	}
	for _, rest := range []io.Reader{unpacked, plain, in} { // age says only at its end that nothing was cut off
		if n, err := io.Copy(io.Discard, rest); err != nil || n > 0 && rest == io.Reader(in) {
			return c, errors.Join(err, errors.New("something follows its end"))
		}
	}
	c.Size = source.n
	return c, nil
}

// source counts what is read, and notes why no more could be.
type source struct {
	r   io.Reader
	n   int64
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.n += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// opening names what age says.
func opening(err error) error {
	var wrong *age.NoIdentityMatchError
	switch {
	case errors.As(err, &wrong):
		return &WrongKeyError{}
	case errors.Is(err, errNotOurs):
		return err
	}
	return &DamagedError{err}
}

// entries reads them one after the other.
type entries struct {
	tar  *tar.Reader
	next *tar.Header // read already
}

func (e *entries) peek() (*tar.Header, error) {
	if e.next != nil {
		return e.next, nil
	}
	h, err := e.tar.Next()
	if err == nil && (h.Typeflag != tar.TypeReg || h.Size > maxPiece) {
		err = fmt.Errorf("an entry of the kind %q with %d bytes", h.Typeflag, h.Size)
	}
	e.next = h
	return h, err
}

// small returns the entry of that name, which must be the next.
func (e *entries) small(name string, most int64) ([]byte, error) {
	h, err := e.peek()
	if err != nil {
		return nil, unexpected(err)
	}
	if h.Name != name || h.Size > most {
		return nil, fmt.Errorf("%s is expected where something else is", name)
	}
	e.next = nil
	return io.ReadAll(e.tar)
}

// unexpected: the archive ends where something is missing yet.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (e *entries) all(v visitor) (m Manifest, sums map[string]Sum, err error) {
	if err := e.json(manifestName, &m); err != nil {
		return m, nil, err
	}
	if m.Format > format {
		return m, nil, &UnknownFormatError{m}
	}
	if err := m.check(); err != nil {
		return m, nil, err
	}
	seen := map[string]Sum{}
	if m.SealingKey {
		key, err := e.small(keyName, maxKeySize)
		if err != nil {
			return m, nil, err
		}
		defer clear(key)
		seen[keyName] = Sum{Bytes: int64(len(key)), SHA256: hexSum(key)}
		if v.key != nil {
			if err := v.key(key); err != nil {
				return m, nil, visitError{err}
			}
		}
	}
	for _, t := range m.Tables {
		if seen[t.Name], err = e.table(t, v); err != nil {
			return m, nil, err
		}
	}
	if err := e.json(sumsName, &sums); err != nil {
		return m, nil, err
	}
	if _, err := e.peek(); !errors.Is(err, io.EOF) {
		return m, nil, errors.New("something follows its sums")
	}
	return m, sums, compare(sums, seen, v.table != nil)
}

// compare: rows are counted only where somebody read them.
func compare(sums, seen map[string]Sum, counted bool) error {
	if len(sums) != len(seen) {
		return fmt.Errorf("it has sums of %d entries, and there are %d", len(sums), len(seen))
	}
	for name, is := range seen {
		said := sums[name]
		if said.Bytes != is.Bytes || said.SHA256 != is.SHA256 || counted && said.Rows != is.Rows {
			return fmt.Errorf("%s is not what its sum says", name)
		}
	}
	return nil
}

func (e *entries) json(name string, v any) error {
	b, err := e.small(name, maxSmall)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%s cannot be read", name)
	}
	return nil
}

func (m Manifest) check() error {
	names := map[string]bool{keyName: true}
	for _, t := range m.Tables {
		if !plainName.MatchString(t.Name) || names[t.Name] || len(t.Columns) == 0 {
			return fmt.Errorf("%s names the table %.80q", manifestName, t.Name)
		}
		names[t.Name] = true
		for _, c := range t.Columns {
			if !plainName.MatchString(c) {
				return fmt.Errorf("%s names the column %.80q", manifestName, c)
			}
		}
	}
	_, err := parseMonths(m.Months)
	return err
}

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func (e *entries) table(t Table, v visitor) (Sum, error) {
	r := &rowsReader{e: e, name: t.Name, sum: sha256.New()}
	rows := int64(0)
	if v.table != nil {
		var err error
		if rows, err = v.table(t, r); err != nil && r.err == nil {
			return Sum{}, visitError{fmt.Errorf("table %s: %w", t.Name, postgres.Plain(err))}
		}
	}
	_, err := io.Copy(io.Discard, r)
	return Sum{Rows: rows, Bytes: r.bytes, SHA256: hex.EncodeToString(r.sum.Sum(nil))}, err
}

// rowsReader joins the pieces of a table.
type rowsReader struct {
	e     *entries
	name  string
	n     int  // pieces so far
	open  bool // one is being read
	sum   hash.Hash
	bytes int64
	err   error // of the file, but its end
}

func (r *rowsReader) Read(p []byte) (n int, err error) {
	if r.err != nil {
		return 0, r.err
	}
	for !r.open {
		h, err := r.e.peek()
		if err != nil {
			r.err = unexpected(err)
			return 0, r.err
		}
		if h.Name != pieceName(r.name, r.n+1) {
			return 0, io.EOF
		}
		r.e.next = nil
		r.open = true
		r.n++
	}
	n, err = r.e.tar.Read(p)
	r.sum.Write(p[:n])
	r.bytes += int64(n)
	switch {
	case errors.Is(err, io.EOF):
		r.open, err = false, nil
	case err != nil:
		r.err = err
	}
	return n, err
}
