package app_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/test/senders"
)

// An OpenTelemetry Collector follows a log file and sends it here without a line of code: in protobuf and in JSON, packed and plain
// (docs/usage.md, Senders of logs).
func TestCollectorSends(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]string{
		"protobuf, gzip": "",
		"JSON, plain":    "\n    encoding: json\n    compression: none",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := time.Now().UTC().Truncate(time.Second)
			o := newOffice(t, now, "")
			log := filepath.Join(t.TempDir(), "api.json")
			if err := os.WriteFile(log, []byte(o.lines(3, now.Add(-time.Hour))+"no record\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			senders.Collector(t, fmt.Sprintf(`
receivers:
  filelog: {include: [%q], start_at: beginning}
exporters:
  otlphttp:
    endpoint: http://%s
    headers: {Authorization: "Bearer %s"}%s
service:
  pipelines:
    logs: {receivers: [filelog], exporters: [otlphttp]}
  telemetry: {metrics: {level: none}}
`, log, o.app.Addr(), pushToken, options))
			o.await("the collector has sent what is in the file", func() bool { return o.uses() == 3 })
			feeds, err := o.app.Usage.Feeds(t.Context())
			if err != nil || feeds[0].Counts["bad"] != 1 {
				t.Errorf("%+v, error %v: the line that is no record is not counted", feeds, err)
			}
		})
	}
}

// Splunk's own logger sends here as to Splunk (docs/usage.md, Senders of logs).
func TestSplunkSends(t *testing.T) {
	t.Parallel()
	now := time.Now().UTC().Truncate(time.Second)
	o := newOffice(t, now, "")
	lines := strings.Split(strings.TrimSpace(o.lines(2, now.Add(-time.Hour))), "\n")
	answers := senders.Splunk(t, "http://"+o.app.Addr(), pushToken, lines...)
	if len(answers) != 2 || answers[0] != `{"text":"Success","code":0}` || o.uses() != 2 {
		t.Errorf("%q and %d uses", answers, o.uses())
	}
	refused := senders.Splunk(t, "http://"+o.app.Addr(), "wrong", lines[0])
	if !strings.Contains(refused[0], "Invalid token") || o.uses() != 2 {
		t.Errorf("another token: %q and %d uses", refused, o.uses())
	}
}
