package web

import (
	"context"
	"fmt"
	"mime"
	"net/http"

	collector "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/keyrounds/keyrounds/usage"
	"github.com/keyrounds/keyrounds/usage/feed"
)

// The content types of OTLP/HTTP.
const (
	typeProtobuf = "application/x-protobuf"
	typeJSON     = "application/json"
)

// otlpLogs takes in log records by OTLP/HTTP: POST /v1/logs, in protobuf or JSON, plain or gzip, with the token of a push
// feed. It answers as the specification says (https://opentelemetry.io/docs/specs/otlp/#otlphttp-response): what could not be
// read is told as a partial success, in the encoding of the request.
func (s *site) otlpLogs(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), pushTime)
	defer cancel()
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	a := otlpAnswer{w, kind == typeJSON}
	f, ok := s.feedOf(ctx, r)
	switch {
	case !ok && s.failures.add(hostOf(r.RemoteAddr), s.Now()) > mostFailures:
		w.Header().Set("Retry-After", "60")
		a.refuse(http.StatusTooManyRequests, "too many wrong tokens from this address: wait a minute")
		return
	case !ok:
		w.Header().Set("WWW-Authenticate", `Bearer realm="keyrounds feeds"`)
		a.refuse(http.StatusUnauthorized, "the token of a push feed is wanted: Authorization: Bearer TOKEN, or X-Feed-Token")
		return
	case kind != typeProtobuf && kind != typeJSON:
		a.refuse(http.StatusUnsupportedMediaType, "Content-Type: "+typeProtobuf+" or "+typeJSON)
		return
	}
	counts, bad, err := s.takeOTLP(ctx, f.Feed, w, r, a.json)
	if err != nil {
		code, why := s.refusal(f.Feed, err)
		if code == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", "10")
		}
		a.refuse(code, why)
		return
	}
	answer := &collector.ExportLogsServiceResponse{}
	if n := counts[usage.ResultBad]; n > 0 {
		why := fmt.Sprintf("%d of %d records could not be read as %s", n, counts.Records(), f.Format.Name)
		if len(bad) > 0 {
			why += ": " + bad[len(bad)-1].Reason
		}
		answer.PartialSuccess = &collector.ExportLogsPartialSuccess{RejectedLogRecords: n, ErrorMessage: why}
	}
	a.send(http.StatusOK, answer)
}

func (s *site) takeOTLP(
	ctx context.Context, f feed.Feed, w http.ResponseWriter, r *http.Request, isJSON bool,
) (usage.Counts, []feed.Bad, error) {
	body, err := sent(w, r)
	if err != nil {
		return nil, nil, err
	}
	envelopes, err := feed.OTLPLogs(body, isJSON)
	if err != nil || envelopes.Records == 0 {
		return nil, nil, err
	}
	return s.takeSent(ctx, f, envelopes.Text, true)
}

// otlpAnswer answers in the encoding of the request.
type otlpAnswer struct {
	w    http.ResponseWriter
	json bool
}

// The codes of google.rpc.Status that senders read; the status says the rest.
var rpcCodes = map[int]int32{
	http.StatusBadRequest: 3, http.StatusUnsupportedMediaType: 3, http.StatusRequestEntityTooLarge: 8, http.StatusTooManyRequests: 8,
	http.StatusUnauthorized: 16, http.StatusRequestTimeout: 4, http.StatusServiceUnavailable: 14,
}

func (a otlpAnswer) refuse(code int, why string) {
	a.send(code, &status.Status{Code: rpcCodes[code], Message: why})
}

func (a otlpAnswer) send(code int, m proto.Message) {
	kind, encode := typeProtobuf, proto.Marshal
	if a.json {
		kind, encode = typeJSON, protojson.Marshal
	}
	body, err := encode(m)
	if err != nil { // none that is made here
		code, body = http.StatusInternalServerError, nil
	}
	a.w.Header().Set("Content-Type", kind)
	a.w.WriteHeader(code)
	_, _ = a.w.Write(body)
}
