package teams

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
)

// Rules of a card:
//
//  1. What keyrounds did not write itself stands in runs of text (TextRun), where Teams reads no Markdown: a name can be no link, and
//     mention nobody.
//  2. A message has at most 28 KB. What comes last is left out, and the card says so.
//  3. It looks right without colours: the title says how urgent it is.

const (
	mostCard = 24 << 10 // of 28 KB that Teams takes
	mostText = 4000     // characters of a text
)

// Objects of adaptivecards.io, as JSON.
type (
	object map[string]any
	list   []any
)

// messageOf is the request that a workflow takes.
func messageOf(m notify.Message) object {
	return object{
		"type": "message",
		"attachments": list{object{
			"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": nil, "content": cardOf(m),
		}},
	}
}

func cardOf(m notify.Message) object {
	title, lines := linesOf(m)
	local := func(s string) string {
		return notify.Cut(notify.Localize(s, func(t time.Time) string { return m.In(t).Format(notify.TimeLayout) }), mostText)
	}
	card := object{
		"type": "AdaptiveCard", "$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "version": "1.4",
		"fallbackText": notify.Cut(title, 300), "msteams": object{"width": "Full"},
	}
	body := list{object{
		"type": "Container", "style": styleOf(m), "bleed": true,
		"items": list{object{"type": "RichTextBlock", "inlines": list{
			object{"type": "TextRun", "text": local(title), "weight": "Bolder", "size": "Large"},
		}}},
	}}
	if actions := actionsOf(m); len(actions) > 0 {
		card["actions"] = actions
	}
	size := sizeOf(card) + sizeOf(body)
	for i, l := range lines {
		b := l.block(local)
		if size += sizeOf(b) + 1; size > mostCard {
			rest := line{text: "There is more than Teams takes in a message: see keyrounds findings, or the finding's page."}
			rest.apart = true
			body = append(body, rest.block(local))
			break
		}
		if i == 0 {
			b["spacing"] = "Medium"
		}
		body = append(body, b)
	}
	card["body"] = body
	return card
}

func sizeOf(v any) int {
	b, _ := json.Marshal(v) // maps and texts always are
	return len(b)
}

// line is a line of a card: what it is about, bold ("": it says so itself), and what is said. apart: with space before it.
type line struct {
	label, text string
	apart       bool
}

func (l line) block(local func(string) string) object {
	var runs list
	label := l.label
	if label != "" && l.text != "" {
		label += ": "
	}
	if label != "" {
		runs = append(runs, object{"type": "TextRun", "text": label, "weight": "Bolder"})
	}
	if l.text != "" {
		runs = append(runs, object{"type": "TextRun", "text": local(l.text)})
	}
	b := object{"type": "RichTextBlock", "inlines": runs, "spacing": "Small"}
	if l.apart {
		b["spacing"] = "Medium"
	}
	return b
}

// linesOf is what a message says, in the order of notify.Message.Plain.
func linesOf(m notify.Message) (title string, lines []line) {
	add := func(label, text string) {
		if text != "" {
			lines = append(lines, line{label: label, text: text})
		}
	}
	if m.Letter != nil {
		for _, text := range m.Letter.All() {
			add("", text)
		}
		if m.Letter.File != nil {
			add("", "The file "+m.Letter.File.Name+" is not attached here: see keyrounds report.")
		}
		return m.Letter.Title, lines
	}
	w := m.Words
	if m.Turn != "" {
		for text := range strings.SplitSeq(m.Turn, "\n") {
			add("", text)
		}
	} else {
		add("", w.State)
	}
	add("", w.Effect)
	add("Owner", w.Owner)
	for _, item := range w.Items {
		add("", "• "+item)
	}
	if len(w.Steps) > 0 {
		lines = append(lines, line{label: "What to do", apart: true})
		for _, s := range w.Steps {
			add("", "• "+s)
		}
	}
	for i, f := range w.Facts {
		add(f.Label, f.Text)
		if i == 0 && len(lines) > 0 {
			lines[len(lines)-1].apart = true
		}
	}
	return m.Title(), lines
}

// actionsOf are the buttons: the page about it, and the runbook.
func actionsOf(m notify.Message) (actions list) {
	for _, a := range []struct{ title, url string }{{"Open in keyrounds", m.Words.Link}, {"Runbook", m.Words.Guide}} {
		if a.url != "" && m.Letter == nil {
			actions = append(actions, object{"type": "Action.OpenUrl", "title": a.title, "url": a.url})
		}
	}
	return actions
}

// styleOf is the colour behind the title.
func styleOf(m notify.Message) string {
	switch {
	case m.Letter != nil:
		return "emphasis"
	case m.Over():
		return "good"
	case m.Severity() == finding.Critical:
		return "attention"
	case m.Severity() == finding.Warning:
		return "warning"
	}
	return "accent"
}
