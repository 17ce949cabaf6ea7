package notify

import (
	"fmt"
	"strings"

	"github.com/keyrounds/keyrounds/finding"
)

const mostSightings = 6 // in a message; the finding has more

// leakFacts are what a finding about a leak says: how sure, whether the secret works, what it may do, where it was
// seen, and what proves its end. Of one that is over: where it was seen, and the proof.
func leakFacts(l *finding.Leak, over bool) (facts []Fact) {
	if l == nil {
		return nil
	}
	add := func(label, text string) {
		if text != "" {
			facts = append(facts, Fact{label, text})
		}
	}
	add("How sure", l.Confidence)
	switch {
	case over:
	case l.Works != nil && *l.Works:
		add("Does it work", "yes, a token was issued for it "+clock(l.WorksAt))
	case l.Works != nil:
		add("Does it work", "the provider refused it "+clock(l.WorksAt)+"; that is no proof yet")
	case len(l.Deaths) == 0:
		add("Does it work", "not known yet")
	}
	if !over {
		add("It may", strings.Join(l.Proven, " "))
	}
	if !l.Replaced.IsZero() && !over {
		text := "by another secret, " + clock(l.Replaced)
		if l.Unknown {
			text += "; keyrounds does not have the old one"
		}
		add("Replaced", text)
	}
	for i, g := range l.Sightings {
		label := ""
		switch {
		case i == mostSightings:
			add("Seen also", fmt.Sprintf("%d times more: keyrounds leaks list", l.Total-i))
			return append(facts, deaths(l)...)
		case i == 0:
			label = "First seen"
		default:
			label = "Seen"
		}
		add(label, sighting(g))
	}
	return append(facts, deaths(l)...)
}

func sighting(g finding.Sighting) string {
	text := clock(g.At) + ": " + g.What
	where := strings.TrimSpace(g.Source + " " + g.Path)
	if where != "" && g.Line > 0 {
		where += fmt.Sprintf(":%d", g.Line)
	}
	if where != "" {
		text += " in " + where
	}
	if g.Encoding != "" && g.Encoding != "plain" {
		text += " as " + g.Encoding
	}
	if g.Commit != "" {
		text += ", commit " + g.Commit[:min(len(g.Commit), 12)]
	}
	switch {
	case g.InHead != nil && *g.InHead:
		text += ", still in HEAD"
	case g.InHead != nil:
		text += ", only in history"
	}
	if g.Public {
		text += ", in public"
	}
	if g.Link != "" {
		text += " " + g.Link
	}
	return text + " (" + g.How + ")"
}

func deaths(l *finding.Leak) (facts []Fact) {
	for _, d := range l.Deaths {
		text := fmt.Sprintf("refused %d times, last %s", len(d.Refused), clock(last(d.Refused)))
		if d.ErrorCode != "" {
			text += " (" + d.ErrorCode + ")"
		}
		text += "; " + d.Control + "; " + d.Token
		if d.Took != "" {
			text += ", " + d.Took + " after the first refusal"
		}
		if !d.LogAt.IsZero() {
			text += fmt.Sprintf("; the provider's log: revoked %s by %s (feed %s)", clock(d.LogAt), d.LogBy, d.LogFeed)
		}
		if which := d.Which(); which != "" {
			text += "; " + which
		}
		facts = append(facts, Fact{"Proof of death", text})
	}
	return facts
}
