// Package feed reads the records of others: from log files that it follows, from log APIs and Prometheus
// servers that it asks, from texts that are given to it. It makes events of them, the same for all sources.
//
// It judges nothing and stores nothing. Whether an event is a use, whose, and how far a feed was read are
// package usage's business; the positions come in as arguments and go out with what was read.
package feed

import (
	"net/netip"
	"time"
)

// Feed is a source of usage events, as it is configured.
type Feed struct {
	Name      string
	Provider  string // whose credentials it shows
	Type      string // TypeFile, TypePush or TypeImport; each other type is polled
	Format    Format
	Partial   bool          // it sees only some uses: its silence proves nothing
	Keep      bool          // keep single events
	Silence   time.Duration // quiet for so long is ordinary; more is a gap
	Learns    bool          // Silence is the least: more is learned from its pauses
	Watching  Watching      // by what it is judged whether it could show a client
	Paths     []string      // of TypeFile: files, directories or patterns, absolute
	Poll      Poll          // of a polled feed
	Addresses []netip.Addr  // that the provider sees our checks from, beside those that are learned
}

// The types of feeds that are not the name of a preset with a log API.
const (
	TypeFile       = "file"       // files of this machine are followed
	TypePush       = "push"       // others send batches
	TypeImport     = "import"     // a command brings files
	TypePrometheus = "prometheus" // a Prometheus is asked which clients made requests
	TypeHTTP       = "http"       // a log API that no preset knows is asked
)

// Polled reports whether f is asked for its events, rather than followed or sent.
func (f Feed) Polled() bool {
	return f.Type != TypeFile && f.Type != TypePush && f.Type != TypeImport
}

// DefaultSilence is the Silence of a feed that says nothing else.
const DefaultSilence = 24 * time.Hour

// OfImports is the feed of files that a command brings for a provider. Its silence is learned.
func OfImports(provider string, format Format) Feed {
	return Feed{
		Name: "import/" + provider, Provider: provider, Type: TypeImport, Format: format, Silence: DefaultSilence, Learns: true,
	}
}

// Watching is by what it is judged whether a feed could show a client (package usage has the rules). A zero is the usual
// number.
type Watching struct {
	MostBad           float64 `json:"most_bad,omitempty"`            // of the records of a day
	LeastNamed        float64 `json:"least_named,omitempty"`         // of the records of seven days
	LeastNamedRecords int64   `json:"least_named_records,omitempty"` // of seven days
	LossFactor        float64 `json:"loss_factor,omitempty"`         // of the usual share
}

// Span is a stretch of time, from From to To.
type Span struct{ From, To time.Time }
