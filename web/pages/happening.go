package pages

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/keyrounds/keyrounds/audit"
)

// Happening is an entry of the record, in words, as a line of a timeline.
type Happening struct {
	Class, Icon string
	Who, What   string
	Below       string
	At          Moment
}

// HappeningOf says an entry in words.
func HappeningOf(f Frame, e audit.Entry) Happening {
	h := Happening{Icon: "clock", What: wordsOf(e.Action), At: f.When(e.At)}
	if e.Actor != audit.Daemon {
		h.Who, h.Icon = short(e.Actor), "person"
	}
	var d struct {
		Kind, Why, Reason, To, Text, Receiver, Channel string
		State                                          string
		Outcome                                        string
		Status                                         string
	}
	_ = json.Unmarshal(e.Detail, &d) // of some entries it has other things
	if d.Kind != "" {
		h.What += ": " + strings.ReplaceAll(d.Kind, "_", " ")
	}
	for _, text := range []string{d.Why, d.Text, d.Reason, d.To, d.State, d.Receiver, d.Channel} {
		if text != "" && h.Below == "" {
			h.Below = text
		}
	}
	switch {
	case strings.HasPrefix(e.Action, "notification."):
		h.Icon = "bell"
	case e.Action == "finding.opened", e.Action == "finding.reopened":
		h.Class, h.Icon = "bad", "critical"
	case e.Action == "finding.resolved", e.Action == "finding.withdrawn", e.Action == "secret.died":
		h.Class, h.Icon = "ok", "resolved"
	case strings.HasPrefix(e.Action, "credential."):
		h.Icon = "key"
	}
	return h
}

// isForAll: everybody who may look is told of these actions. All others, such as what was refused, are for those who may read the record.
func isForAll(action string) bool {
	begin, _, _ := strings.Cut(action, ".")
	return slices.Contains([]string{
		"finding", "credential", "check", "decision", "report", "silence", "usage", "notification", "receiver", "secret", "daemon",
	}, begin)
}

// wordsOf says an action as people do: "credential.tried" is "credential tried".
func wordsOf(action string) string {
	return strings.NewReplacer(".", " ", "_", " ").Replace(action)
}
