package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/keyrounds/keyrounds/secret"
)

// tracing makes the tracer that OpenTelemetry's environment variables ask for. Without any of
// OTEL_TRACES_EXPORTER and OTEL_EXPORTER_OTLP_[TRACES_]ENDPOINT nothing is traced. flush sends what is left,
// within 5 s.
func tracing(ctx context.Context, log *slog.Logger) (tracer trace.Tracer, flush func(), err error) {
	flush = func() {}
	asked := os.Getenv("OTEL_TRACES_EXPORTER") + os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") + os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
	if asked == "" || os.Getenv("OTEL_SDK_DISABLED") == "true" || os.Getenv("OTEL_TRACES_EXPORTER") == "none" {
		return nil, flush, nil
	}
	exporter, err := exporter(
		ctx,
		os.Getenv("OTEL_TRACES_EXPORTER"),
		cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"), os.Getenv("OTEL_EXPORTER_OTLP_PROTOCOL")),
	)
	if err != nil {
		return nil, flush, err
	}
	// Whatever the environment says of the resource wins.
	about, err := resource.New(
		ctx,
		resource.WithAttributes(attribute.String("service.name", "keyrounds"), attribute.String("service.version", buildVersion())),
		resource.WithTelemetrySDK(),
		resource.WithFromEnv(),
	)
	if err != nil {
		return nil, flush, &hintError{fmt.Errorf("traces: %w", err), "OTEL_RESOURCE_ATTRIBUTES is key=value, separated by commas"}
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("traces could not be sent", "error", plain(err)) }))
	provider := sdk.NewTracerProvider(sdk.WithBatcher(exporter), sdk.WithResource(about))
	return provider.Tracer("github.com/keyrounds/keyrounds"), func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if err := provider.Shutdown(ctx); err != nil {
			log.Warn("the last traces could not be sent", "error", plain(err))
		}
	}, nil
}

// exporter is where traces go, by the values of OpenTelemetry's environment variables. Their addresses, headers and
// certificates are read by the exporter (opentelemetry.io/docs/specs/otel/protocol/exporter).
func exporter(ctx context.Context, name, protocol string) (sdk.SpanExporter, error) {
	switch name {
	case "", "otlp":
		if protocol != "" && protocol != "http/protobuf" {
			return nil, &hintError{
				fmt.Errorf("traces: the protocol %q is not spoken", protocol),
				"OTEL_EXPORTER_OTLP_PROTOCOL is http/protobuf: collectors take that on port 4318, " +
					"so OTEL_EXPORTER_OTLP_ENDPOINT=http://HOST:4318",
			}
		}
		return otlptracehttp.New(ctx)
	case "console":
		return stdouttrace.New()
	}
	return nil, &hintError{fmt.Errorf("traces: unknown exporter %q", name), "OTEL_TRACES_EXPORTER is otlp, console or none"}
}

// plain is an error that may hold a collector's own words.
func plain(err error) string { return secret.Scrubber{}.Clean(err.Error(), 300) }
