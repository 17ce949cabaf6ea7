package slack_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/notify/slack"
	"github.com/keyrounds/keyrounds/secret"
	"github.com/keyrounds/keyrounds/sim"
)

// What people read on Slack of each kind, in each state, a file a kind: the text of a push, and the message as it is then. The
// words of replies are in package notify's testdata/messages.
func TestTexts(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	s := &sim.Slack{Token: token}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	r := slack.New(slack.Options{
		Token:   func(context.Context) (secret.Value, error) { return secret.New([]byte(token)), nil },
		Channel: "#x", APIURL: server.URL + "/", Client: server.Client(),
	})
	for _, k := range finding.Kinds() {
		one := notify.Sample(k, now)
		one.ID = 7
		other := one
		other.ID, other.Subject.Credential = 8, "another-one"
		ended := one
		ended.State, ended.ResolvedAt, ended.ResolvedWhy = finding.Resolved, now.Add(10*time.Minute), "the reason in words"
		withdrawn := ended
		withdrawn.Withdrawn = true
		acknowledged := one
		acknowledged.State, acknowledged.AcknowledgedBy = finding.Acknowledged, "ann (slack U01)"
		var text strings.Builder
		for _, c := range []struct {
			state string
			fs    []finding.Finding
		}{
			{"open", []finding.Finding{one}},
			{"burst", []finding.Finding{one, other}},
			{"acknowledged", []finding.Finding{acknowledged}},
			{"resolved", []finding.Finding{ended}},
			{"withdrawn", []finding.Finding{withdrawn}},
		} {
			if c.state == "burst" && one.Subject.Credential == "" {
				continue
			}
			before := len(s.Messages())
			m := notify.Message{Key: "1-1", Findings: c.fs, Words: notify.DescribeAll(c.fs), Made: now}
			if _, err := r.Send(t.Context(), m); err != nil {
				t.Fatalf("%s, %s: %v", k, c.state, err)
			}
			got := s.Messages()[before]
			fmt.Fprintf(&text, "=== %s\n%s\n---\n%s\n\n", c.state, got.Text, strings.Join(got.Lines(), "\n"))
		}
		golden(t, "text-"+string(k)+".txt", []byte(text.String()))
	}
}
