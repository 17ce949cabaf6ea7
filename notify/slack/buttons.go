package slack

import (
	"slices"

	"github.com/slack-go/slack"

	"github.com/keyrounds/keyrounds/finding"
)

// The ids of what can be pressed. Their value is the key of the message.
const (
	pressAck        = "acknowledge"
	pressSnooze     = "snooze"
	pressCheck      = "check"
	pressFalseAlarm = "false_alarm"
	pressOpen       = "open"
	viewFalseAlarm  = "false_alarm_reason"
)

// buttons of a message that something in is open; nil: none.
func (d *delivery) buttons() slack.Block {
	if d.m.Over() {
		return nil
	}
	label := func(s string) *slack.TextBlockObject {
		return slack.NewTextBlockObject(slack.PlainTextType, s, false, false)
	}
	var elements []slack.BlockElement
	if d.r.o.Buttons && !d.m.Direct {
		var times []*slack.OptionBlockObject
		for _, t := range []struct{ value, text string }{{"1h", "1 hour"}, {"1d", "1 day"}, {"7d", "7 days"}} {
			times = append(times, slack.NewOptionBlockObject(t.value+" "+d.m.Key, label(t.text), nil))
		}
		elements = append(elements,
			slack.NewButtonBlockElement(pressAck, d.m.Key, label("Acknowledge")),
			slack.NewOptionsSelectBlockElement(slack.OptTypeStatic, label("Snooze"), pressSnooze, times...),
		)
		if checkable(d.m.Findings) {
			elements = append(elements, slack.NewButtonBlockElement(pressCheck, d.m.Key, label("Check now")))
		}
		elements = append(elements, slack.NewButtonBlockElement(pressFalseAlarm, d.m.Key, label("False alarm")))
	}
	if d.m.Words.Link != "" {
		elements = append(elements, slack.NewButtonBlockElement(pressOpen, "", label("Open")).WithURL(d.m.Words.Link))
	}
	if len(elements) == 0 {
		return nil
	}
	return slack.NewActionBlock("", elements...)
}

// checkable: a check says something of it.
func checkable(fs []finding.Finding) bool {
	return slices.ContainsFunc(fs, func(f finding.Finding) bool { return f.Subject.Credential != "" && f.State != finding.Resolved })
}
