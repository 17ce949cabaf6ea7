package rounds

import (
	"context"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/traces"
)

// Rules of a trace, of which there is one for each round:
//
//  1. It begins where streams are begun, by a sweep or by the stream before; a sweep that finds nothing due leaves no
//     trace.
//  2. The batches of the streams are children of it, their checks children of these, and so is what is told of them
//     (traces, notify).
//  3. It names credentials and providers, outcomes and times: no client id, no secret, no token, and
//     nothing that a provider says.

// span begins one that began earlier.
func (r *Rounds) span(ctx context.Context, name string, began time.Time, attrs ...attribute.KeyValue) (context.Context, trace.Span) {
	return r.Tracer.Start(ctx, name, trace.WithTimestamp(began), trace.WithAttributes(attrs...))
}

// log names the trace in its lines, where it is recorded.
func (r *Rounds) log(ctx context.Context) *slog.Logger {
	if id := traces.ID(ctx); id != "" {
		return r.Log.With("trace_id", id)
	}
	return r.Log
}

func providerName(name string) attribute.KeyValue {
	return attribute.String("keyrounds.provider", name)
}

// end ends a span with what came of it.
func end(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, "it failed; the log says why")
	}
	span.End()
}

// traceChecks adds a span for each check of a batch.
func (r *Rounds) traceChecks(ctx context.Context, results []checker.Result) {
	if !trace.SpanFromContext(ctx).IsRecording() {
		return
	}
	for _, res := range results {
		_, span := r.span(
			ctx,
			"check",
			res.At,
			attribute.String("keyrounds.credential", res.Credential),
			providerName(res.Provider),
			attribute.String("keyrounds.outcome", string(res.Outcome)),
			attribute.String("keyrounds.reason", string(res.Reason)),
			attribute.Int(
				"http.response.status_code",
				res.HTTPStatus,
			),
			attribute.Float64("keyrounds.exchange_seconds", res.Phases.Total.Seconds()),
		)
		if res.Outcome != checker.OK {
			span.SetStatus(codes.Error, string(res.Outcome))
		}
		span.End(trace.WithTimestamp(res.At.Add(max(res.Trail.Took, res.Phases.Total))))
	}
}
