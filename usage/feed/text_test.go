package feed

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// formatIn is the format of a file with that text.
func formatIn(t *testing.T, text string) (Format, error) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "my.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return ReadFormat(t.Context(), name)
}

func mustFormatIn(t *testing.T, text string) Format {
	t.Helper()
	f, err := formatIn(t, text)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// clientsOf is who did something by a text, and what of it was left out and bad.
func clientsOf(t *testing.T, read func(each func(Reading) error) error) (clients []string, skipped, bad int) {
	t.Helper()
	err := read(func(r Reading) error {
		for _, e := range r.Events {
			who := e.ClientID
			if !e.OK {
				who += " refused"
			}
			clients = append(clients, who)
		}
		skipped, bad = skipped+r.Skipped, bad+r.BadSeen
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return clients, skipped, bad
}

const (
	captures = `
input: text
pattern:
  - '^(?P<time>\S+) (?P<client>\S+) (?P<status>\d{3})(?: (?P<note>.*))?$'
  - '^login of (?P<client>\S+) at (?P<time>\S+)$'
ignore: '^(#|started)'
jq: '{client_id: .client, at: .time, ok: (.status != "401")}'
`
	columns = `
input: csv
csv: {separator: ";"}
jq: '{client_id: .client, at: .time, ok: (.status != "401")}'
`
)

// A line of each kind of text becomes the event that it says.
func TestTextBecomesEvents(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		format, text string
		clients      []string
		skipped, bad int
	}{
		"named groups, the first pattern that matches": {
			captures, "2026-11-02T08:00:01Z a 200\n# comment\n2026-11-02T08:00:02Z b 401 no\nlogin of c at 2026-11-02T08:00:03Z\nelse\n",
			[]string{"a", "b refused", "c"},
			1, 1,
		},
		"the groups are the event where there is no jq": {
			"input: text\npattern: '^(?P<at>\\S+) (?P<client_id>\\S+)'", "2026-11-02T08:00:01Z a\n", []string{"a"}, 0, 0,
		},
		"as Docker writes it": {
			captures, `{"log":"2026-11-02T08:00:01Z a 200\n","stream":"stdout","time":"2026-11-02T08:00:01Z"}`, []string{"a"}, 0, 0,
		},
		"as CRI writes it": {captures, "2026-11-02T08:00:01.1Z stdout F 2026-11-02T08:00:01Z a 200\n", []string{"a"}, 0, 0},
		"CSV with a header, a quoted value over two lines, and the header again": {
			columns, "time;client;status\n2026-11-02T08:00:01Z;\"a\n;b\";200\n\ntime;client;status\n2026-11-02T08:00:02Z;c;401\n",
			[]string{"a\n;b", "c refused"},
			0, 0,
		},
		"CSV with a byte order mark and spaces": {
			columns, "\xef\xbb\xbftime; client;status\r\n2026-11-02T08:00:01Z;a;200\r\n", []string{"a"}, 0, 0,
		},
		"CSV with too few values": {columns, "time;client;status\n2026-11-02T08:00:01Z;a\n2026-11-02T08:00:01Z;b;2\n", []string{"b"}, 0, 1},
		"CSV without a header": {
			"input: csv\ncsv: {columns: [at, client_id]}", "2026-11-02T08:00:01Z,a\n", []string{"a"}, 0, 0,
		},
		"logfmt": {
			"input: logfmt\njq: '{client_id: .client, at: .time, ok: (.status != \"401\")}'",
			"time=2026-11-02T08:00:01Z client=\"a b\" status=200 client=forged\ntime=2026-11-02T08:00:01Z client=c status=401 ok\nnone\n",
			[]string{"a b", "c refused"},
			0, 1,
		},
		"syslog of RFC 5424": {
			"input: syslog\njq: '{client_id: .structured_data[\"auth@32473\"].client, at: .timestamp, user_agent: .appname}'",
			"<134>1 2026-11-02T08:00:01.003Z gw.example.com gateway 8710 - [auth@32473 client=\"a\"] GET /jobs\n",
			[]string{"a"},
			0, 0,
		},
		"syslog as rsyslog's files have it, with the message in a pattern": {
			"input: syslog\npattern: 'client=(?P<client>\\S+)'\njq: '{client_id: .client, at: .timestamp}'",
			"2026-11-02T08:00:01.123456+01:00 gw gateway[17]: GET /jobs client=a\n",
			[]string{"a"},
			0, 0,
		},
		"syslog of RFC 3164 has no year: the time is the message's": {
			"input: syslog\npattern: 'at=(?P<at>\\S+) client=(?P<client_id>\\S+)'",
			"<134>Nov  2 08:00:01 gw gateway[17]: at=2026-11-02T08:00:01Z client=a\n" +
				"Nov 12 08:00:01 gw gateway: at=2026-11-12T08:00:01Z client=b\n",
			[]string{"a", "b"},
			0, 0,
		},
		"syslog without a time": {
			"input: syslog\npattern: 'client=(?P<client_id>\\S+)'\njq: '{client_id: .client_id, at: .timestamp}'",
			"<134>Nov  2 08:00:01 gw gateway[17]: client=a\n", nil, 0, 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := mustFormatIn(t, c.format)
			clients, skipped, bad := clientsOf(t, func(each func(Reading) error) error {
				return f.Read(t.Context(), strings.NewReader(c.text), each)
			})
			if diff := cmp.Diff(c.clients, clients); diff != "" || skipped != c.skipped || bad != c.bad {
				t.Errorf("clients (-want +got):\n%s%d left out and %d bad, want %d and %d", diff, skipped, bad, c.skipped, c.bad)
			}
		})
	}
}

// A followed file of CSV goes on in the middle with the columns that its first line names, however long that line is.
func TestFollowedCSVKnowsItsColumns(t *testing.T) {
	t.Parallel()
	f := mustFormatIn(t, columns)
	for name, header := range map[string]string{
		"short":              "time;client;status",
		"longer than a head": "time;client;status;" + strings.Repeat("x", 3*headSize),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			more := strings.Repeat(";", strings.Count(header, ";")-2)
			log := filepath.Join(t.TempDir(), "log.csv")
			var known []FilePosition
			take := func(text string) (clients []string) {
				appendTo(t, log, text)
				chunks, err := Chunks([]string{log}, known, time.Now())
				if err != nil || len(chunks) != 1 {
					t.Fatalf("%d chunks: %v", len(chunks), err)
				}
				known = []FilePosition{chunks[0].After}
				clients, _, bad := clientsOf(t, func(each func(Reading) error) error {
					return f.Read(t.Context(), Followed{strings.NewReader(string(chunks[0].Text)), chunks[0].Head}, each)
				})
				if bad > 0 {
					t.Errorf("%d bad records", bad)
				}
				return clients
			}
			got := take(header + "\n2026-11-02T08:00:01Z;a;200" + more + "\n")
			got = append(got, take("2026-11-02T08:00:02Z;b;200"+more+"\n"+header+"\n2026-11-02T08:00:03Z;c;401"+more+"\n")...)
			if diff := cmp.Diff([]string{"a", "b", "c refused"}, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func appendTo(t *testing.T, name, text string) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// A file that holds a format says what is wrong with it, where, and what is allowed.
func TestFormatFilesAreStrict(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, says, hints string }{
		"an unknown member": {"title: x\ninputs: text\n", "my.yaml:2:1: unknown field \"inputs\"", "pattern"},
		"an unknown input":  {"jq: .\ninput: xml\n", "my.yaml:2:1: input: unknown input \"xml\"", "logfmt"},
		"no named group":    {"input: text\npattern: 'a+'\n", "my.yaml:2:1: pattern: it has no named group", "(?P<client_id>"},
		"not RE2":           {"input: text\npattern: '(?P<a>x)(?=y)'\n", "my.yaml:2:1: pattern: error parsing regexp", "RE2"},
		"a pattern of JSON": {"pattern: '(?P<a>x)'\njq: .\n", "my.yaml:1:1: pattern: goes with input", "named groups"},
		"columns of JSON":   {"csv: {columns: [a]}\njq: .\n", "my.yaml:1:1: csv: goes with input csv", ""},
		"a long separator":  {"input: csv\ncsv: {separator: ab}\n", "my.yaml:2:1: csv.separator: it is not one character", ";"},
		"broken jq":         {"input: logfmt\njq: '{'\n", "my.yaml:2:1: jq: unexpected", ""},
		"no jq of JSON":     {"title: x\n", "my.yaml: jq: is missing", "{client_id"},
		"a log API":         {"jq: .\npoll: {url: x}\n", "my.yaml:2:1: poll: a format in a file is not asked for", "http"},
		"too many patterns": {"input: text\npattern: [" + strings.Repeat("'(?P<a>x)',", 17) + "]\n", "pattern: 17 patterns", ""},
		"an example that is else": {
			"input: logfmt\nexamples:\n  - record: 'at=1793606401 client_id=a'\n    events: [{client_id: b, at: 1793606401}]\n",
			"example 1: event 1 has another ClientID",
			"events",
		},
		"an example that is bad": {
			"input: logfmt\nexamples:\n  - record: 'no pair'\n    events: []\n",
			"example 1: the record cannot be read: it is not logfmt",
			"events",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := formatIn(t, c.text)
			if err == nil {
				t.Fatal("it was taken")
			}
			hint := err.(interface{ Hint() string }).Hint()
			if !strings.Contains(err.Error(), c.says) || !strings.Contains(hint, c.hints) {
				t.Errorf("%v\nhint: %s\nwant %q and %q", err, hint, c.says, c.hints)
			}
		})
	}
}

// Examples that hold are no error, and two formats that read differently are two.
func TestFormatFilesAreTold(t *testing.T) {
	t.Parallel()
	a := mustFormatIn(t, "input: logfmt\nexamples:\n  - record: 'at=1793606401 client_id=a'\n"+
		"    events: [{client_id: a, at: '2026-11-02T08:00:01Z'}]\n  - {record: '', events: []}\n")
	b := mustFormatIn(t, "input: syslog\n")
	if a.Name != "my.yaml" || a.Key() == b.Key() {
		t.Errorf("%s and %s, %s", a.Name, a.Key(), b.Key())
	}
}

// What is in an envelope is read, by formats of text too; a gateway's own "body" is a stranger's text and is not.
func TestCarriedRecords(t *testing.T) {
	t.Parallel()
	nginx, err := NewFormat("nginx-json", "")
	if err != nil {
		t.Fatal(err)
	}
	cognito, err := NewFormat("cognito", "")
	if err != nil {
		t.Fatal(err)
	}
	const token = `{"eventTime":"2026-11-02T08:00:01Z","eventSource":"cognito-idp.amazonaws.com","eventName":"Token_POST",` +
		`"additionalEventData":{"responseParameters":{"status":200},"requestParameters":{"client_id":["a"]}}}`
	record := `{"time_iso8601":"2026-11-02T08:00:01Z","client_id":"a","status":200}`
	for name, c := range map[string]struct {
		format Format
		text   string
		want   []string
	}{
		"a document":           {cognito, `{"time":1793606401,"event":` + token + `}`, []string{"a"}},
		"a document as a text": {cognito, `{"body":` + quoted(`{"Records":[`+token+`,`+token+`]}`) + `}`, []string{"a", "a"}},
		"an object":            {nginx, `{"time":1793606401,"body":` + record + `}`, []string{"a"}},
		"a text that is JSON":  {nginx, `{"time":1793606401,"event":` + quoted(record) + `}`, []string{"a"}},
		"a line":               {mustFormatIn(t, captures), `{"time":1,"body":"2026-11-02T08:00:01Z a 200"}`, []string{"a"}},
		"logfmt":               {mustFormatIn(t, "input: logfmt"), `{"event":"at=2026-11-02T08:00:01Z client_id=a"}`, []string{"a"}},
		"a line of CSV": {
			mustFormatIn(t, "input: csv\ncsv: {columns: [at, client_id]}"),
			`{"body":"2026-11-02T08:00:01Z,a"}`,
			[]string{"a"},
		},
		"the envelope by the jq": {
			mustFormatIn(t, "jq: '{client_id: .attributes.client, at: .time}'"),
			`{"time":1793606401,"body":"x","attributes":{"client":"a"}}`,
			[]string{"a"},
		},
		"lines as they are, jq": {
			mustFormatIn(t, "input: text\njq: 'split(\" \") | {at: .[0], client_id: .[1]}'"),
			`{"body":"2026-11-02T08:00:01Z a"}`,
			[]string{"a"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, _, bad := clientsOf(t, func(each func(Reading) error) error {
				return c.format.Read(t.Context(), Carried{strings.NewReader(c.text)}, each)
			})
			if diff := cmp.Diff(c.want, got); diff != "" || bad > 0 {
				t.Errorf("%d bad, -want +got:\n%s", bad, diff)
			}
		})
	}
}

// What a stranger can bring into a line of a gateway's text is read as nobody's use: a line names the client that the gateway
// knows, or nobody, or cannot be read.
func TestLinesCannotBeForged(t *testing.T) {
	t.Parallel()
	const (
		traefik = `203.0.113.7 - %s [28/Feb/2018:17:30:33 +0000] "GET %s HTTP/2.0" 401 17 "%s" "%s" 13 "r@docker" "http://172.19.0.6" 2ms`
		haproxy = `gw haproxy[1]: 203.0.113.7:4711 [28/Feb/2018:17:30:33.000] fe be/s 0/0/0/1/1 401 17 - - ---- 1/1/0/0/0 0/0 ` +
			`{%s} "GET %s HTTP/1.1"`
		short = `a [28/Feb/2018:17:30:33 +0000] "GET" 200 1`
		cut   = `gw haproxy[1]: 203.0.113.7:4711 [28/Feb/2018:17:30:33.000] fe be/s 0/0/0/1/1 401 17 - - ---- 1/1/0/0/0 0/0 ` +
			`"GET / client_id=a`
		forged = `a [28/Feb/2018:17:30:33 +0000] "GET / HTTP/2.0" 200 17 "-" "-" 1 "r" "u" 1ms`
	)
	for name, c := range map[string]struct {
		preset, line string
		want         []string
	}{
		"traefik, as it is":                 {"traefik", fmt.Sprintf(traefik, "a", "/", "-", "-"), []string{"a refused"}},
		"traefik, a whole line as the name": {"traefik", fmt.Sprintf(traefik, forged, "/", "-", "-"), nil},
		"traefik, a short line as the name": {"traefik", fmt.Sprintf(traefik, short, "/", "-", "-"), nil},
		"traefik, in the agent":             {"traefik", fmt.Sprintf(traefik, "-", "/", "-", `\" 200 17 \"`+forged), nil},
		"haproxy, in the path":              {"haproxy", fmt.Sprintf(haproxy, "h", "/?x client_id=a"), []string{" refused"}},
		"haproxy, in a path that is cut":    {"haproxy", cut, []string{" refused"}},
		"haproxy, in a header":              {"haproxy", fmt.Sprintf(haproxy, `x client_id=a`, "/"), []string{" refused"}},
		"haproxy, as it is":                 {"haproxy", fmt.Sprintf(haproxy, "h", "/") + " client_id=a", []string{"a refused"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, err := NewFormat(c.preset, "")
			if err != nil {
				t.Fatal(err)
			}
			got, _, _ := clientsOf(t, func(each func(Reading) error) error { return f.Read(t.Context(), strings.NewReader(c.line), each) })
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.line, diff)
			}
		})
	}
}

