package slack

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/slack-go/slack"

	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
)

// The limits of Block Kit, in characters (docs.slack.dev/reference/block-kit/blocks).
const (
	maxHeader  = 150
	maxSection = 3000
	maxBlocks  = 45 // of 50
)

// content is what the message says; without blocks its text says all.
func (d *delivery) content(blocks bool) []slack.MsgOption {
	if d.m.Letter != nil {
		return d.letter("")
	}
	title := mark(d.m.Findings) + " " + d.m.Words.Title
	text := escape(title, maxSection-200)
	if d.m.Mention != "" {
		text = d.m.Mention + " " + text
	}
	options := []slack.MsgOption{marked(metadataMessage, d.m.Key), slack.MsgOptionDisableLinkUnfurl(), slack.MsgOptionDisableMediaUnfurl()}
	if !blocks {
		for _, b := range d.textOf(d.m.Words) {
			text += "\n" + b
		}
		return append(options, slack.MsgOptionText(cut(text, maxSection), false), slack.MsgOptionBlocks([]slack.Block{}...))
	}
	return append(options, slack.MsgOptionText(text, false), slack.MsgOptionBlocks(d.blocks(title)...))
}

func (d *delivery) blocks(title string) []slack.Block {
	w, fs := d.m.Words, d.m.Findings
	blocks := []slack.Block{slack.NewHeaderBlock(slack.NewTextBlockObject(slack.PlainTextType, cut(title, maxHeader), true, false))}
	if d.m.Mention != "" {
		blocks = append(blocks, section(d.m.Mention))
	}
	if w.State != "" {
		blocks = append(blocks, section("*"+d.dated(escape(upperFirst(w.State), 600))+"*"))
	}
	var lead []string
	if w.Effect != "" {
		lead = append(lead, escape(w.Effect, 600))
	}
	if w.Owner != "" {
		lead = append(lead, "*Owner:* "+escape(w.Owner, 200))
	}
	blocks = append(blocks, sections(lead)...)
	if b := d.buttons(); b != nil {
		blocks = append(blocks, b)
	}
	blocks = append(blocks, sections(d.bullets(w.Items, 300))...)
	blocks = append(blocks, sections(d.bullets(w.Steps, 600))...)
	var facts []string
	for _, fact := range w.Facts {
		if fact.Label == "" {
			facts = append(facts, d.dated(escape(fact.Text, 600)))
			continue
		}
		facts = append(facts, fmt.Sprintf("*%s:* %s", escape(fact.Label, 60), d.dated(escape(fact.Text, 600))))
	}
	if w.Guide != "" {
		facts = append(facts, "<"+w.Guide+"|Runbook>")
	}
	blocks = append(blocks, sections(facts)...)
	blocks = blocks[:min(len(blocks), maxBlocks-1)]
	what := fmt.Sprintf("keyrounds finding %d · %s · keyrounds findings show %d", fs[0].ID, fs[0].Kind, fs[0].ID)
	switch {
	case fs[0].ID == 0 && !d.m.Direct:
		what = fmt.Sprintf("keyrounds · %s · a test, nothing is stored", fs[0].Kind)
	case d.m.Direct:
		what = fmt.Sprintf("keyrounds · %s · told without the database", fs[0].Kind)
	case len(fs) > 1:
		what = fmt.Sprintf("keyrounds · %d findings · keyrounds findings list", len(fs))
	}
	return append(blocks, slack.NewContextBlock("", slack.NewTextBlockObject(slack.MarkdownType, escape(what, 300), false, false)))
}

// sections puts lines into as few sections as hold them.
func sections(lines []string) (blocks []slack.Block) {
	var text strings.Builder
	flush := func() {
		if text.Len() > 0 {
			blocks = append(blocks, section(text.String()))
		}
		text.Reset()
	}
	n := 0
	for _, l := range lines {
		if n += len([]rune(l)) + 1; n > maxSection {
			flush()
			n = len([]rune(l)) + 1
		}
		text.WriteString(l + "\n")
	}
	flush()
	return blocks
}

