package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
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
	exporter, err := autoexport.NewSpanExporter(ctx)
	if err != nil {
		return nil, flush, &hintError{
			fmt.Errorf("traces: OTEL_TRACES_EXPORTER=%q, OTEL_EXPORTER_OTLP_PROTOCOL=%q: %w", os.Getenv("OTEL_TRACES_EXPORTER"), os.Getenv("OTEL_EXPORTER_OTLP_PROTOCOL"), err),
			"OTEL_TRACES_EXPORTER is otlp, console or none; OTEL_EXPORTER_OTLP_PROTOCOL is http/protobuf or grpc",
		}
	}
	// Whatever the environment says of the resource wins.
	about, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", "keyrounds"), attribute.String("service.version", buildVersion())),
		resource.WithTelemetrySDK(), resource.WithFromEnv())
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

// plain is an error that may hold a collector's own words.
func plain(err error) string { return secret.Scrubber{}.Clean(err.Error(), 300) }