// PingFederate's default layout has a transaction id in newer versions, as its documentation lists the fields.
func TestPingFederateLayouts(t *testing.T) {
	t.Parallel()
	f, err := NewFormat("pingfederate", "")
	if err != nil {
		t.Fatal(err)
	}
	const rest = "OAuth| joe| 127.0.0.1 | | client| OAuth20| localhost| AS| %s| PdFormAdpt| |  7\n"
	text := fmt.Sprintf("2026-11-02 08:00:01,493| tid:x| "+rest+"2026-11-02 08:00:01,493| tid:x| transaction| "+rest, "success", "failure")
	got, _, bad := clientsOf(t, func(each func(Reading) error) error { return f.Read(t.Context(), strings.NewReader(text), each) })
	if diff := cmp.Diff([]string{"client", "client refused"}, got); diff != "" || bad > 0 {
		t.Errorf("%d bad, -want +got:\n%s", bad, diff)
	}
}

// Whatever a format file and a text hold, reading them ends, and says what is wrong without repeating it.
func FuzzTexts(f *testing.F) {
	f.Add(`^(?P<at>\S+) (?P<client_id>\S+)`, ";", "2026-11-02T08:00:01Z a\n")
	f.Add(`client=(?P<client_id>\S+)`, ",", "<134>1 2026-11-02T08:00:01Z h a 1 - [x@1 y=\"z\"] client=a\n")
	f.Add(`(?P<a>.)`, "\t", "a\tb\n\"c\n\"d\"\n")
	f.Add(`(?P<a>.)`, ",", "at=1793606401 client_id=\"a\" =\n")
	f.Fuzz(func(t *testing.T, pattern, separator, text string) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		for _, p := range []Preset{
			{Input: Text, TextSpec: TextSpec{Pattern: Patterns{pattern}, Ignore: pattern}},
			{Input: Syslog, TextSpec: TextSpec{Pattern: Patterns{pattern}}},
			{Input: Syslog},
			{Input: Logfmt},
			{Input: CSV, TextSpec: TextSpec{CSV: CSVSpec{Separator: separator}}},
			{Input: CSV, TextSpec: TextSpec{CSV: CSVSpec{Separator: separator, Columns: []string{"at", "client_id"}}}},
		} {
			format, err := p.format("fuzzed", false)
			if err != nil {
				continue
			}
			for _, in := range []string{text, `{"body":` + quoted(text) + `}`} {
				err := format.Read(ctx, strings.NewReader(in), func(r Reading) error {
					for _, b := range r.Bad {
						if len([]rune(b.Sample)) > maxSample {
							t.Errorf("the sample %q is long", b.Sample)
						}
					}
					return nil
				})
				if err != nil {
					t.Errorf("%s: %v", p.Input, err)
				}
			}
		}
	})
}

func quoted(text string) string {
	b, err := json.Marshal(text)
	if err != nil {
		return `""`
	}
	return string(b)
}

// Whatever an envelope of OTLP or HEC holds, opening it ends, and what is in it stays below its bound.
func FuzzEnvelopes(f *testing.F) {
	f.Add([]byte(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"kvlistValue":{"values":[{"key":"a"}]}},"traceId":"ab"}]}]}]}`))
	f.Add([]byte(`{"event":"x"}{"event":{"a":1}} {"time":1}`))
	f.Add([]byte("\x0a\x0c\x12\x0a\x12\x08\x2a\x06\x0a\x04body"))
	plain, err := NewFormat("plain", "")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, request []byte) {
		opened := func(e Envelopes, err error) {
			if err == nil && strings.Count(string(e.Text), "\n") != e.Records || len(e.Text) > MaxEnvelopes {
				t.Errorf("%d records in %q", e.Records, e.Text)
			}
			err = plain.Read(t.Context(), Carried{strings.NewReader(string(e.Text))}, func(Reading) error { return nil })
			if err != nil {
				t.Error(err)
			}
		}
		opened(OTLPLogs(request, true))
		opened(OTLPLogs(request, false))
		opened(HECEvents(request))
	})
}
