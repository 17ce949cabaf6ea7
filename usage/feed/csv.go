package feed

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
)

// row is a record that was read of a table; a line of text that is one is read by the format's reader.
type row map[string]any

// unread is a record of a table that is none.
type unread struct {
	line string
	why  error
}

// readTable reads CSV, one record after the other: a value may hold line breaks. head is the beginning of the file that
// in goes on with, for the names of the columns; nil: in begins with them.
func (f Format) readTable(ctx context.Context, in io.Reader, head []byte, each func(Reading) error) error {
	const batch = 1000 // records that are given at once
	columns := f.table.columns
	named := columns != nil
	if !named && head != nil {
		columns = f.columnsOf(head)
		named = true // by the head, or not at all: a record in the middle of a file names no column
	}
	b := bufio.NewReaderSize(in, 64<<10)
	var r Reading
	give := func() error {
		if r.Records == 0 {
			return nil
		}
		err := each(r)
		r = Reading{}
		return err
	}
	for {
		record, err := csvRecord(b)
		if text := strings.TrimSpace(strings.TrimPrefix(record, string(bom))); text != "" {
			switch {
			case f.ignore != nil && f.ignore.MatchString(text):
				r.Records++
				r.leftOut(text)
			case !named:
				columns, named = f.columnsOf([]byte(text)), true
			case f.isHeader(columns, text):
			default:
				f.tableRecord(ctx, columns, text, &r)
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			if failed := give(); failed != nil {
				return failed
			}
			return ctx.Err()
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		}
		if r.Records >= batch {
			if err := give(); err != nil {
				return err
			}
		}
	}
}

func (f Format) tableRecord(ctx context.Context, columns []string, text string, r *Reading) {
	m, err := f.table.row(columns, text)
	if err != nil {
		r.Records++
		r.bad(err.Error(), []byte(text))
		return
	}
	f.record(ctx, row(m), []byte(text), r)
}

// columnsOf are the columns that the first record of a text names that is not ignored; nil: none.
func (f Format) columnsOf(text []byte) []string {
	b := bufio.NewReader(bytes.NewReader(bytes.TrimPrefix(text, bom)))
	for {
		record, err := csvRecord(b)
		if record = strings.TrimSpace(record); record != "" && (f.ignore == nil || !f.ignore.MatchString(record)) {
			columns, failed := f.table.fields(record)
			if failed != nil {
				return nil
			}
			for i := range columns {
				columns[i] = strings.TrimSpace(columns[i])
			}
			return columns
		}
		if err != nil {
			return nil
		}
	}
}

// isHeader reports whether a record names the columns once more, as where files were put together.
func (f Format) isHeader(columns []string, text string) bool {
	if len(columns) == 0 || f.table.columns != nil || !strings.Contains(text, columns[0]) {
		return false
	}
	again, err := f.table.fields(text)
	for i := range again {
		again[i] = strings.TrimSpace(again[i])
	}
	return err == nil && slices.Equal(again, columns)
}

// csvRecord reads a line, and those after it as long as a quote is open. More than maxCSVRecord is cut to one bad record.
func csvRecord(b *bufio.Reader) (string, error) {
	var record []byte
	for {
		line, err := b.ReadSlice('\n')
		record = append(record, line...)
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			if len(record) > maxLine {
				return string(record), nil
			}
			continue
		case err != nil:
			return string(record), err
		case bytes.Count(record, []byte{'"'})%2 == 0 || len(record) > maxCSVRecord:
			return string(record), nil
		}
	}
}
