package leak

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/keyrounds/keyrounds/finding"
)

// Reported is one finding of another scanner.
type Reported struct {
	Values  []string // texts that may be the secret
	Parts   []string // beginnings of it, where the report hides the rest
	HMSL    string   // GitGuardian's hash of it
	Clients []string // client ids that it names
	finding.Sighting
}

// Format reads a report. It gives each finding to found, and returns an error where the report is none of
// its kind. A finding without anything to compare counts as foreign.
type Format struct {
	Name string
	Read func(r *bufio.Reader, found func(Reported) error) error
}

// Formats are the reports that are read from files.
func Formats() []Format {
	return []Format{{"gitleaks", readGitleaks}, {"trufflehog", readTrufflehog}, {"sarif", readSARIF}}
}

// FormatError says that a report could not be read, and where.
type FormatError struct {
	Format string
	Where  string
	Why    string
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("not a report of %s: %s: %s", e.Format, e.Where, e.Why)
}

// MaxReport is the largest report that is read, in bytes.
const MaxReport = 256 << 20

const maxFinding = 4 << 20 // bytes of one finding

// ReadReport reads a report in a format; with "" it finds out which.
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
		return format, &FormatError{orAny(format), "the beginning", "it is UTF-16; reports are UTF-8 (PowerShell's > writes UTF-16: use the tool's own flag for the file)"}
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
	switch {
	case bytes.HasPrefix(text, []byte("[")):
		return "gitleaks"
	case bytes.HasPrefix(text, []byte("{")) && (bytes.Contains(text, []byte(`"runs"`)) || bytes.Contains(text, []byte(`"$schema"`)) || bytes.Contains(text, []byte(`"version"`))) && !bytes.Contains(text, []byte(`"SourceMetadata"`)):
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

// eachOf decodes the elements of a JSON list, one at a time. The decoder stands behind its opening bracket.
func eachOf(format string, d *json.Decoder, each func(json.RawMessage) error) error {
	for n := 0; d.More(); n++ {
		var raw json.RawMessage
		where := fmt.Sprintf("element %d", n)
		if err := d.Decode(&raw); err != nil {
			return &FormatError{format, where, jsonError(err)}
		}
		if len(raw) > maxFinding {
			return &FormatError{format, where, "it is larger than 4 MiB"}
		}
		if err := strict(raw); err != nil {
			return &FormatError{format, where, err.Error()}
		}
		if err := each(raw); err != nil {
			var fe *FormatError
			if errors.As(err, &fe) {
				fe.Format, fe.Where = format, where
			}
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return &FormatError{format, "the end", jsonError(err)}
	}
	return nil
}

// jsonError never repeats what was read: it may be a secret.
func jsonError(err error) string {
	var (
		syntax *json.SyntaxError
		kind   *json.UnmarshalTypeError
	)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "it ends too early"
	case errors.As(err, &syntax):
		return fmt.Sprintf("no JSON at byte %d", syntax.Offset)
	case errors.As(err, &kind):
		return fmt.Sprintf("the member %s is a %s", kind.Field, kind.Value)
	}
	return err.Error()
}

const maxNesting = 100

// strict refuses what two readers could read in two ways: members that are there twice, nesting without end,
// bytes that are no UTF-8, and text behind the value.
func strict(raw []byte) error {
	if !utf8.Valid(raw) {
		return errors.New("it is not UTF-8")
	}
	type level struct {
		object, key bool
		names       map[string]bool
	}
	var stack []level
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) && len(stack) == 0 {
			return nil
		}
		if err != nil {
			return errors.New(jsonError(err))
		}
		if n := len(stack); n > 0 && stack[n-1].object {
			top := &stack[n-1]
			if name, is := t.(string); is && top.key {
				if top.names[name] {
					return errors.New("a member is there twice")
				}
				top.names[name], top.key = true, false
				continue
			}
			top.key = true
		}
		switch t {
		case json.Delim('{'):
			stack = append(stack, level{true, true, map[string]bool{}})
		case json.Delim('['):
			stack = append(stack, level{})
		case json.Delim('}'), json.Delim(']'):
			stack = stack[:len(stack)-1]
		}
		if len(stack) > maxNesting {
			return fmt.Errorf("it is nested deeper than %d", maxNesting)
		}
		if len(stack) == 0 && d.More() {
			return errors.New("there is text behind it")
		}
	}
}

