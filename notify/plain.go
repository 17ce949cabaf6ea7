package notify

import (
	"slices"
	"strings"
	"time"

	"github.com/keyrounds/keyrounds/finding"
)

// Title is what the message is called: how urgent, who and what, after why it is told again.
func (m Message) Title() string {
	if m.Occasion != "" {
		return m.Occasion + ": " + m.Words.Title
	}
	return m.Words.Title
}

// Plain returns a message as plain text, for receivers that have no layout of their own: its title, and the
// rest of it. Nothing in it mentions anybody by the usual words for everybody.
func (m Message) Plain() (title, body string) {
	var lines []string
	add := func(l ...string) { lines = append(lines, l...) }
	switch {
	case m.Letter != nil:
		title = m.Letter.Title
		add(m.Letter.All()...)
		if m.Letter.File != nil {
			add("", "The file "+m.Letter.File.Name+" is not attached here: see keyrounds report.")
		}
	default:
		title = m.Title()
		if m.Turn != "" {
			add(strings.Split(m.Turn, "\n")...)
		} else if m.Words.State != "" {
			add(m.Words.State)
		}
		if m.Words.Effect != "" {
			add(m.Words.Effect)
		}
		if m.Words.Owner != "" {
			add("Owner: " + m.Words.Owner)
		}
		for _, i := range m.Words.Items {
			add("- " + i)
		}
		if len(m.Words.Steps) > 0 {
			add("", "What to do:")
			for _, s := range m.Words.Steps {
				add("- " + s)
			}
			add("")
		}
		for _, f := range m.Words.Facts {
			add(strings.TrimPrefix(f.Label+": "+f.Text, ": "))
		}
		if m.Words.Guide != "" {
			add("Runbook: " + m.Words.Guide)
		}
		if m.Words.Link != "" {
			add("", m.Words.Link)
		}
	}
	return harmless(title), Localize(harmless(strings.Join(lines, "\n")), func(t time.Time) string { return m.In(t).Format(TimeLayout) })
}

// In is t in the zone of the message.
func (m Message) In(t time.Time) time.Time {
	if m.Zone == nil {
		return t.UTC()
	}
	return t.In(m.Zone)
}

const withdrawn = "WITHDRAWN"

// Ended is WITHDRAWN where all of fs were, RESOLVED where all are over, and "" where one of them is not.
func Ended(fs []finding.Finding) string {
	taken := 0
	for _, f := range fs {
		if f.State != finding.Resolved {
			return ""
		}
		if f.Withdrawn {
			taken++
		}
	}
	if taken > 0 && taken == len(fs) {
		return withdrawn
	}
	return "RESOLVED"
}

// Over reports whether all findings of the message are resolved; true for a letter, which has none.
func (m Message) Over() bool { return m.over() }

// LookedAfter reports whether somebody looks after all of it that is not resolved: acknowledged, or put aside. False where nothing is
// left.
func (m Message) LookedAfter() bool {
	return !m.over() && !slices.ContainsFunc(m.Findings, func(f finding.Finding) bool { return f.State == finding.Open })
}

// Severity is that of its first finding, which is the most severe of those that are not resolved; Info for a letter.
func (m Message) Severity() finding.Severity {
	if len(m.Findings) == 0 {
		return finding.Info
	}
	return m.Findings[0].Severity
}

// Cut is s, or its beginning with … where it has more than most characters.
func Cut(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

// harmless puts a word joiner into what chats take for a mention of everybody, or of somebody.
func harmless(s string) string {
	const joiner = "\u2060"
	return strings.NewReplacer(
		"@everyone", "@"+joiner+"everyone",
		"@here", "@"+joiner+"here",
		"@channel", "@"+joiner+"channel",
		"@all", "@"+joiner+"all",
		"<@", "<"+joiner+"@",
		"<!", "<"+joiner+"!",
	).Replace(s)
}