func (d *delivery) bullets(lines []string, most int) (list []string) {
	for _, l := range lines {
		list = append(list, "• "+d.dated(escape(l, most)))
	}
	return list
}

// dated lets Slack show each time of a text in the zone of its reader; who has no such Slack reads it in the message's.
// (docs.slack.dev/messaging/formatting-message-text#date-formatting).
func (d *delivery) dated(text string) string {
	return notify.Localize(text, func(t time.Time) string {
		return fmt.Sprintf("<!date^%d^{date_short_pretty} {time_secs}|%s>", t.Unix(), d.m.In(t).Format(notify.TimeLayout))
	})
}

// textOf is what the blocks say, in lines.
func (d *delivery) textOf(w notify.Words) (lines []string) {
	add := func(label, text string) {
		if text != "" {
			lines = append(lines, d.dated(escape(strings.TrimPrefix(label+": "+text, ": "), 300)))
		}
	}
	add("", upperFirst(w.State))
	add("", w.Effect)
	add("Owner", w.Owner)
	lines = append(lines, d.bullets(append(w.Items, w.Steps...), 300)...)
	for _, f := range w.Facts {
		add(f.Label, f.Text)
	}
	return lines
}

// mark tells severity and state by shape, beside the words.
func mark(fs []finding.Finding) string {
	switch {
	case notify.Ended(fs) == "WITHDRAWN":
		return "↩"
	case notify.Ended(fs) != "":
		return "✔"
	case fs[0].Severity == finding.Critical:
		return "■"
	case fs[0].Severity == finding.Warning:
		return "▲"
	}
	return "●"
}

// letter is what a letter says; a note is added to it.
func (d *delivery) letter(note string) []slack.MsgOption {
	l := d.m.Letter
	return []slack.MsgOption{
		slack.MsgOptionText(
			escape(l.Title, maxSection),
			false,
		),
		slack.MsgOptionBlocks(letterBlocks(*l, note, d.r.o.Buttons)...),
		marked(metadataLetter, d.m.Key),
		slack.MsgOptionDisableLinkUnfurl(),
		slack.MsgOptionDisableMediaUnfurl(),
	}
}

func letterBlocks(l notify.Letter, note string, buttons bool) []slack.Block {
	if !buttons || len(l.Asks) > maxAsked {
		l = notify.Letter{Title: l.Title, Lines: l.All()}
	}
	escaped := func(lines []string) (all []string) {
		for _, line := range lines {
			all = append(all, escape(line, 600))
		}
		return all
	}
	blocks := append(
		[]slack.Block{slack.NewHeaderBlock(slack.NewTextBlockObject(slack.PlainTextType, cut(l.Title, maxHeader), true, false))},
		sections(escaped(l.Lines))...)
	for _, a := range l.Asks {
		blocks = append(blocks, asked(a)...)
	}
	blocks = append(blocks, sections(escaped(l.Tail))...)
	if len(blocks) > maxBlocks-2 {
		blocks = append(blocks[:maxBlocks-2], section("… and more than a message holds."))
	}
	if note != "" {
		blocks = append(blocks, section(escape(note, 600)))
	}
	return blocks
}

func section(text string) slack.Block {
	return slack.NewSectionBlock(slack.NewTextBlockObject(slack.MarkdownType, cut(text, maxSection), false, false), nil, nil)
}

// escape takes Slack's control characters out of text, so that no name mentions a channel or makes a link, and
// the signs of its formatting. What comes out has at most so many characters; an ellipsis shows the cut.
func escape(s string, most int) string {
	var b strings.Builder
	n := 0
	for _, r := range s {
		safe, special := escapes[r]
		if !special {
			safe = string(r)
		}
		if n += utf8.RuneCountInString(safe); n >= most {
			return b.String() + "…"
		}
		b.WriteString(safe)
	}
	return b.String()
}

var escapes = map[rune]string{'&': "&amp;", '<': "&lt;", '>': "&gt;", '*': "∗", '`': "ˋ", '~': "∼"}

func cut(s string, most int) string {
	r := []rune(s)
	if len(r) <= most {
		return s
	}
	return string(r[:most-1]) + "…"
}

func upperFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
