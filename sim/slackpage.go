package sim

import (
	_ "embed"
	"encoding/json"
	"html"
	"html/template"
	"net/http"
	"regexp"
	"strings"
)

//go:embed slack.html
var slackHTML string

var slackPage = template.Must(template.New("slack").Parse(slackHTML))

// shown is a message as the page shows it.
type shown struct {
	SlackMessage
	Parts   []part
	Replies []shown
}

// part is a block.
type part struct {
	Type    string
	Text    template.HTML
	Buttons []button
}

type button struct {
	Text, Action, Value, URL string
	Options                  []option
}

type option struct{ Text, Value string }

// page shows what people see, and lets them press; false: the request is for something else.
func (s *Slack) page(w http.ResponseWriter, r *http.Request) bool {
	switch r.Method + " " + r.URL.Path {
	case "GET /":
	case "POST /press":
		s.pressed(w, r)
		return true
	default:
		return false
	}
	channels := map[string][]shown{}
	for _, m := range s.Messages() {
		channels[strings.TrimPrefix(m.Channel, "C")] = append(channels[strings.TrimPrefix(m.Channel, "C")], show(m))
	}
	said := s.Said()
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = slackPage.Execute(w, map[string]any{
		"Channels":  channels,
		"Said":      said[max(0, len(said)-5):],
		"Connected": s.Connections() > 0,
		"Form":      s.Views() > s.submitted(),
		"Users":     []string{"ann", "bob"},
	})
	return true
}

func show(m SlackMessage) shown {
	v := shown{SlackMessage: m}
	var blocks []block
	_ = json.Unmarshal(m.Blocks, &blocks)
	if len(blocks) == 0 {
		v.Parts = []part{{Type: "section", Text: mrkdwn(m.Text)}}
	}
	for _, b := range blocks {
		p := part{Type: b.Type}
		if b.Text != nil {
			p.Text = mrkdwn(b.Text.Text)
		}
		for _, e := range b.Elements {
			if b.Type == "context" {
				p.Text += mrkdwn(e.text())
				continue
			}
			bt := button{Text: e.text(), Action: e.ActionID, Value: e.Value, URL: e.URL}
			for _, o := range e.Options {
				bt.Options = append(bt.Options, option{o.Text.Text, strings.Fields(o.Value)[0]})
			}
			p.Buttons = append(p.Buttons, bt)
		}
		v.Parts = append(v.Parts, p)
	}
	for _, r := range m.Replies {
		v.Replies = append(v.Replies, show(r))
	}
	return v
}

var (
	bold     = regexp.MustCompile(`\*([^*\n]+)\*`)
	mentions = regexp.MustCompile(`&lt;([!@][A-Za-z0-9^]+)&gt;`)
	dates    = regexp.MustCompile(
		`<!date\^[0-9]+\^[^|<>]*\|([^<>]*)>`,
	) // https://docs.slack.dev/messaging/formatting-message-text/#date-formatting
	links = regexp.MustCompile(`<(https?://[^|<> ]+)\|([^<>]*)>`)
)

// Read is a text of Slack's as a person reads it, in plain text: dates in words, links with where they lead.
func Read(s string) string { return links.ReplaceAllString(dates.ReplaceAllString(s, "$1"), "$2: $1") }

// mrkdwn is Slack's text as HTML: what Slack would take for a mention is shown as one.
func mrkdwn(s string) template.HTML {
	// Slack's own escapes are kept apart from its signs: only an unescaped <…> is a mention.
	s = dates.ReplaceAllString(s, "$1")
	s = links.ReplaceAllString(s, "\x04$1\x05$2\x06")
	s = strings.NewReplacer("&amp;", "\x01", "&lt;", "\x02", "&gt;", "\x03").Replace(s)
	s = html.EscapeString(s)
	s = mentions.ReplaceAllString(s, `<span class="mention">$1</span>`)
	s = bold.ReplaceAllString(s, "<b>$1</b>")
	s = strings.NewReplacer("\x01", "&amp;", "\x02", "&lt;", "\x03", "&gt;", "\n", "<br>",
		"\x04", `<a href="`, "\x05", `">`, "\x06", "</a>").Replace(s)
	return template.HTML(s)
}

// pressed takes the forms of the page.
func (s *Slack) pressed(w http.ResponseWriter, r *http.Request) {
	if err := http.NewCrossOriginProtection().Check(r); err != nil {
		http.Error(w, "cross-origin", http.StatusForbidden)
		return
	}
	user := r.PostFormValue("user")
	id := map[string]string{"ann": "U01", "bob": "U02"}[user]
	var err error
	switch {
	case r.PostFormValue("reason") != "":
		err = s.Submit(id, user, r.PostFormValue("reason"))
	case r.PostFormValue("command") != "":
		var text string
		text, err = s.Command(id, user, strings.TrimPrefix(strings.TrimSpace(r.PostFormValue("command")), "/keyrounds"))
		s.say(text)
	default:
		for _, m := range s.Messages() {
			if m.TS == r.PostFormValue("ts") {
				err = s.Press(Press{
					User: id, Name: user, Message: m, Action: r.PostFormValue("action"), Option: r.PostFormValue("option"),
					Value: r.PostFormValue("value"),
				})
			}
		}
	}
	if err != nil {
		s.say("Slack: " + err.Error())
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (s *Slack) say(text string) {
	s.socket.mu.Lock()
	defer s.socket.mu.Unlock()
	s.socket.said = append(s.socket.said, text)
}
