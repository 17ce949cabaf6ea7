package feed

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	collector "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/protobuf/proto"
)

func otlpText(s string) *common.AnyValue {
	return &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: s}}
}

// The same records in protobuf and in JSON are the same, ids in hexadecimal among it, so that a batch counts once in either.
func TestOTLPIsTheSameInBothEncodings(t *testing.T) {
	t.Parallel()
	binary, err := proto.Marshal(&collector.ExportLogsServiceRequest{ResourceLogs: []*logs.ResourceLogs{{
		Resource: &resource.Resource{Attributes: []*common.KeyValue{{Key: "service.name", Value: otlpText("gw")}}},
		ScopeLogs: []*logs.ScopeLogs{{Scope: &common.InstrumentationScope{Name: "s"}, LogRecords: []*logs.LogRecord{{
			TimeUnixNano: 1793606401000000001, SeverityNumber: 9, SeverityText: "INFO", EventName: "e",
			Body: otlpText("GET /jobs"), TraceId: []byte("0123456789abcdef"), SpanId: []byte("01234567"),
			Attributes: []*common.KeyValue{
				{Key: "n", Value: &common.AnyValue{Value: &common.AnyValue_IntValue{IntValue: 1 << 60}}},
				{Key: "list", Value: &common.AnyValue{Value: &common.AnyValue_ArrayValue{ArrayValue: &common.ArrayValue{
					Values: []*common.AnyValue{otlpText("x"), {Value: &common.AnyValue_BoolValue{BoolValue: true}}},
				}}}},
				{Key: "bytes", Value: &common.AnyValue{Value: &common.AnyValue_BytesValue{BytesValue: []byte{1, 2}}}},
			},
		}}}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	const inJSON = `{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"gw"}}]},` +
		`"scopeLogs":[{"scope":{"name":"s"},"logRecords":[{"timeUnixNano":"1793606401000000001","severityNumber":9,"severityText":"INFO",` +
		`"eventName":"e","body":{"stringValue":"GET /jobs"},"traceId":"30313233343536373839616263646566","spanId":"3031323334353637",` +
		`"attributes":[{"key":"n","value":{"intValue":"1152921504606846976"}},` +
		`{"key":"list","value":{"arrayValue":{"values":[{"stringValue":"x"},{"boolValue":true}]}}},` +
		`{"key":"bytes","value":{"bytesValue":"AQI="}}]}]}]}]}`
	a, err1 := OTLPLogs(binary, false)
	b, err2 := OTLPLogs([]byte(inJSON), true)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(a.Text), string(b.Text)); diff != "" {
		t.Errorf("-protobuf +JSON:\n%s", diff)
	}
	var record map[string]any
	if err := json.Unmarshal(a.Text, &record); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"time": "2026-11-02T08:00:01.000000001Z", "severity": "INFO", "severity_number": 9., "event_name": "e", "scope": "s",
		"body": "GET /jobs", "trace_id": "30313233343536373839616263646566", "span_id": "3031323334353637",
		"attributes": map[string]any{"n": float64(1 << 60), "list": []any{"x", true}, "bytes": "AQI="},
		"resource":   map[string]any{"service.name": "gw"},
	}
	if diff := cmp.Diff(want, record); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// A small request whose records share something large does not become more than the bound.
func TestEnvelopesAreBounded(t *testing.T) {
	t.Parallel()
	records := make([]*logs.LogRecord, 1000)
	for i := range records {
		records[i] = &logs.LogRecord{}
	}
	request, err := proto.Marshal(&collector.ExportLogsServiceRequest{ResourceLogs: []*logs.ResourceLogs{{
		Resource:  &resource.Resource{Attributes: []*common.KeyValue{{Key: "x", Value: otlpText(strings.Repeat("x", 1<<20))}}},
		ScopeLogs: []*logs.ScopeLogs{{LogRecords: records}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	e, err := OTLPLogs(request, false)
	if !errors.Is(err, ErrEnvelopes) || len(e.Text) > MaxEnvelopes {
		t.Errorf("%d bytes of %d, error %v", len(e.Text), len(request), err)
	}
	deep := otlpText("c")
	for range 1000 {
		deep = &common.AnyValue{Value: &common.AnyValue_ArrayValue{ArrayValue: &common.ArrayValue{Values: []*common.AnyValue{deep}}}}
	}
	if text, err := json.Marshal(valueOf(deep, 0)); err != nil || !strings.Contains(string(text), "[null]") || len(text) > 100 {
		t.Errorf("a deep value becomes %s, error %v", text, err)
	}
}