func decode(raw []byte, into any) error {
	if err := json.Unmarshal(raw, into); err != nil {
		return &FormatError{Why: jsonError(err)}
	}
	return nil
}

// readGitleaks reads the JSON list of `gitleaks git|dir --report-format json` (github.com/gitleaks/gitleaks,
// report.Finding).
func readGitleaks(r *bufio.Reader, found func(Reported) error) error {
	d := json.NewDecoder(r)
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return &FormatError{"gitleaks", "the beginning", "a JSON list is wanted"}
	}
	return eachOf("gitleaks", d, func(raw json.RawMessage) error {
		var f struct {
			RuleID, File, SymlinkFile, Commit, Secret, Match, Link, Date string
			StartLine                                                    int
		}
		if err := decode(raw, &f); err != nil {
			return err
		}
		rep := Reported{Sighting: finding.Sighting{How: "gitleaks", What: "gitleaks found it by its rule " + f.RuleID, Path: f.File, Line: f.StartLine, Commit: f.Commit, Link: f.Link, At: date(f.Date)}}
		rep.value(f.Secret)
		if f.Secret == "" {
			rep.value(f.Match)
		}
		return found(rep)
	})
}

// readTrufflehog reads `trufflehog --json`, an object a line (github.com/trufflesecurity/trufflehog,
// pkg/output/json.go).
func readTrufflehog(r *bufio.Reader, found func(Reported) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), maxFinding)
	n := 0
	for lines.Scan() {
		n++
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		where := fmt.Sprintf("line %d", n)
		if err := strict(line); err != nil {
			return &FormatError{"trufflehog", where, err.Error()}
		}
		var f struct {
			SourceMetadata *struct {
				Data map[string]map[string]any
			}
			DetectorName       string
			Verified           bool
			Raw, RawV2         string
			Redacted           string
			SecretParts        map[string]any
			Level, Msg, Logger string // of its log, which goes to the same place where both are piped
		}
		if err := decode(line, &f); err != nil {
			return &FormatError{"trufflehog", where, err.(*FormatError).Why}
		}
		if f.SourceMetadata == nil {
			if f.Level != "" || f.Msg != "" {
				continue
			}
			return &FormatError{"trufflehog", where, "it has no SourceMetadata"}
		}
		rep := Reported{Sighting: finding.Sighting{How: "trufflehog", What: "trufflehog found it as " + f.DetectorName}}
		if f.Verified {
			rep.What += " and says that it works"
		}
		for kind, data := range f.SourceMetadata.Data {
			text := func(key string) string { s, _ := data[key].(string); return s }
			rep.Source, rep.Path, rep.Commit, rep.Link, rep.At = text("repository"), text("file"), text("commit"), text("link"), date(text("timestamp"))
			if line, is := data["line"].(float64); is {
				rep.Line = int(line)
			}
			if rep.Source == "" {
				rep.Source = kind
			}
		}
		rep.value(f.Raw)
		rep.value(f.RawV2)
		rep.value(strings.TrimPrefix(f.RawV2, f.Raw)) // some detectors join id and secret
		rep.value(strings.TrimSuffix(f.RawV2, f.Raw))
		for name, v := range f.SecretParts {
			if s, is := v.(string); is {
				rep.value(s)
				if name == "client_id" {
					rep.Clients = append(rep.Clients, s)
				}
			}
		}
		if f.Raw == "" {
			rep.part(f.Redacted)
		}
		if err := found(rep); err != nil {
			return err
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return &FormatError{"trufflehog", fmt.Sprintf("line %d", n+1), "it is longer than 4 MiB"}
	}
	return lines.Err()
}

