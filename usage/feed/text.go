package feed

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/go-logfmt/logfmt"
	"github.com/leodido/go-syslog/v4"
	"github.com/leodido/go-syslog/v4/rfc3164"
	"github.com/leodido/go-syslog/v4/rfc5424"
)

// Rules of reading a line of text as a record, which is an object of texts:
//
//  1. Of several patterns the first that matches counts. A group that took no part is not in the record.
//  2. Of several values of one name the first counts.
//  3. A line that ignore matches is about something else. Any other line that cannot be read is a bad record.
//  4. Who wrote a line into something else (Docker, a collector) is looked through, where the line itself cannot be read.

// The bounds of what a format of texts may say, and of what it may find.
const (
	maxPatterns    = 16
	maxPatternSize = 8 << 10 // bytes
	maxCaptures    = 64      // of all patterns of a format
	maxColumns     = 512     // of CSV, and pairs of logfmt
	maxCSVRecord   = 64 << 10
)

// reader makes a record of a line of text. Its errors repeat nothing of the line.
type reader func(line string) (map[string]any, error)

// TextSpec is how the lines of a text are read, as a preset says it.
type TextSpec struct {
	Pattern Patterns `yaml:"pattern"` // of input text, any and syslog: its named groups are the record
	Ignore  string   `yaml:"ignore"`  // what this matches is about something else
	CSV     CSVSpec  `yaml:"csv"`
}

// Patterns are regular expressions (RE2); in YAML one, or a list of them.
type Patterns []string

// UnmarshalYAML reads a text or a list of texts.
func (p *Patterns) UnmarshalYAML(unmarshal func(any) error) error {
	var one string
	if unmarshal(&one) == nil {
		*p = Patterns{one}
		return nil
	}
	var many []string
	err := unmarshal(&many)
	*p = many
	return err
}

// CSVSpec is how CSV is written.
type CSVSpec struct {
	Separator string   `yaml:"separator"` // default a comma
	Columns   []string `yaml:"columns"`   // where no line says them; default the first line does
}

// textError says which member of a format of texts is wrong.
type textError struct{ member, why, hint string }

func (e *textError) Error() string { return e.member + ": " + e.why }
func (e *textError) Hint() string  { return e.hint }

// isText reports whether lines of such an input are read into records before the jq gets them.
func (i Input) isText() bool { return i == CSV || i == Logfmt || i == Syslog }

// setText prepares f to read lines by a specification.
func (f *Format) setText(s TextSpec) error {
	patterns, err := s.Pattern.compile()
	if err != nil {
		return err
	}
	if len(patterns) > 0 && f.Input != Text && f.Input != Any && f.Input != Syslog {
		return &textError{"pattern", "goes with input text, any or syslog", "the named groups are the record that the jq gets"}
	}
	if s.Ignore != "" {
		if f.ignore, err = compilePattern("ignore", s.Ignore); err != nil {
			return err
		}
		if !f.Input.isText() && len(patterns) == 0 {
			return &textError{"ignore", "goes with lines of text: input csv, logfmt or syslog, or a pattern", ""}
		}
	}
	if f.Input != CSV && (s.CSV.Separator != "" || len(s.CSV.Columns) > 0) {
		return &textError{"csv", "goes with input csv", ""}
	}
	switch f.Input {
	case CSV:
		return f.setCSV(s.CSV)
	case Logfmt:
		f.reader = readLogfmt
	case Syslog:
		f.reader = syslogReader(patterns)
	default:
		if len(patterns) > 0 {
			f.reader = func(line string) (map[string]any, error) {
				m, ok := firstMatch(patterns, line)
				if !ok {
					return nil, errNoMatch
				}
				return m, nil
			}
		}
	}
	return nil
}

func (p Patterns) compile() ([]*regexp.Regexp, error) {
	if len(p) > maxPatterns {
		return nil, &textError{"pattern", fmt.Sprintf("%d patterns are more than %d", len(p), maxPatterns), ""}
	}
	var all []*regexp.Regexp
	captures := 0
	for _, text := range p {
		re, err := compilePattern("pattern", text)
		if err != nil {
			return nil, err
		}
		named := 0
		for _, name := range re.SubexpNames() {
			if name != "" {
				named++
			}
		}
		if named == 0 {
			return nil, &textError{"pattern", "it has no named group", "(?P<client_id>[^ ]+) makes a member client_id"}
		}
		if captures += named; captures > maxCaptures {
			return nil, &textError{"pattern", fmt.Sprintf("more than %d named groups", maxCaptures), ""}
		}
		all = append(all, re)
	}
	return all, nil
}

func compilePattern(member, text string) (*regexp.Regexp, error) {
	if len(text) > maxPatternSize {
		return nil, &textError{member, fmt.Sprintf("longer than %d KiB", maxPatternSize>>10), ""}
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, &textError{member, err.Error(), "Go's regular expressions (RE2): no look-ahead and no back-reference"}
	}
	return re, nil
}

// What is wrong with a line.
var (
	errNoMatch  = errors.New("no pattern of the format matches it")
	errLogfmt   = errors.New("it is not logfmt")
	errSyslog   = errors.New("it is not syslog (RFC 5424 or RFC 3164)")
	errCSV      = errors.New("it is not CSV")
	errNoHeader = errors.New("the line that names the columns is not known")
)

