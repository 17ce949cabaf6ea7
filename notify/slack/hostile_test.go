package slack_test

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/notify/slack"
	"github.com/keyrounds/keyrounds/secret"
	"github.com/keyrounds/keyrounds/sim"
)

// Whatever names and texts hold, a message is within the limits of Block Kit, and nothing in it mentions anybody
// or makes a link (docs/promises.md#names-and-provider-text-mention-nobody-and-make-no-link).
func TestHostileText(t *testing.T) {
	t.Parallel()
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
	nasty := rapid.OneOf(
		rapid.SampledFrom(
			[]string{
				"",
				"<!channel>",
				"<@U1>",
				"<http://x|click>",
				"*bold*",
				"`code`",
				"&lt;!here&gt;",
				"&",
				strings.Repeat("<", 5000),
				strings.Repeat("ä*", 4000),
				"\n\n\n",
				"<!subteam^S1>",
			},
		),
		rapid.StringN(0, 50, -1),
	)
	rapid.Check(t, func(rt *rapid.T) {
		var fs []finding.Finding
		for i := range rapid.SampledFrom([]int{1, 1, 2, 60}).Draw(rt, "findings") {
			f := notify.Sample(rapid.SampledFrom(finding.Kinds()).Draw(rt, "kind"), time.Now())
			f.ID = int64(i + 1)
			f.State = rapid.SampledFrom([]finding.State{finding.Open, finding.Acknowledged, finding.Resolved}).Draw(rt, "state")
			f.Subject.Credential, f.AcknowledgedBy, f.ResolvedWhy = nasty.Draw(rt, "name"), nasty.Draw(rt, "by"), nasty.Draw(rt, "why")
			e, about := &f.Evidence, &f.About
			e.ErrorDescription, about.Owner = nasty.Draw(rt, "description"), nasty.Draw(rt, "owner")
			e.Message, about.Scopes = nasty.Draw(rt, "message"), []string{nasty.Draw(rt, "scope")}
			e.Affected, about.Console = []string{nasty.Draw(rt, "affected")}, nasty.Draw(rt, "console")
			about.Labels = map[string]string{"k": nasty.Draw(rt, "label")}
			fs = append(fs, f)
		}
		m := notify.Message{Key: "1-1", Findings: fs, Words: notify.DescribeAll(fs), Turn: nasty.Draw(rt, "turn")}
		before := len(s.Messages())
		if _, err := r.Send(t.Context(), m); err != nil {
			rt.Fatal(err)
		}
		got := s.Messages()[before]
		if err := got.Valid(); err != nil {
			rt.Error(err)
		}
		var blocks []struct {
			Type string
			Text struct{ Text string }
		}
		if err := json.Unmarshal(got.Blocks, &blocks); err != nil {
			rt.Fatal(err)
		}
		text := got.Text
		for _, b := range blocks {
			if b.Type != "header" { // it is plain text, where signs are just signs
				text += "\n" + b.Text.Text
			}
		}
		for _, reply := range got.Replies {
			text += reply.Text
		}
		text = ours.ReplaceAllString(text, "")
		if i := strings.IndexAny(text, "<>"); i >= 0 {
			rt.Errorf("it holds Slack's own signs: …%s…", text[max(0, i-20):min(len(text), i+20)])
		}
	})
}

// ours are the signs that keyrounds itself writes: times in the reader's zone, and the link to a runbook.
var ours = regexp.MustCompile(`<!date\^\d+\^\{date_short_pretty\} \{time_secs\}\|[A-Za-z0-9: ]+>|` +
	`<https://github\.com/keyrounds/keyrounds/blob/main/docs/runbooks/\w+\.md\|Runbook>`)
