package slack

import (
	"context"
	"strings"

	"github.com/slack-go/slack"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/notify"
)

const usage = "`/keyrounds status` how it stands\n" +
	"`/keyrounds check NAME` checks a credential now\n" +
	"`/keyrounds unused` which credentials nobody uses\n" +
	"`/keyrounds silence NAME 2h WHY` has nobody told of a credential for so long\n" +
	"`/keyrounds silences` lists silences, `/keyrounds unsilence NUMBER` ends one\n" +
	"Findings are acknowledged, snoozed and judged with the buttons of their messages."

// command does what was typed after /keyrounds. Only who typed it sees the answer.
func (r request) command(ctx context.Context, c slack.SlashCommand) {
	a := notify.Action{ID: r.r.EnvelopeID, Actor: actor(c.UserID, c.UserName)}
	words := strings.Fields(c.Text)
	say := func(text string) { r.answer(map[string]any{"response_type": "ephemeral", "text": text}) }
	switch {
	case !r.allowed(ctx, c.UserID):
		say(notAllowed)
	case len(words) == 1 && words[0] == "status":
		a.Do = notify.Status
		text, _ := r.do(ctx, quickly, a)
		say(escape(text, maxSection))
	case len(words) == 1 && words[0] == "unused":
		a.Do = notify.Unused
		text, _ := r.do(ctx, quickly, a)
		say(escape(text, maxSection))
	case len(words) == 2 && words[0] == "check":
		say("Checking " + escape(words[1], 100) + " …")
		a.Do, a.Name = notify.Check, words[1]
		text, _ := r.do(ctx, slowly, a)
		r.tell(ctx, c.ResponseURL, text)
	case len(words) >= 4 && words[0] == "silence":
		d, err := credential.ParseDuration(words[2])
		if err != nil || d <= 0 {
			say(usage)
			return
		}
		a.Do, a.Name, a.For, a.Reason = notify.DoSilence, words[1], d, strings.Join(words[3:], " ")
		text, _ := r.do(ctx, quickly, a)
		say(escape(text, maxSection))
	case len(words) == 2 && words[0] == "unsilence":
		a.Do, a.Name = notify.DoEndSilence, words[1]
		text, _ := r.do(ctx, quickly, a)
		say(escape(text, maxSection))
	case len(words) == 1 && words[0] == "silences":
		a.Do = notify.DoSilences
		text, _ := r.do(ctx, quickly, a)
		say(escape(text, maxSection))
	default:
		say(usage)
	}
}
