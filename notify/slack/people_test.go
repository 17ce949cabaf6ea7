package slack_test

import (
	"context"
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

// An owner is called by their e-mail address; who is not in the workspace is named, and the message goes out all the same.
func TestMentionByAddress(t *testing.T) {
	t.Parallel()
	s := &sim.Slack{Token: token, Emails: map[string]string{"ann@example.com": "U01"}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	r := slack.New(slack.Options{
		Token:   func(context.Context) (secret.Value, error) { return secret.New([]byte(token)), nil },
		Channel: "#x", APIURL: server.URL + "/", Client: server.Client(),
	})
	fs := []finding.Finding{notify.Sample(finding.Revoked, time.Now())}
	for mention, want := range map[string]string{
		"ann@example.com <!here>": "<@U01> <!here> ■",
		"bob@example.com":         "bob@example.com ■",
		"<@U02>":                  "<@U02> ■",
	} {
		before := len(s.Messages())
		m := notify.Message{Key: "1-1", Findings: fs, Words: notify.DescribeAll(fs), Mention: mention}
		if _, err := r.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		if got := s.Messages()[before].Text; !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s", mention, got)
		}
	}
}
