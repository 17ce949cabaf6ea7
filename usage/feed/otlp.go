package feed

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// Envelopes are what others put records into to send them: a text with a JSON object a line, as Carried has it.
type Envelopes struct {
	Text    []byte
	Records int
}

// MaxEnvelopes is how many bytes of Text there may be: what many records share is written with each of them.
const MaxEnvelopes = 64 << 20

const deepestValue = 32 // of lists and objects in a value of OTLP; null stands for what is deeper

// ErrEnvelopes is returned where the records of an envelope add up to more than 64 MiB.
var ErrEnvelopes = errors.New("its records add up to more than 64 MiB")

func (e *Envelopes) add(record any) error {
	line, err := json.Marshal(record)
	if err != nil {
		return err
	}
	if len(e.Text)+len(line) >= MaxEnvelopes {
		return ErrEnvelopes
	}
	e.Text = append(append(e.Text, line...), '\n')
	e.Records++
	return nil
}

// ErrOTLP is returned for what is no ExportLogsServiceRequest. It repeats nothing of it.
var ErrOTLP = errors.New("it is no ExportLogsServiceRequest")

// OTLPLogs are the log records of a request of OTLP/HTTP in protobuf or in JSON. Each is an object with body, attributes,
// resource (its attributes), time (that of the event, or else when it was observed), observed_time, severity,
// severity_number, event_name, scope (its name), trace_id and span_id in hexadecimal; what is not given is left out.
func OTLPLogs(request []byte, isJSON bool) (e Envelopes, err error) {
	var message collector.ExportLogsServiceRequest
	ids := hex.EncodeToString
	if isJSON {
		err = protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(request, &message)
		ids = base64.StdEncoding.EncodeToString // OTLP has hexadecimal where protojson expects base64: read so, and written so again
	} else {
		err = proto.Unmarshal(request, &message)
	}
	if err != nil {
		return e, ErrOTLP
	}
	for _, r := range message.GetResourceLogs() {
		resource := pairsOf(r.GetResource().GetAttributes(), 0)
		for _, s := range r.GetScopeLogs() {
			for _, l := range s.GetLogRecords() {
				record := otlpRecord(l, ids)
				if len(resource) > 0 {
					record["resource"] = resource
				}
				if name := s.GetScope().GetName(); name != "" {
					record["scope"] = name
				}
				if err := e.add(record); err != nil {
					return e, err
				}
			}
		}
	}
	return e, nil
}

func otlpRecord(l *logs.LogRecord, ids func([]byte) string) map[string]any {
	record := map[string]any{}
	observed := otlpTime(l.GetObservedTimeUnixNano())
	at := otlpTime(l.GetTimeUnixNano())
	if at == "" {
		at = observed
	}
	for name, v := range map[string]string{
		"time": at, "observed_time": observed, "severity": l.GetSeverityText(), "event_name": l.GetEventName(),
		"trace_id": ids(l.GetTraceId()), "span_id": ids(l.GetSpanId()),
	} {
		if v != "" {
			record[name] = v
		}
	}
	if n := l.GetSeverityNumber(); n != 0 {
		record["severity_number"] = int(n)
	}
	if l.GetBody() != nil {
		record["body"] = valueOf(l.GetBody(), 0)
	}
	if attributes := pairsOf(l.GetAttributes(), 0); len(attributes) > 0 {
		record["attributes"] = attributes
	}
	return record
}

func otlpTime(nanoseconds uint64) string {
	if nanoseconds == 0 || nanoseconds > math.MaxInt64 {
		return ""
	}
	return time.Unix(0, int64(nanoseconds)).UTC().Format(time.RFC3339Nano)
}

func pairsOf(pairs []*common.KeyValue, depth int) map[string]any {
	m := make(map[string]any, len(pairs))
	for _, p := range pairs {
		if _, given := m[p.GetKey()]; !given {
			m[p.GetKey()] = valueOf(p.GetValue(), depth+1)
		}
	}
	return m
}

func valueOf(v *common.AnyValue, depth int) any {
	if depth > deepestValue {
		return nil
	}
	switch v := v.GetValue().(type) {
	case *common.AnyValue_StringValue:
		return v.StringValue
	case *common.AnyValue_BoolValue:
		return v.BoolValue
	case *common.AnyValue_IntValue:
		return v.IntValue
	case *common.AnyValue_DoubleValue:
		if math.IsNaN(v.DoubleValue) || math.IsInf(v.DoubleValue, 0) {
			return nil
		}
		return v.DoubleValue
	case *common.AnyValue_BytesValue:
		return base64.StdEncoding.EncodeToString(v.BytesValue)
	case *common.AnyValue_ArrayValue:
		list := make([]any, 0, len(v.ArrayValue.GetValues()))
		for _, e := range v.ArrayValue.GetValues() {
			list = append(list, valueOf(e, depth+1))
		}
		return list
	case *common.AnyValue_KvlistValue:
		return pairsOf(v.KvlistValue.GetValues(), depth)
	}
	return nil
}

// HECError says which of the events that were sent to Splunk's HTTP Event Collector is wrong, and how.
type HECError struct {
	Event int // from 0
	Code  int // of HEC: 5, 6, 12 or 13
}

// The codes of HECError, as HEC has them.
const (
	HECNoData  = 5
	HECInvalid = 6
	HECMissing = 12
	HECBlank   = 13
)

func (e *HECError) Error() string { return fmt.Sprintf("event %d: code %d", e.Event, e.Code) }

// brokenMember is the only member of an envelope that stands for an event that is none. An event has others.
const brokenMember = "not an event"

// broken ends e with a record that cannot be read, for an event that is wrong.
func (e Envelopes) broken(request []byte, code int) (Envelopes, error) {
	wrong := &HECError{e.Records, code}
	if err := e.add(map[string]any{brokenMember: DigestOf(request)}); err != nil { // another request is another batch
		return e, err
	}
	return e, wrong
}

// HECEvents are the events that stand in a request of Splunk's HTTP Event Collector, one after the other: objects
// with event, and time, host, source, sourcetype, index and fields where they are given. The error is *HECError or
// ErrEnvelopes. Those before the one that is wrong are returned with a *HECError, and in its place one that no format can read,
// so that what is lost counts.
func HECEvents(request []byte) (e Envelopes, err error) {
	d := json.NewDecoder(bytes.NewReader(request))
	for d.More() {
		var raw json.RawMessage
		var event struct {
			Event json.RawMessage `json:"event"`
		}
		if err := d.Decode(&raw); err != nil || raw[0] != '{' || json.Unmarshal(raw, &event) != nil {
			return e.broken(request, HECInvalid)
		}
		switch string(event.Event) {
		case "", "null":
			return e.broken(request, HECMissing)
		case `""`:
			return e.broken(request, HECBlank)
		}
		if err := e.add(raw); err != nil {
			return e, err
		}
	}
	if rest := bytes.TrimSpace(request[d.InputOffset():]); len(rest) > 0 {
		return e.broken(request, HECInvalid)
	}
	if e.Records == 0 {
		return e, &HECError{0, HECNoData}
	}
	return e, nil
}