// readSARIF reads SARIF 2.1.0 (OASIS), as gitleaks and others write it: the secret is in the region's snippet.
func readSARIF(r *bufio.Reader, found func(Reported) error) error {
	fail := func(where, why string) error { return &FormatError{"sarif", where, why} }
	d := json.NewDecoder(r)
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return fail("the beginning", "a JSON object is wanted")
	}
	runs := false
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return fail("the beginning", jsonError(err))
		}
		var raw json.RawMessage
		if t != "runs" {
			if err := d.Decode(&raw); err != nil {
				return fail(fmt.Sprint(t), jsonError(err))
			}
			continue
		}
		if runs {
			return fail("runs", "it is there twice")
		}
		runs = true
		if t, err := d.Token(); err != nil || t != json.Delim('[') {
			return fail("runs", "a list is wanted")
		}
		for d.More() {
			if err := readRun(d, found); err != nil {
				return err
			}
		}
		if _, err := d.Token(); err != nil {
			return fail("runs", jsonError(err))
		}
	}
	if _, err := d.Token(); err != nil {
		return fail("the end", jsonError(err))
	}
	if !runs {
		return fail("runs", "it is missing")
	}
	return nil
}

func readRun(d *json.Decoder, found func(Reported) error) error {
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return &FormatError{"sarif", "runs", "an object is wanted"}
	}
	tool := "SARIF"
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return &FormatError{"sarif", "runs", jsonError(err)}
		}
		switch t {
		case "tool":
			var v struct{ Driver struct{ Name string } }
			if err := d.Decode(&v); err != nil {
				return &FormatError{"sarif", "tool", jsonError(err)}
			}
			if v.Driver.Name != "" {
				tool = v.Driver.Name
			}
		case "results":
			t, err := d.Token()
			if err == nil && t == nil { // a scan that failed
				continue
			}
			if err != nil || t != json.Delim('[') {
				return &FormatError{"sarif", "results", "a list is wanted"}
			}
			err = eachOf("sarif", d, func(raw json.RawMessage) error {
				rep, err := sarifResult(tool, raw)
				if err != nil {
					return err
				}
				return found(rep)
			})
			if err != nil {
				return err
			}
		default:
			var raw json.RawMessage
			if err := d.Decode(&raw); err != nil {
				return &FormatError{"sarif", fmt.Sprint(t), jsonError(err)}
			}
		}
	}
	_, err := d.Token()
	return err
}

func sarifResult(tool string, raw json.RawMessage) (Reported, error) {
	type region struct {
		StartLine int
		Snippet   struct{ Text string }
	}
	var f struct {
		RuleID    string
		Locations []struct {
			PhysicalLocation struct {
				ArtifactLocation      struct{ URI string }
				Region, ContextRegion region
			}
		}
		PartialFingerprints map[string]any
	}
	if err := decode(raw, &f); err != nil {
		return Reported{}, err
	}
	rep := Reported{Sighting: finding.Sighting{How: "sarif", What: tool + " found it by its rule " + f.RuleID}}
	for i, l := range f.Locations[:min(len(f.Locations), 10)] {
		p := l.PhysicalLocation
		if i == 0 {
			rep.Path, rep.Line = p.ArtifactLocation.URI, p.Region.StartLine
		}
		rep.line(p.Region.Snippet.Text)
		rep.line(p.ContextRegion.Snippet.Text)
	}
	text := func(key string) string { s, _ := f.PartialFingerprints[key].(string); return s }
	rep.Commit, rep.At = text("commitSha"), date(text("date"))
	return rep, nil
}

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
	if len(text) >= prefixLengths[0] && len(r.Parts) < mostValues && !slices.Contains(r.Parts, text) {
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
