package app_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/protobuf/proto"

	"github.com/keyrounds/keyrounds/usage"
)

// send posts a body to a sender's endpoint, and returns what was answered. Nothing of what is sent is in the log.
func (o *office) send(path, body string, header ...string) (*http.Response, string) {
	o.Helper()
	resp, text := o.post(path, strings.NewReader(body), header...)
	if strings.Contains(o.log.String(), "c4n4ry") {
		o.Errorf("the log shows what was sent: %s", o.log.String())
	}
	return resp, text
}

func packed(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(text))
	_ = z.Close()
	return b.String()
}

func textValue(s string) *common.AnyValue {
	return &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: s}}
}

// request is one of OTLP with a record for each body.
func request(t *testing.T, bodies ...*common.AnyValue) string {
	t.Helper()
	records := make([]*logs.LogRecord, len(bodies))
	for i, b := range bodies {
		records[i] = &logs.LogRecord{Body: b, ObservedTimeUnixNano: 1, TraceId: bytes.Repeat([]byte{0xab}, 16)}
	}
	b, err := proto.Marshal(&collector.ExportLogsServiceRequest{ResourceLogs: []*logs.ResourceLogs{{
		Resource:  &resource.Resource{Attributes: []*common.KeyValue{{Key: "service.name", Value: textValue("gateway")}}},
		ScopeLogs: []*logs.ScopeLogs{{LogRecords: records}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// OTLP/HTTP is answered as its specification says, in the encoding of the request; what is sent again counts once, and of what can be
// read in part that part counts.
func TestOTLPLogs(t *testing.T) {
	t.Parallel()
	now := time.Now().UTC().Truncate(time.Second)
	o := newOffice(t, now, "")
	at := now.Add(-time.Hour).Format(time.RFC3339)
	record := `{"client_id":"a","at":"` + at + `"}`
	list := &common.AnyValue{Value: &common.AnyValue_KvlistValue{KvlistValue: &common.KeyValueList{Values: []*common.KeyValue{
		{Key: "client_id", Value: textValue("b")}, {Key: "at", Value: textValue(at)},
	}}}}
	both := request(t, textValue(record), list)
	asJSON := func(body string) string {
		return `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"1793606401000000000",` +
			`"traceId":"5b8efff798038103d269b633813fc60c",` +
			`"severityNumber":9,"unknownToUs":1,"body":{"stringValue":` + body + `}}]}]}]}`
	}
	quoted, _ := json.Marshal(record)
	auth := []string{"Authorization", "Bearer " + pushToken}
	const protobuf, isJSON = "application/x-protobuf", "application/json"
	partly := request(t, textValue(`secret=c4n4ry`), textValue(strings.Replace(record, "a", "b", 1)))
	for _, k := range []struct {
		name, kind, body string
		header           []string
		status           int
		rejected         int64
		uses             int
		says             string // in the answer
	}{
		{"protobuf, a text and a list of pairs", protobuf, both, auth, 200, 0, 2, ""},
		{"the same again, packed", protobuf, packed(both), append(auth, "Content-Encoding", "gzip"), 200, 0, 2, ""},
		{"JSON, with members that are unknown", isJSON, asJSON(string(quoted)), auth, 200, 0, 3, "{}"},
		{"a record that cannot be read", protobuf, partly, auth, 200, 1, 4, "1 of 2 records could not be read as plain"},
		{"JSON that cannot be read", isJSON, asJSON(`"c4n4ry"`), auth, 200, 1, 4, `"rejectedLogRecords":"1"`},
		{"nothing", protobuf, "", auth, 200, 0, 4, ""},
		{"no protobuf", protobuf, "c4n4ry", auth, 400, 0, 4, "ExportLogsServiceRequest"},
		{"no JSON", isJSON, "c4n4ry", auth, 400, 0, 4, `"code":3`},
		{"another type", "text/plain", record, auth, 415, 0, 4, "application/json"},
		{"another encoding", protobuf, both, append(auth, "Content-Encoding", "snappy"), 415, 0, 4, "gzip"},
		{"broken gzip", protobuf, packed(both)[:20], auth, 400, 0, 4, "gzip"},
		{"another token", isJSON, "{}", []string{"Authorization", "Bearer c4n4ry"}, 401, 0, 4, `"code":16`},
		{"too much", protobuf, strings.Repeat("x", 17<<20), auth, 413, 0, 4, "16 MiB"},
		{"too much, packed", protobuf, packed(strings.Repeat("x", 17<<20)), auth, 413, 0, 4, "16 MiB"},
	} {
		resp, answer := o.send("/v1/logs", k.body, append([]string{"Content-Type", k.kind}, k.header...)...)
		says := strings.Contains(strings.ReplaceAll(answer, " ", ""), strings.ReplaceAll(k.says, " ", "")) // protojson has blanks at random
		if resp.StatusCode != k.status || o.uses() != k.uses || !says {
			t.Errorf("%s: %d %q, and %d uses; want %d, %q and %d", k.name, resp.StatusCode, answer, o.uses(), k.status, k.says, k.uses)
		}
		if kind := resp.Header.Get("Content-Type"); kind != k.kind && k.kind != "text/plain" {
			t.Errorf("%s: the answer is %s", k.name, kind)
		}
		var got collector.ExportLogsServiceResponse
		if k.kind == protobuf && k.status == http.StatusOK {
			if err := proto.Unmarshal([]byte(answer), &got); err != nil || got.GetPartialSuccess().GetRejectedLogRecords() != k.rejected {
				t.Errorf("%s: %v, error %v; want %d rejected", k.name, &got, err, k.rejected)
			}
		}
	}
	feeds, err := o.app.Usage.Feeds(t.Context())
	if err != nil || feeds[0].Counts[usage.ResultBad] != 2 {
		t.Errorf("%+v, error %v: the records that could not be read are not counted", feeds, err)
	}
}

// While the database is away a sender is told to come again, in its own protocol.
func TestSendersWait(t *testing.T) {
	t.Parallel()
	now := time.Now().UTC()
	o := newOffice(t, now, "")
	lock, err := o.app.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lock.Rollback(t.Context()) }()
	if err := o.app.Usage.Lock(t.Context(), lock, "idp"); err != nil {
		t.Fatal(err)
	}
	body := request(t, textValue(`{"client_id":"a","at":1793606401}`))
	resp, _ := o.send("/v1/logs", body, "Content-Type", "application/x-protobuf", "Authorization", "Bearer "+pushToken)
	if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
		t.Errorf("OTLP: %d, Retry-After %q", resp.StatusCode, resp.Header.Get("Retry-After"))
	}
	resp, answer := o.send("/services/collector", `{"event":"x"}`, "Authorization", "Splunk "+pushToken)
	if resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(answer, `"code":9`) {
		t.Errorf("HEC: %d %s", resp.StatusCode, answer)
	}
}

// Splunk's HTTP Event Collector is answered as Splunk answers: by its codes, for events that follow each other, raw lines
// and the health; what is sent again counts once.
func TestHEC(t *testing.T) {
	t.Parallel()
	now := time.Now().UTC().Truncate(time.Second)
	o := newOffice(t, now, "")
	record := func(client string) string {
		return fmt.Sprintf(`{"client_id":%q,"at":%q}`, client, now.Add(-time.Hour).Format(time.RFC3339))
	}
	quoted, _ := json.Marshal(record("b"))
	two := `{"time":1793606401.5,"host":"planted","event":` + record("a") + `}{"event":` + string(quoted) + `,"fields":{"x":"y"}}`
	three := `{"event":` + record("b") + `}`
	splunk := []string{"Authorization", "Splunk " + pushToken}
	const success = `{"text":"Success","code":0}`
	for _, k := range []struct {
		name, path, body string
		header           []string
		status           int
		answer           string
		uses             int
	}{
		{"two events", "", two, splunk, 200, success, 2},
		{"the same again, packed", "/event", packed(two), append(splunk, "Content-Encoding", "gzip"), 200, success, 2},
		{"raw lines", "/raw?channel=x", record("a") + "\n" + record("b") + "\n", splunk, 200, success, 4},
		{"raw lines, Basic", "/raw/1.0", record("a") + "\n", []string{"Authorization", basic("x", pushToken)}, 200, success, 5},
		{"an event that cannot be read", "/event/1.0", `{"event":"c4n4ry"}`, splunk, 200, success, 5},
		{"nothing", "", " ", splunk, 400, `{"text":"No data","code":5}`, 5},
		{"a list", "", `[` + record("a") + `]`, splunk, 400, `{"text":"Invalid data format","code":6,"invalid-event-number":0}`, 5},
		{"a torn one", "", three + `{"event":"c4n4`, splunk, 400, `{"text":"Invalid data format","code":6,"invalid-event-number":1}`, 6},
		{"a stray bracket", "", two + `]`, splunk, 400, `{"text":"Invalid data format","code":6,"invalid-event-number":2}`, 8},
		{"no event", "", `{"host":"planted"}`, splunk, 400, `{"text":"Event field is required","code":12,"invalid-event-number":0}`, 8},
		{"a blank event", "", `{"event":""}`, splunk, 400, `{"text":"Event field cannot be blank","code":13,"invalid-event-number":0}`, 8},
		{"no token", "", two, nil, 401, `{"text":"Token is required","code":2}`, 8},
		{"another scheme", "", two, []string{"Authorization", "Digest x"}, 401, `{"text":"Invalid authorization","code":3}`, 8},
		{"another token", "/raw", two, []string{"Authorization", "Splunk c4n4ry"}, 403, `{"text":"Invalid token","code":4}`, 8},
		{"acknowledgements", "/ack", `{"acks":[0]}`, splunk, 400, `{"text":"ACK is disabled","code":14}`, 8},
		{"too much", "", strings.Repeat("x", 17<<20), splunk, 413, `{"text":"Request entity too large","code":27}`, 8},
	} {
		resp, answer := o.send("/services/collector"+k.path, k.body, k.header...)
		if resp.StatusCode != k.status || strings.TrimSpace(answer) != k.answer || o.uses() != k.uses {
			t.Errorf("%s: %d %s and %d uses; want %d %s and %d", k.name, resp.StatusCode, answer, o.uses(), k.status, k.answer, k.uses)
		}
	}
	feeds, err := o.app.Usage.Feeds(t.Context())
	if err != nil || feeds[0].Counts[usage.ResultBad] != 6 { // an event that the format cannot read, and five that are none
		t.Errorf("%+v, error %v: what could not be read is not counted", feeds, err)
	}
	if status := o.get("/services/collector/health"); status != http.StatusOK {
		t.Errorf("the health is %d", status)
	}
	if strings.Contains(o.log.String(), "planted") {
		t.Error("the log shows what was sent")
	}
}

func basic(user, password string) string {
	r := &http.Request{Header: http.Header{}}
	r.SetBasicAuth(user, password)
	return r.Header.Get("Authorization")
}
