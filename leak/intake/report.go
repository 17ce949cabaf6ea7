package intake

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/keyrounds/keyrounds/finding"
)

// Reported is one finding of another scanner: what may be the secret, and where it was found. Values and Parts are
// plain text and must not be shown; the sighting's texts are the report's own, and may have a secret in them too.
type Reported struct {
	Values  []string // texts that may be the secret: at least MinLength bytes, at most 200 of them
	Parts   []string // beginnings of it, where the report hides the rest: at least MinPart bytes, at most 200 of them
	HMSL    string   // GitGuardian's hash of it, in hexadecimal; "": the report has none
	Clients []string // client ids that it names
	finding.Sighting
}

// Format is a format of reports that are read from files.
type Format struct {
	Name string
	// Read calls found for each finding of a report, in order, and stops at the first error of found. A report that is
	// not of this format is a *FormatError; what was found before it was given to found already.
	Read func(r *bufio.Reader, found func(Reported) error) error
}

// Formats returns the formats that ReadReport knows.
func Formats() []Format {
	return []Format{{"gitleaks", readGitleaks}, {"trufflehog", readTrufflehog}, {"sarif", readSARIF}}
}

// FormatError says that a report could not be read, where and why. Nothing of what was read is in it.
type FormatError struct {
	Format string
	Where  string
	Why    string
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("not a report of %s: %s: %s", e.Format, e.Where, e.Why)
}

// MaxReport is the largest report that ReadReport reads, in bytes.
const MaxReport = 256 << 20

const maxFinding = 4 << 20 // bytes of one finding

// ReadReport reads a report and calls found for each finding in it, as Format.Read does. format is the name of one of
// Formats; with "" it is guessed by what the report begins with. It returns the name of the format that was read.
//
// A report that is not of the format, or of no known one, is a *FormatError. More than MaxReport bytes are an error.
func ReadReport(r io.Reader, format string, found func(Reported) error) (string, error) {
	in := bufio.NewReaderSize(&capped{r, MaxReport}, 64<<10)
	head, err := in.Peek(2048)
	if err != nil && !errors.Is(err, io.EOF) {
		return format, err
	}
	if bytes.HasPrefix(head, []byte("\ufeff")) {
		_, _ = in.Discard(3)
		head = head[3:]
	}
	if bytes.HasPrefix(head, []byte{0xff, 0xfe}) || bytes.HasPrefix(head, []byte{0xfe, 0xff}) {
		return format, &FormatError{
			orAny(format), "the beginning",
			"it is UTF-16; reports are UTF-8 (PowerShell's > writes UTF-16: use the tool's own flag for the file)",
		}
	}
	if format == "" {
		if format = guess(head); format == "" {
			return "", &FormatError{"any tool that is known", "the beginning", "neither a JSON list, nor SARIF, nor a JSON object a line"}
		}
	}
	i := slices.IndexFunc(Formats(), func(f Format) bool { return f.Name == format })
	if i < 0 {
		return format, fmt.Errorf("unknown format %q of a report", format)
	}
	return format, Formats()[i].Read(in, found)
}

func orAny(format string) string {
	if format == "" {
		return "a known tool"
	}
	return format
}

func guess(head []byte) string {
	text := bytes.TrimSpace(head)
	has := func(member string) bool { return bytes.Contains(text, []byte(`"`+member+`"`)) }
	switch {
	case bytes.HasPrefix(text, []byte("[")):
		return "gitleaks"
	case bytes.HasPrefix(text, []byte("{")) && (has("runs") || has("$schema") || has("version")) && !has("SourceMetadata"):
		return "sarif"
	case bytes.HasPrefix(text, []byte("{")), len(text) == 0: // trufflehog says nothing where it found nothing
		return "trufflehog"
	}
	return ""
}

// capped fails after so many bytes.
type capped struct {
	r    io.Reader
	left int64
}

func (c *capped) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, fmt.Errorf("the report is larger than %d MiB", MaxReport>>20)
	}
	n, err := c.r.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	return n, err
}

// The shortest texts that are kept of a report, in bytes: shorter ones are too common in text to tell from chance.
const (
	MinLength = 8 // of what may be a whole secret; scan.MinLength is the same
	MinPart   = 8 // of the beginning of a secret
)

const mostValues = 200 // of one finding

// value adds a text that may be a secret; one that is visibly cut is the beginning of it.
func (r *Reported) value(text string) {
	text = strings.TrimSpace(text)
	if beginning, cut := cutText(text); cut {
		r.part(beginning)
		return
	}
	if len(text) >= MinLength && len(r.Values) < mostValues && !slices.Contains(r.Values, text) {
		r.Values = append(r.Values, text)
	}
}

func (r *Reported) part(text string) {
	if beginning, cut := cutText(text); cut {
		text = beginning
	}
	if len(text) >= MinPart && len(r.Parts) < mostValues && !slices.Contains(r.Parts, text) {
		r.Parts = append(r.Parts, text)
	}
}

// cutText knows how tools hide a part: abcdefgh..., abcdefgh…, abcdefgh****.
func cutText(text string) (string, bool) {
	for _, end := range []string{"...", "…", "***"} {
		if i := strings.Index(text, end); i >= 0 && strings.Trim(text[i:], ".…*") == "" {
			return text[:i], true
		}
	}
	return text, false
}

// line adds a text, and what in it stands between quotes, blanks and the like.
func (r *Reported) line(text string) {
	r.value(text)
	for _, word := range strings.FieldsFunc(text, func(c rune) bool { return strings.ContainsRune(" \t\r\n\"'`<>,;(){}[]", c) }) {
		r.value(word)
		for i, c := range word {
			if c == '=' || c == ':' {
				r.value(word[i+1:])
			}
		}
	}
}

func date(text string) time.Time {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04:05 -0700", "2006-01-02T15:04:05Z0700"} {
		if t, err := time.Parse(layout, text); err == nil && t.Year() >= 1970 && t.Year() < 2200 {
			return t.UTC()
		}
	}
	return time.Time{}
}
