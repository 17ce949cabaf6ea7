package pages

import (
	"fmt"
	"strings"
)

// Tick is what a stretch of time was, from quiet to trouble. Quiet is low and trouble is tall, so that the shape tells
// without colour.
type Tick int

// The ticks, the worst last.
const (
	NotChecked Tick = iota
	Worked
	Elsewhere // the provider, the network or we had a problem: it says nothing of the credential
	Reduced
	Doubted
	Refused
)

var tickLooks = []struct {
	class  string
	height int
	word   string
}{
	{"idle", 2, "not checked"},
	{"ok", 6, "worked"},
	{"info", 11, "with a provider problem"},
	{"less", 13, "with less than is needed"},
	{"sus", 16, "suspect"},
	{"bad", 20, "refused"},
}

// Ticks is a row of stretches, oldest first, as the part "ticks" draws it.
type Ticks struct {
	N     int
	Class string // of the picture: d90, h96
	Label string // all of it in words
	Paths []TickPath
}

// TickPath draws all stretches of a kind.
type TickPath struct{ Class, D string }

// NewTicks makes the picture of ticks. what begins its words: "Last 24 hours of hris".
func NewTicks(class, what, each string, ticks []Tick) Ticks {
	t := Ticks{N: len(ticks), Class: class}
	counts := make([]int, len(tickLooks))
	for kind, look := range tickLooks {
		var d strings.Builder
		for i := 0; i < len(ticks); i++ {
			if ticks[i] != Tick(kind) {
				continue
			}
			from := i
			for i < len(ticks) && ticks[i] == Tick(kind) {
				i++
			}
			counts[kind] += i - from
			fmt.Fprintf(&d, "M%d %dh%dv%dh-%dz", from, 20-look.height, i-from, look.height, i-from)
		}
		if d.Len() > 0 {
			t.Paths = append(t.Paths, TickPath{look.class, d.String()})
		}
	}
	var said []string
	for kind := len(counts) - 1; kind >= 0; kind-- {
		if counts[kind] > 0 {
			said = append(said, fmt.Sprintf("%d %s", counts[kind], tickLooks[kind].word))
		}
	}
	t.Label = fmt.Sprintf("%s, by %s: %s", what, each, strings.Join(said, ", "))
	return t
}

// Pager says what a list shows of how many, and leads on.
type Pager struct {
	Shown, Total int
	Thing        string // "credential"
	First, Next  string // addresses; "": it is this one
}
