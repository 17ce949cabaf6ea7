package feed_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/keyrounds/keyrounds/test/lasting"
	"github.com/keyrounds/keyrounds/usage/feed"
)

// A text of a preset's examples looks like that preset, plain or compressed, and is read from its beginning afterwards.
func TestDetect(t *testing.T) {
	lasting.Test(t, "it reads each format many times")
	t.Parallel()
	for _, p := range feed.Presets() {
		if p.Poll != nil && (p.Poll.State || p.Poll.Counts) {
			continue
		}
		var lines []string
		named := false
		for _, x := range p.Examples {
			if x.Record = strings.TrimSpace(x.Record); !strings.Contains(x.Record, "\n") {
				lines = append(lines, x.Record)
			}
			for _, e := range x.Events {
				named = named || e["client_id"] != nil
			}
		}
		if !named {
			continue
		}
		text := strings.Repeat(strings.Join(lines, "\n")+"\n", 3)
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		_, _ = io.WriteString(z, text)
		_ = z.Close()
		for name, in := range map[string]string{"plain": text, "gzip": packed.String()} {
			g, again, err := feed.Detect(t.Context(), strings.NewReader(in))
			if err != nil || g.Preset.Name != p.Name {
				t.Errorf("%s, %s looks like %q (%d named, %d bad), %v", p.Name, name, g.Preset.Name, g.Named, g.Bad, err)
				continue
			}
			if all, err := io.ReadAll(again); err != nil || string(all) != in {
				t.Errorf("%s, %s: %d of %d bytes afterwards, %v", p.Name, name, len(all), len(in), err)
			}
		}
	}
	large := strings.Repeat(
		`{"userIdentity":{"accessKeyId":"AKIAEXAMPLE0000001"},"eventTime":"2026-11-02T08:00:01Z","eventSource":"s3.amazonaws.com",`+
			`"eventName":"GetObject","eventID":"8d2a"},`,
		12_000,
	)
	for _, text := range []string{
		`{"Records":[` + strings.TrimSuffix(large, ",") + "]}", "[\n" + strings.ReplaceAll(large, "},{", "},\n{") + "]",
	} {
		if g, _, err := feed.Detect(t.Context(), strings.NewReader(text)); err != nil || g.Preset.Name != "cloudtrail" {
			t.Errorf("%d bytes of CloudTrail look like %q, %v", len(text), g.Preset.Name, err)
		}
	}
	for _, text := range []string{"", "hello\n", `{"a":1}` + "\n", strings.Repeat(`{"status":200}`+"\n", 100)} {
		var not *feed.NotDetectedError
		if g, _, err := feed.Detect(t.Context(), strings.NewReader(text)); !errors.As(err, &not) {
			t.Errorf("%q looks like %q, %v", text[:min(20, len(text))], g.Preset.Name, err)
		}
	}
}
