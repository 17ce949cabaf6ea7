package feed

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/keyrounds/keyrounds/bounded"
)

// What carries a record to us often puts it into something else: a container runtime, syslog, a log shipper, a bucket's
// export, a search. All formats are read through all of these.

// listMembers are the members in which exports hold their list of records.
var listMembers = []string{"records", "value", "Records", "events", "Events", "logEvents", "logs", "items", "results", "entries"}

// holders are the members that hold an object with such a list: data.events, hits.hits of a search.
var holders = map[string][]string{"data": listMembers, "result": listMembers, "hits": {"hits"}, "response": listMembers}

// An object with more members than this is a record that has a list, not a list of records.
const mostBeside = 8

// listIn finds the list of records in an object that is no record itself.
func listIn(m map[string]any) (list []any, is bool) {
	if len(m) > mostBeside {
		return nil, false
	}
	for _, name := range listMembers {
		if list, is := recordsIn(m[name]); is && (len(list) > 0 || len(m) <= 2) {
			return list, true
		}
	}
	for name, inner := range holders {
		held, _ := m[name].(map[string]any)
		for _, name := range inner {
			if list, is := recordsIn(held[name]); is && len(list) > 0 && len(held) <= mostBeside {
				return list, true
			}
		}
	}
	return nil, false
}

// isRecord reports whether an object says something of a client beside the lists that it has.
func (f Format) isRecord(ctx context.Context, m map[string]any) bool {
	bare := make(map[string]any, len(m))
	for name, v := range m {
		if _, is := recordsIn(v); !is && holders[name] == nil {
			bare[name] = v
		}
	}
	events, err := f.Events(ctx, bare)
	return err == nil && slices.ContainsFunc(events, concerns)
}

func recordsIn(v any) (list []any, is bool) {
	if list, is = v.([]any); is && len(list) > 0 {
		_, is = list[0].(map[string]any)
	}
	return list, is
}

// A record may stand in one of these members of another: as a text, or as an object.
var (
	textMembers = []string{
		"log", "message", "MESSAGE", "msg", "line", "@message", "short_message", "full_message", "_raw", "textPayload",
		"CloudTrailEvent", "original",
	}
	objectMembers = []string{
		"detail", "event", "_source", "jsonPayload", "result", "payload", "record", "data", "json", "CloudTrailEvent", "message",
	}
)

const deepest = 3 // of wrappings around a record

// eventsWithin is what f makes of a record, or of the one that it carries: where the outer one shows no client, the
// inner one is looked at.
func (f Format) eventsWithin(ctx context.Context, v any, depth int) ([]Event, error) {
	events, err := f.Events(ctx, v)
	if exceeded := (*bounded.ExceededError)(nil); errors.As(err, &exceeded) { // what is within is part of it
		return nil, err
	}
	m, ok := v.(map[string]any)
	if !ok || depth >= deepest || err == nil && slices.ContainsFunc(events, concerns) {
		return events, err
	}
	enveloped := f.enveloped && depth == 0
	if err == nil && len(events) > 0 && !enveloped && !isEnvelope(m) { // it is a record itself; what it quotes is somebody's text
		return events, nil
	}
	texts, objects := textMembers, objectMembers
	if enveloped {
		texts, objects = envelopeMembers, envelopeMembers
	}
	for _, inner := range f.carried(m, texts, objects) {
		within, innerErr := f.eventsWithin(ctx, inner, depth+1)
		if innerErr == nil && slices.ContainsFunc(within, concerns) || len(within) > 0 && (err != nil || len(events) == 0) {
			return within, innerErr
		}
	}
	return events, err
}

// envelope are the members that a carrier puts beside a record. None of them is a gateway's.
var envelope = map[string]bool{
	"log": true, "stream": true, "time": true, "attrs": true, "message": true, "msg": true, "line": true, "timestamp": true,
	"@timestamp": true, "@version": true, "@message": true, "host": true, "hostname": true, "tags": true, "kubernetes": true,
	"docker": true, "container_id": true, "container_name": true, "source": true, "sourcetype": true, "index": true, "_raw": true,
	"_time": true, "file": true, "path": true, "offset": true, "input": true, "agent": true, "ecs": true, "event": true,
	"fields": true, "labels": true, "level": true, "severity": true, "id": true, "ingestionTime": true, "textPayload": true,
	"jsonPayload": true, "logName": true, "resource": true, "insertId": true, "receiveTimestamp": true, "facility": true,
	"MESSAGE": true, "short_message": true, "full_message": true, "version": true, "_p": true, "logtag": true, "logStream": true,
}

// isEnvelope reports whether an object carries a record and is none.
func isEnvelope(m map[string]any) bool {
	for name := range m {
		if !envelope[name] {
			return false
		}
	}
	return true
}

// concerns: it is about a client, or a sign of life.
func concerns(e Event) bool { return e.ClientID != "" || e.Kind == Heartbeat }

// envelopeMembers are those in which OTLP and Splunk's HEC have a record. A gateway's own record has the body of a request
// there, which is a stranger's.
var envelopeMembers = []string{"body", "event"}

// carried are the records that stand in members of m: as a text, or as an object.
func (f Format) carried(m map[string]any, texts, objects []string) (all []any) {
	for _, name := range texts {
		text, _ := m[name].(string)
		text = strings.TrimSpace(text)
		if text == "" || len(text) > maxLine {
			continue
		}
		if f.Input == Any || f.Input == Text || f.reader != nil {
			all = append(all, text)
		}
		if text[0] != '{' {
			continue
		}
		var inner any
		if json.Unmarshal([]byte(text), &inner) == nil {
			all = append(all, inner)
		}
	}
	for _, name := range objects {
		if inner, is := m[name].(map[string]any); is {
			all = append(all, inner)
		}
	}
	return all
}

// ofRuntime takes the prefix of a container runtime (CRI) off a line: "2026-11-02T08:00:01.1Z stdout F ". more: the
// line goes on in the next one.
func ofRuntime(line []byte) (rest []byte, more, is bool) {
	const mark = len(" stdout F ")
	at := bytes.IndexByte(line[:min(len(line), 40)], ' ')
	if at < len("2026-11-02T08:00:01Z") || len(line) < at+mark || line[at+7] != ' ' || line[at+9] != ' ' {
		return nil, false, false
	}
	if stream := string(line[at+1 : at+7]); stream != "stdout" && stream != "stderr" {
		return nil, false, false
	}
	return line[at+mark:], line[at+8] == 'P', true
}

const longestPrefix = 512

// afterPrefix is the JSON of a line that begins with something else, as syslog's time, host and program.
func afterPrefix(line []byte) []byte {
	if line[0] == '{' || line[0] == '[' && !bytes.HasSuffix(line, []byte("}")) {
		return line
	}
	if i := bytes.IndexByte(line[:min(len(line), longestPrefix)], '{'); i > 0 && line[len(line)-1] == '}' {
		return line[i:]
	}
	return line
}
