package main

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Traces go where OpenTelemetry's variables say, over the wire; without them nowhere. Not parallel: it sets them.
func TestTracing(t *testing.T) {
	var (
		mu   sync.Mutex
		got  []*collector.ExportTraceServiceRequest
		auth string
	)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		req := &collector.ExportTraceServiceRequest{}
		if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(b, req) != nil {
			t.Errorf("%s: %v", r.URL, err)
		}
		mu.Lock()
		defer mu.Unlock()
		got, auth = append(got, req), r.Header.Get("X-Key")
	}))
	defer server.Close()
	var log bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&log, nil))
	for name, env := range map[string][2]string{"nothing is said": {}, "none": {"OTEL_TRACES_EXPORTER", "none"}} {
		if env[0] != "" {
			t.Setenv(env[0], env[1])
		}
		if tracer, _, err := tracing(t.Context(), logger); tracer != nil || err != nil {
			t.Errorf("%s: %v, %v", name, tracer, err)
		}
	}
	t.Setenv("OTEL_TRACES_EXPORTER", "carrier-pigeon")
	_, _, err := tracing(t.Context(), logger)
	if err == nil || !strings.Contains(err.Error(), "carrier-pigeon") {
		t.Errorf("an unknown exporter: %v", err)
	}
	t.Setenv("OTEL_TRACES_EXPORTER", "otlp")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=c4n4ry-otlp")
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
	tracer, flush, err := tracing(t.Context(), logger)
	if err != nil {
		t.Fatal(err)
	}
	_, span := tracer.Start(t.Context(), "round")
	span.End()
	flush()
	mu.Lock()
	defer mu.Unlock()
	if len(got) != 1 || len(got[0].ResourceSpans) != 1 || got[0].ResourceSpans[0].ScopeSpans[0].Spans[0].Name != "round" ||
		auth != "c4n4ry-otlp" {
		t.Fatalf("%d requests with %q: %v", len(got), auth, got)
	}
	about := map[string]string{}
	for _, kv := range got[0].ResourceSpans[0].Resource.Attributes {
		about[kv.Key] = kv.Value.GetStringValue()
	}
	if about["service.name"] != "keyrounds" || about["service.version"] == "" || about["deployment.environment.name"] != "test" {
		t.Errorf("it says of itself %v", about)
	}
	server.Close()
	tracer, flush, err = tracing(t.Context(), logger)
	if err != nil {
		t.Fatal(err)
	}
	_, span = tracer.Start(t.Context(), "round")
	span.End()
	flush()
	if !strings.Contains(log.String(), "traces could not be sent") &&
		!strings.Contains(log.String(), "the last traces could not be sent") ||
		strings.Contains(log.String(), "c4n4ry") {
		t.Errorf("the log: %s", log.String())
	}
}