func firstMatch(patterns []*regexp.Regexp, line string) (map[string]any, bool) {
	for _, re := range patterns {
		at := re.FindStringSubmatchIndex(line)
		if at == nil {
			continue
		}
		m := map[string]any{}
		for i, name := range re.SubexpNames() {
			if _, given := m[name]; name != "" && !given && at[2*i] >= 0 {
				m[name] = line[at[2*i]:at[2*i+1]]
			}
		}
		return m, true
	}
	return nil, false
}

func readLogfmt(line string) (map[string]any, error) {
	d := logfmt.NewDecoderSize(strings.NewReader(line), max(len(line)+1, 64))
	m := map[string]any{}
	for d.ScanRecord() {
		for d.ScanKeyval() {
			key := string(d.Key())
			if _, given := m[key]; given || key == "" {
				continue
			}
			if len(m) >= maxColumns {
				return nil, errLogfmt
			}
			m[key] = string(d.Value())
		}
	}
	if d.Err() != nil || !strings.Contains(line, "=") {
		return nil, errLogfmt
	}
	return m, nil
}

// syslogReader reads what a syslog daemon writes and sends. In files there is no priority. A time of RFC 3164 says no
// year, so it is left out: the message must have another one.
func syslogReader(patterns []*regexp.Regexp) reader {
	return func(line string) (map[string]any, error) {
		m, err := syslogMembers(line)
		if err != nil || len(patterns) == 0 {
			return m, err
		}
		message, _ := m["message"].(string)
		found, ok := firstMatch(patterns, message)
		if !ok {
			return nil, errNoMatch
		}
		for name, v := range found {
			m[name] = v
		}
		return m, nil
	}
}

func syslogMembers(line string) (map[string]any, error) {
	hasPriority := strings.HasPrefix(line, "<")
	if !hasPriority {
		line = "<13>" + line
	}
	m := map[string]any{}
	if parsed, err := rfc5424.NewParser().Parse([]byte(line)); err == nil {
		message, is := parsed.(*rfc5424.SyslogMessage)
		if !is {
			return nil, errSyslog
		}
		syslogBase(m, message.Base, hasPriority, true)
		if data := message.StructuredData; data != nil {
			all := map[string]any{}
			for id, parameters := range *data {
				values := map[string]any{}
				for name, v := range parameters {
					values[name] = v
				}
				all[id] = values
			}
			m["structured_data"] = all
		}
		return m, nil
	}
	// The stamp of RFC 3164 first: rsyslog's files have RFC 3339 in its place.
	for _, option := range []syslog.MachineOption{rfc3164.WithLenientDay(), rfc3164.WithRFC3339()} {
		parsed, err := rfc3164.NewParser(option).Parse([]byte(line))
		if err != nil {
			continue
		}
		message, is := parsed.(*rfc3164.SyslogMessage)
		if !is {
			return nil, errSyslog
		}
		hasYear := message.Timestamp != nil && message.Timestamp.Year() > 1
		syslogBase(m, message.Base, hasPriority, hasYear)
		return m, nil
	}
	return nil, errSyslog
}

func syslogBase(m map[string]any, b syslog.Base, hasPriority, hasYear bool) {
	for name, v := range map[string]*string{
		"hostname": b.Hostname, "appname": b.Appname, "procid": b.ProcID, "msgid": b.MsgID, "message": b.Message,
	} {
		if v != nil {
			m[name] = *v
		}
	}
	if b.Timestamp != nil && hasYear {
		m["timestamp"] = b.Timestamp.Format("2006-01-02T15:04:05.999999999Z07:00")
	}
	if hasPriority && b.Facility != nil && b.Severity != nil {
		m["facility"], m["severity"] = int(*b.Facility), int(*b.Severity)
	}
}

// table reads lines of CSV.
type table struct {
	comma   rune
	columns []string // nil: the first line says them
}

func (f *Format) setCSV(s CSVSpec) error {
	t := &table{comma: ',', columns: s.Columns}
	if s.Separator != "" {
		runes := []rune(s.Separator)
		if len(runes) != 1 || strings.ContainsAny(s.Separator, "\"\r\n") {
			return &textError{"csv.separator", "it is not one character", `such as ";" or "\t"`}
		}
		t.comma = runes[0]
	}
	if len(s.Columns) > maxColumns {
		return &textError{"csv.columns", fmt.Sprintf("more than %d columns", maxColumns), ""}
	}
	f.table = t
	f.reader = func(line string) (map[string]any, error) { return t.row(t.columns, line) }
	return nil
}

// fields are the values of one record.
func (t *table) fields(record string) ([]string, error) {
	r := csv.NewReader(strings.NewReader(record))
	r.Comma, r.FieldsPerRecord = t.comma, -1
	values, err := r.Read()
	if err != nil || len(values) > maxColumns {
		return nil, errCSV
	}
	if _, err := r.Read(); !errors.Is(err, io.EOF) {
		return nil, errCSV
	}
	return values, nil
}

func (t *table) row(columns []string, record string) (map[string]any, error) {
	if columns == nil {
		return nil, errNoHeader
	}
	values, err := t.fields(record)
	if err != nil {
		return nil, err
	}
	if len(values) != len(columns) {
		return nil, fmt.Errorf("it does not have a value for each of %d columns", len(columns))
	}
	m := make(map[string]any, len(values))
	for i, name := range columns {
		if _, given := m[name]; !given && name != "" {
			m[name] = values[i]
		}
	}
	return m, nil
}
