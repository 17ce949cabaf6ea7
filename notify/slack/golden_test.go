package slack_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/notify/slack"
	"github.com/keyrounds/keyrounds/secret"
	"github.com/keyrounds/keyrounds/sim"
)

var update = flag.Bool("update", false, "write the expected messages anew")

// What Slack gets of each kind of finding, of a burst and of each state is as in testdata/golden, and within
// the limits of Block Kit.
func TestGolden(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	messages := map[string][]finding.Finding{}
	for _, k := range finding.Kinds() {
		f := notify.Sample(k, now)
		f.ID = 7
		messages["kind-"+string(k)] = []finding.Finding{f}
	}
	in := func(state finding.State, change func(*finding.Finding)) []finding.Finding {
		f := notify.Sample(finding.Revoked, now)
		f.ID, f.State = 7, state
		change(&f)
		return []finding.Finding{f}
	}
	messages["state-acknowledged"] = in(finding.Acknowledged, func(f *finding.Finding) { f.AcknowledgedBy = "ann (slack U01)" })
	messages["state-snoozed"] = in(finding.Snoozed, func(f *finding.Finding) { f.SnoozedUntil = now.Add(time.Hour) })
	messages["state-resolved"] = in(finding.Resolved, func(f *finding.Finding) {
		f.ResolvedAt, f.ResolvedWhy = now.Add(time.Hour), "the provider accepts it again"
	})
	messages["state-false-alarm"] = in(finding.Acknowledged, func(f *finding.Finding) {
		f.AcknowledgedBy, f.FalseAlarmBy, f.FalseAlarmWhy = "ann (slack U01)", "ann (slack U01)", "we rotated it by hand"
	})
	var burst []finding.Finding
	for i, name := range []string{"ats-sync", "careers-site", "hr-dashboard"} {
		f := notify.Sample(finding.SecretUnreadable, now)
		f.ID, f.Subject.Credential, f.About.Owner = int64(i+1), name, "team-"+name
		burst = append(burst, f)
	}
	burst[2].State, burst[2].ResolvedAt, burst[2].ResolvedWhy = finding.Resolved, now.Add(time.Hour), "the secret can be read again"
	messages["burst"] = burst

	s := &sim.Slack{Token: token}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	r := slack.New(slack.Options{
		Token:   func(context.Context) (secret.Value, error) { return secret.New([]byte(token)), nil },
		Channel: "#x",
		APIURL:  server.URL + "/",
		Client:  server.Client(),
		Buttons: true,
	})
	for name, fs := range messages {
		w := notify.DescribeAll(fs)
		w.Link = "https://keyrounds.example/#finding-7"
		before := len(s.Messages())
		if _, err := r.Send(t.Context(), notify.Message{Key: "1-1", Findings: fs, Words: w, Made: now}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		m := s.Messages()[before]
		if err := m.Valid(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var got bytes.Buffer
		fmt.Fprintf(&got, "%q\n", m.Text)
		if err := json.Indent(&got, m.Blocks, "", " "); err != nil {
			t.Fatal(err)
		}
		got.WriteByte('\n')
		golden(t, name+".txt", got.Bytes())
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s: %s", name, d)
	}
}
