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
		w.Link = "https://keyrounds.example/findings/7"
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

// What Slack gets of a report is as in testdata/golden: buttons below what is undecided, and none without an app token, in a
// webhook, or where there are more lines than a message holds buttons for.
func TestGoldenLetter(t *testing.T) {
	t.Parallel()
	keep := notify.Option{Choice: "keep", Label: "Keep 90 days", Days: 90}
	revoke := notify.Option{Choice: "revoke", Label: "Revoke", Days: 30}
	letter := notify.Letter{
		Title: "Unused credentials, October 2026: 2 of 9 credentials are not used.",
		Lines: []string{"2 undecided, 1 decided."},
		Asks: []notify.Ask{
			{Text: "• REVOKE: old-sync, no use was ever seen", Credential: "old-sync", Options: []notify.Option{revoke, keep}},
			{Text: "• NAME OWNER: <!channel>, nobody answers for it", Credential: "stray"},
		},
		Tail: []string{"The list of one owner: keyrounds report unused --month 2026-10 --owner NAME"},
	}
	many := letter
	for range 20 {
		many.Asks = append(many.Asks, letter.Asks[0])
	}
	for name, c := range map[string]struct {
		buttons bool
		letter  notify.Letter
	}{
		"letter-report.txt": {true, letter}, "letter-without-buttons.txt": {false, letter}, "letter-of-many.txt": {true, many},
	} {
		s := &sim.Slack{Token: token}
		server := httptest.NewServer(s)
		t.Cleanup(server.Close)
		r := slack.New(slack.Options{
			Token:   func(context.Context) (secret.Value, error) { return secret.New([]byte(token)), nil },
			Channel: "#x",
			APIURL:  server.URL + "/",
			Client:  server.Client(),
			Buttons: c.buttons,
		})
		if _, err := send(r, c.letter); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		m := s.Messages()[0]
		if err := m.Valid(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var got bytes.Buffer
		fmt.Fprintf(&got, "%q\n", m.Text)
		if err := json.Indent(&got, m.Blocks, "", " "); err != nil {
			t.Fatal(err)
		}
		got.WriteByte('\n')
		golden(t, name, got.Bytes())
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
