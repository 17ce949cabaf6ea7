package main

import (
	"io"
	"strings"
	"testing"
)

// A file that is too large is refused as a whole: its rest is not lost without a word.
func TestATooLargeImportIsRefused(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"csv", "json"} {
		rows, err := readImport(io.LimitReader(endless{}, maxImport+1), "-", format)
		if err == nil || !strings.Contains(err.Error(), "larger than 64 MiB") || rows != nil {
			t.Errorf("%s: %d rows, %v", format, len(rows), err)
		}
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = "name,provider\n"[i%14]
	}
	return len(p), nil
}
