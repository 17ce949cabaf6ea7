// Package traces carries a trace over the database: from the sweep that claims to the message that tells.
//
// It makes no spans; those who work do.
package traces

import (
	"context"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

const header = "traceparent"

// Of returns the traceparent (W3C Trace Context) of ctx's span, "" where there is none.
func Of(ctx context.Context) string {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier[header]
}

// With returns ctx within the span that traceparent names. What is none changes nothing.
func With(ctx context.Context, traceparent string) context.Context {
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{header: traceparent})
}

// ID returns the id of ctx's trace where it is recorded, for logs and exemplars; "" where not.
func ID(ctx context.Context) string {
	sc := trace.SpanContextFromContext(ctx)
	if !sc.IsSampled() {
		return ""
	}
	return sc.TraceID().String()
}
