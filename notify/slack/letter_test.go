package slack_test

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/notify/slack"
	"github.com/keyrounds/keyrounds/secret"
	"github.com/keyrounds/keyrounds/sim"
)

const token = "xoxb-c4n4ry"

func newReceiver(t *testing.T) (*sim.Slack, *slack.Receiver) {
	t.Helper()
	s := &sim.Slack{Token: token}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, slack.New(slack.Options{
		Token:   func(context.Context) (secret.Value, error) { return secret.New([]byte(token)), nil },
		Channel: "#x",
		APIURL:  server.URL + "/",
		Client:  server.Client(),
	})
}

func send(r *slack.Receiver, l notify.Letter) (notify.Receipt, error) {
	return r.Send(context.Background(), notify.Message{Key: "1-1", Letter: &l})
}

// A letter is one message with its file in the thread; names in it mention nobody.
func TestLetter(t *testing.T) {
	t.Parallel()
	s, r := newReceiver(t)
	_, err := send(r, notify.Letter{
		Title: "Report",
		Lines: append([]string{"• <!channel> *a* <http://x|y>"}, make([]string, 300)...),
		File:  &notify.File{Name: "r.html", Content: []byte("<html>")},
	})
	ms := s.Messages()
	if err != nil || len(ms) != 1 || len(ms[0].Files) != 1 || ms[0].Files[0] != (sim.SlackFile{Name: "r.html", Content: "<html>"}) {
		t.Fatalf("%+v, error %v", ms, err)
	}
	text := strings.Join(ms[0].Lines(), "\n")
	if strings.Contains(text, "<!") || strings.Contains(text, "<http") || strings.Contains(text, "*a*") ||
		!strings.Contains(text, "&lt;!channel&gt;") {
		t.Errorf("it says %s", text)
	}
}

// Where the file cannot be attached the letter is there, and says so; it is not posted again.
func TestLetterWithoutItsFile(t *testing.T) {
	t.Parallel()
	s, r := newReceiver(t)
	s.FailNext("", "missing_scope")
	receipt, err := send(
		r,
		notify.Letter{Title: "Report", Lines: []string{"a line"}, File: &notify.File{Name: "r.html", Content: []byte("x")}},
	)
	ms := s.Messages()
	if err != nil || receipt.Ref == "" || len(ms) != 1 || len(ms[0].Files) != 0 {
		t.Fatalf("%+v, error %v", ms, err)
	}
	text := strings.Join(ms[0].Lines(), "\n")
	if !strings.Contains(text, "The file could not be attached: slack: missing_scope.") || strings.Contains(text, "c4n4ry") {
		t.Errorf("it says %s", text)
	}
	s.FailNext("channel_not_found")
	if _, err := send(r, notify.Letter{Title: "Report"}); err == nil || err.Error() != "slack: channel_not_found" {
		t.Errorf("error %v", err)
	}
}
