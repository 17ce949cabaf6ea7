package intake

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/keyrounds/keyrounds/finding"
)

// Reported is one finding of another scanner: what may be the secret, and where it was found. Values and Parts are
// plain text and must not be shown; the sighting's texts are the report's own, and may have a secret in them too.
type Reported struct {
	Values  []string // texts that may be the secret: at least MinLength bytes, at most 200 of them
	Parts   []string // beginnings of it, where the report hides the rest: at least MinPart bytes, at most 200 of them
	HMSL    string   // GitGuardian's hash of it, in hexadecimal; "": the report has none
	SHA1    string   // of it, in hexadecimal, as detect-secrets has it; "": the report has none
	Clients []string // client ids that it names
	// Texts are all that the report says of what it found, in whatever encoding, for who knows the secrets to search them: at most
	// 200 of them.
	Texts []string
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
	return []Format{
		{"gitleaks", readGitleaks},
		{"trufflehog", readTrufflehog},
		{"sarif", readSARIF},
		{"detect-secrets", readDetectSecrets},
		{"gitlab", readGitLab},
		{"ggshield", readGGShield},
		{"noseyparker", readNoseyParker},
		{"kingfisher", readKingfisher},
		{"csv", readCSV},
	}
}

// FormatError says that a report could not be read, where and why. Nothing of what was read is in it.
type FormatError struct {
	Format string
	Where  string
	Why    string
}

func (e *FormatError) Error() string {
	if e.Format == "" {
		return "this is no report that keyrounds knows: " + e.Why
	}
	return fmt.Sprintf("not a report of %s: %s: %s", e.Format, e.Where, e.Why)
}

// MaxReport is the largest report that ReadReport reads, in bytes.
const MaxReport = 256 << 20

const (
	maxFinding = 4 << 20  // bytes of one finding
	guessed    = 32 << 10 // by which the format is told
)

func names() (all []string) {
	for _, f := range Formats() {
		all = append(all, f.Name)
	}
	return all
}

// ReadReport reads a report and calls found for each finding in it, as Format.Read does. format is the name of one of
// Formats; with "" it is guessed by what the report begins with. It returns the name of the format that was read.
//
// A report that is not of the format, or of no known one, is a *FormatError. More than MaxReport bytes are an error.
func ReadReport(r io.Reader, format string, found func(Reported) error) (string, error) {
	in := bufio.NewReaderSize(&capped{r, MaxReport}, 64<<10)
	head, err := in.Peek(guessed)
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
			return "", &FormatError{"", "the beginning", "its beginning is that of none of " + strings.Join(names(), ", ")}
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

// guess tells a format by members that only its reports have; "": it is none of them.
func guess(head []byte) string {
	text := bytes.TrimSpace(head)
	has := func(members ...string) bool {
		return !slices.ContainsFunc(members, func(m string) bool { return !bytes.Contains(text, []byte(`"`+m+`"`)) })
	}
	list, object := bytes.HasPrefix(text, []byte("[")), bytes.HasPrefix(text, []byte("{"))
	switch {
	case len(text) == 0: // trufflehog says nothing where it found nothing
		return "trufflehog"
	case list && bytes.HasPrefix(bytes.TrimSpace(text[1:]), []byte("]")), list && has("RuleID"), list && has("Secret", "StartLine"):
		return "gitleaks"
	case (list || object) && has("rule_name", "matches"):
		return "noseyparker"
	case (list || object) && has("rule", "finding"), object && has("findings", "metadata"):
		return "kingfisher"
	case object && (has("SourceMetadata") || has("level", "msg")):
		return "trufflehog"
	case object && has("runs"), object && has("$schema") && bytes.Contains(text, []byte("sarif")):
		return "sarif"
	case object && has("results") && (has("plugins_used") || has("hashed_secret")):
		return "detect-secrets"
	case object && (has("vulnerabilities", "version") || has("vulnerabilities", "scan")):
		return "gitlab"
	case object && (has("entities_with_incidents") || has("total_incidents")):
		return "ggshield"
	case !list && !object && isCSV(text):
		return "csv"
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

// text adds what may have a secret in any encoding.
func (r *Reported) text(text string) {
	if len(text) >= MinLength && len(r.Texts) < mostValues && !slices.Contains(r.Texts, text) {
		r.Texts = append(r.Texts, text)
	}
}

// line adds a text, and what in it stands between quotes, blanks and the like, or behind a colon or an equals sign.
func (r *Reported) line(text string) {
	r.text(text)
	r.words(text)
	if plain, err := url.PathUnescape(text); err == nil && plain != text {
		r.words(plain)
	}
	for _, word := range strings.FieldsFunc(text, func(c rune) bool { return strings.ContainsRune(" \t\r\n\"'`<>,;(){}[]", c) }) {
		word = strings.TrimRight(word, "=")
		for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			if b, err := e.DecodeString(word); err == nil && utf8.Valid(b) && len(b) >= MinLength {
				r.words(string(b))
			}
		}
	}
}

func (r *Reported) words(text string) {
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
