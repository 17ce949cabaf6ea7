package usage

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/usage/feed"
)

// Rules of the answer to "is this credential used?", in this order; the first that fits decides:
//
//  1. A use by others in the time that counts: used. Nothing else can say that.
//  2. Feeds that did not watch all of that time, or a credential that did not exist throughout: not
//     known, and why.
//  3. A use before it: unused. No use ever seen: never used.
//
// The time that counts is unused_after; where the uses so far come in a rhythm that is longer, a
// quarter more than that rhythm. Our own checks, and what was refused, are no use.

// State is the answer.
type State string

// The states.
const (
	Used      State = "used"
	Unused    State = "unused"
	NeverUsed State = "never_used"
	NotKnown  State = "not_known"
)

// States lists all of them.
func States() []State { return []State{Used, Unused, NeverUsed, NotKnown} }

// Cause is what makes it not known whether a credential is used.
type Cause string

// The causes.
const (
	CauseNoFeed    Cause = "no_feed"    // no feed could say
	CauseFeedGap   Cause = "feed_gap"   // a feed was not watching for a while, or is not now
	CauseFeedBegan Cause = "feed_began" // the feeds watch only since a time that is too short ago
	CauseNoCreated Cause = "no_created" // it was registered too short ago, and nobody says since when it exists
	CauseTooYoung  Cause = "too_young"  // it exists for too short a time
	CauseOwnChecks Cause = "own_checks" // our own checks hide what was before them
)

// Answer says whether a credential is used, how that is known, and how.
type Answer struct {
	State    State
	Reason   string    // for a person; of NotKnown: why
	Cause    Cause     // of NotKnown
	KnownAt  time.Time // of NotKnown: when it will be known if nobody uses it and the feeds go on; zero: not by waiting
	FirstUse time.Time // the first that is known
	LastUse  time.Time
	DaysIdle int           // whole days since LastUse; -1: no use is known
	Window   feed.Span     // the time that counts
	Covered  time.Duration // how much of it the feeds watched
	Gaps     []feed.Span   // the rest, in stretches longer than the feeds' silence
	Feeds    []string      // that were asked
	NoFeed   bool          // there is none that could say
	OnlyOwn  bool          // only keyrounds used it in that time
	Rhythm   Rhythm

	// Overdue is when a use should have come by the rhythm; zero: none is due, or it is not used at all.
	Overdue time.Time
	// Wait is until when an unused credential may be used again, since it was quiet for as long before; zero: it was not.
	Wait         time.Time
	WatchedSince time.Time // since when any feed was watching; zero: none was

	Address     netip.Addr // where the last use came from
	Network     netip.Prefix
	UserAgent   string
	QuietHours  string   // "01:00–05:00"; "": none is known
	ScopesKnown bool     // feeds say with which scopes
	Unscoped    []string // declared scopes that nobody used in that time
	Unpresented bool     // others got tokens, and nobody presented one, though feeds would show it
	Exchanges   int64    // in the months of the window
	Requests    int64
	NotAllowed  int64 // of those, what was not allowed: the client was verified

	// What others tried and were refused, in the months of the window: a client id that nobody verified was named.
	Attempts     int64
	FirstAttempt time.Time // zero: not known
	LastAttempt  time.Time
}

// Tried says in words that somebody still tries a credential; "": nobody does.
func (a Answer) Tried() string {
	switch {
	case a.Attempts == 0:
		return ""
	case a.LastAttempt.IsZero():
		return "someone still tries it, and is refused"
	}
	return fmt.Sprintf("someone still tries it, and is refused, the last time on %s", date(a.LastAttempt))
}

// facts are what Assess knows of one credential at a time.
type facts struct {
	credential credential.Credential
	months     []monthFacts // the oldest first
	feeds      []feedFacts  // of its provider
	scopes     map[string]time.Time
	zone       *time.Location
}

type monthFacts struct {
	month               time.Time
	exchanges, requests int64
	own, failures       int64
	denied              int64
	first, last         time.Time
	firstAttempt        time.Time
	lastAttempt         time.Time
	days, hours         uint32
	scopesSeen          bool
	hidden              time.Duration
}

type feedFacts struct {
	name                      string
	state                     bool // last-used times or counts only
	partial, configured, file bool
	silence                   time.Duration // between its stretches
	quiet                     time.Duration // after the last of them; 0: as silence
	coverage                  []feed.Span   // when it was alive, in order
	lost                      []loss        // when it was not fit to show a client, in order
	seen                      time.Time
	exchanges, requests       bool // it shows such
}

// assess answers for the time at.
func assess(f facts, at time.Time) Answer {
	a := Answer{DaysIdle: -1, Rhythm: rhythm(f, at)}
	c := f.credential
	after := c.UnusedAfter
	if r := a.Rhythm.Every; r > 0 {
		after = max(after, r+r/4+3*24*time.Hour)
	}
	a.Window = feed.Span{From: at.Add(-after), To: at}
	f.uses(&a, at)
	f.coverage(&a)
	a.WatchedSince = f.watchedSince()
	existed := f.existedSince()
	switch {
	case !a.LastUse.IsZero() && a.LastUse.After(a.Window.From):
		a.State, a.Reason = Used, fmt.Sprintf("last used %s", days(a.DaysIdle))
		if c.UnusedAfter < after && at.Sub(a.LastUse) >= c.UnusedAfter {
			a.Reason += ", which is its rhythm: " + a.Rhythm.String()
		}
	case a.NoFeed:
		a.State, a.Cause = NotKnown, CauseNoFeed // coverage said why
	case len(a.Gaps) == 1 && a.Gaps[0].From.Equal(a.Window.From) && a.Gaps[0].To.Before(a.Window.To):
		a.State, a.Cause, a.KnownAt = NotKnown, CauseFeedBegan, a.Gaps[0].To.Add(after)
	case len(a.Gaps) > 0:
		a.State, a.Cause = NotKnown, CauseFeedGap
	case a.Window.From.Before(existed.Add(-24*time.Hour)) && c.Created.IsZero():
		a.State, a.Cause, a.KnownAt = NotKnown, CauseNoCreated, existed.Add(after)
		a.Reason = fmt.Sprintf("registered only since %s, and `created` is not given", date(existed))
	case a.Window.From.Before(existed.Add(-24 * time.Hour)):
		a.State, a.Cause, a.KnownAt = NotKnown, CauseTooYoung, existed.Add(after)
		a.Reason = fmt.Sprintf("it exists only since %s; it counts as unused after %s",
			date(existed), credential.FormatDuration(after))
	case f.hidden(&a):
		a.State, a.Cause = NotKnown, CauseOwnChecks
	case a.LastUse.IsZero():
		a.State, a.Reason = NeverUsed, fmt.Sprintf("no use was ever seen; the feeds watched since %s", date(a.WatchedSince))
	default:
		a.State, a.Reason = Unused, fmt.Sprintf("last used %s, and the feeds watched ever since", days(a.DaysIdle))
	}
	switch a.State {
	case Used:
		a.Overdue = a.Rhythm.overdue(at)
	case Unused:
		if a.Wait = f.mayComeBack(at); !a.Wait.IsZero() {
			a.Reason += fmt.Sprintf("; it was quiet for as long before, and may be used again until %s", date(a.Wait))
		}
	}
	if tried := a.Tried(); tried != "" && a.State != Used {
		a.Reason += "; " + tried
	}
	if (a.State == Unused || a.State == NeverUsed) && a.OnlyOwn && a.Attempts == 0 {
		a.Reason += "; only keyrounds' own checks use it"
	}
	return a
}

func days(n int) string {
	switch n {
	case 0:
		return "today"
	case 1:
		return "yesterday"
	}
	return fmt.Sprintf("%d days ago", n)
}

func date(t time.Time) string { return t.UTC().Format("2 Jan 2006") }

// uses reads what the months say until at.
func (f facts) uses(a *Answer, at time.Time) {
	var own int64
	var hours, everyHour uint32
	for _, m := range f.months {
		if !m.first.IsZero() && !m.first.After(at.Add(maxAhead)) { // the source's clock may be ahead
			if a.FirstUse.IsZero() || m.first.Before(a.FirstUse) {
				a.FirstUse = m.first
			}
			last := m.last
			if last.After(at.Add(maxAhead)) { // the month goes on after at: the days before it tell
				last = f.lastDayBefore(m, at)
			}
			a.LastUse = later(a.LastUse, last)
		}
		everyHour |= m.hours
		end := m.month.AddDate(0, 1, 0)
		if end.Before(a.Window.From) || !m.month.Before(at) {
			continue
		}
		a.Exchanges, a.Requests, own = a.Exchanges+m.exchanges, a.Requests+m.requests, own+m.own
		a.NotAllowed += m.denied
		a.ScopesKnown = a.ScopesKnown || m.scopesSeen
		if m.failures > 0 && (m.lastAttempt.IsZero() || m.lastAttempt.After(a.Window.From)) && m.firstAttempt.Before(at) {
			a.Attempts += m.failures
			if m.lastAttempt.After(at) { // the month goes on after at: when the last before it was is not known
				m.lastAttempt = time.Time{}
			}
			if !m.firstAttempt.IsZero() && (a.FirstAttempt.IsZero() || m.firstAttempt.Before(a.FirstAttempt)) {
				a.FirstAttempt = m.firstAttempt
			}
			a.LastAttempt = later(a.LastAttempt, m.lastAttempt)
		}
		if m.month.After(at.AddDate(0, -4, 0)) {
			hours |= m.hours
		}
	}
	if !a.LastUse.IsZero() {
		a.DaysIdle = max(0, int(at.Sub(a.LastUse)/(24*time.Hour)))
	}
	if hours == 0 {
		hours = everyHour
	}
	a.QuietHours = quiet(hours)
	a.OnlyOwn = own > 0 && a.LastUse.Before(a.Window.From)
	if a.ScopesKnown {
		for _, s := range f.credential.Scopes {
			if !f.scopes[s].After(a.Window.From) { // as of a use of the credential
				a.Unscoped = append(a.Unscoped, s)
			}
		}
	}
}

// lastDayBefore is the end of the last day with a use before at.
func (f facts) lastDayBefore(m monthFacts, at time.Time) time.Time {
	best := m.first
	for d := range 31 {
		if m.days&(1<<d) == 0 {
			continue
		}
		begin := time.Date(m.month.Year(), m.month.Month(), d+1, 0, 0, 0, 0, f.zone)
		switch end := begin.AddDate(0, 0, 1); {
		case !end.After(at) && end.Add(-time.Second).After(best):
			best = end.Add(-time.Second)
		case begin.Before(at) && end.After(at) && begin.After(best): // on this day, before or after at
			best = begin
		}
	}
	return best
}

// coverage looks at what the feeds of the provider watched. Each of them must have watched: a feed shows
// the uses of its own gateway, and another one's silence proves nothing of them. What a command imported
// stands in for all of them.
func (f facts) coverage(a *Answer) {
	var watching []feedFacts
	var imported []feed.Span
	var files []feed.Span // when what was imported was alive
	var blind []loss      // and when it was not fit to show a client
	silence, quiet := time.Duration(0), time.Duration(0)
	for _, fd := range f.feeds {
		switch {
		case fd.partial:
		case fd.file:
			files = append(files, fd.coverage...)
			imported = append(imported, without(join(slices.Clone(fd.coverage), fd.silence), fd.lost)...)
			blind = append(blind, fd.lost...)
			silence, quiet = max(silence, fd.silence), max(quiet, fd.quiet)
			a.Feeds = append(a.Feeds, fd.name)
		case fd.configured:
			watching = append(watching, fd)
			a.Feeds = append(a.Feeds, fd.name)
		}
	}
	if len(watching) == 0 && len(files) == 0 {
		a.NoFeed, a.Reason = true, fmt.Sprintf("no feed shows the use of %s's credentials", f.credential.Provider)
		a.Gaps = []feed.Span{a.Window}
		return
	}
	if f.credential.Subject == "" { // of an API key
		a.NoFeed, a.Reason = true, "no log can show its use: client_id does not say what the logs call it"
		a.Gaps = []feed.Span{a.Window}
		return
	}
	a.Covered = a.Window.To.Sub(a.Window.From)
	if len(watching) == 0 {
		watching = []feedFacts{
			{name: "import/" + f.credential.Provider, silence: silence, quiet: quiet, coverage: files, lost: standIn(blind, imported)},
		}
	}
	for _, fd := range watching {
		spans := join(append(slices.Clone(fd.coverage), imported...), fd.silence)
		if n := len(spans); n > 0 && fd.quiet > fd.silence && spans[n-1].To.Before(a.Window.To) &&
			!a.Window.To.After(spans[n-1].To.Add(fd.quiet)) {
			spans[n-1].To = a.Window.To
		}
		missed := standIn(fd.lost, imported)
		if len(imported) > 0 { // a day that an import lost is not bridged by those around it
			missed = append(missed, standIn(blind, without(join(slices.Clone(fd.coverage), fd.silence), fd.lost))...)
		}
		gaps := gapsOf(spans, missed, a.Window, fd.silence)
		missing := time.Duration(0)
		for _, g := range gaps {
			missing += g.To.Sub(g.From)
		}
		a.Covered = min(a.Covered, a.Window.To.Sub(a.Window.From)-missing)
		if len(gaps) > 0 && len(a.Gaps) == 0 {
			a.Gaps = gaps
			a.Reason = cmp.Or(lossReason(fd.name, missed, spans, a.Window, fd.silence), gapReason(fd.name, gaps, a.Window))
		}
	}
}

// gapsOf are the stretches of window in which a feed was not alive for longer than its silence, or lost, in order.
func gapsOf(alive []feed.Span, losses []loss, window feed.Span, silence time.Duration) []feed.Span {
	if !slices.ContainsFunc(alive, func(s feed.Span) bool { return !s.From.After(window.To) && !s.To.Before(window.From) }) {
		return []feed.Span{window} // however short it is
	}
	gaps := holes(alive, window, silence)
	for _, l := range losses {
		s := feed.Span{From: later(l.From, window.From), To: l.To}
		if s.To.After(window.To) {
			s.To = window.To
		}
		if s.To.After(s.From) {
			gaps = append(gaps, s)
		}
	}
	return join(gaps, 0)
}

// lossReason says the longest of the stretches of window in which a feed lived and could show nobody; "": there is
// none, or it was not alive for longer than that.
func lossReason(feedName string, losses []loss, alive []feed.Span, window feed.Span, silence time.Duration) (why string) {
	longest := time.Duration(0)
	for _, h := range holes(alive, window, silence) {
		longest = max(longest, h.To.Sub(h.From))
	}
	var dead []loss
	for _, h := range holes(alive, window, 0) {
		dead = append(dead, loss{Span: h})
	}
	for _, l := range losses {
		s := feed.Span{From: later(l.From, window.From), To: l.To}
		if s.To.After(window.To) {
			s.To = window.To
		}
		if l.why == "" || s.To.Sub(s.From) <= longest {
			continue
		}
		var lived time.Duration
		for _, rest := range without([]feed.Span{s}, dead) {
			lived += rest.To.Sub(rest.From)
		}
		if lived > longest {
			longest, why = lived, fmt.Sprintf("feed %s: %s", feedName, l.why)
		}
	}
	return why
}

// gapReason says the worst of a feed's gaps: that it is silent now, or began too late, or was away.
func gapReason(feed string, gaps []feed.Span, window feed.Span) string {
	first, last := gaps[0], gaps[len(gaps)-1]
	switch {
	case first == window || first.From.Equal(window.From) && first.To.Equal(window.To):
		return fmt.Sprintf("feed %s has shown nothing in all the time that counts, since %s", feed, date(window.From))
	case last.To.Equal(window.To):
		return fmt.Sprintf("feed %s silent since %s", feed, last.From.UTC().Format("2 Jan"))
	case first.From.Equal(window.From):
		return fmt.Sprintf("feed %s watches only since %s", feed, date(first.To))
	}
	text := fmt.Sprintf("feed %s saw nothing from %s to %s",
		feed, first.From.UTC().Format("2 Jan 15:04"), first.To.UTC().Format("2 Jan 15:04"))
	if n := len(gaps) - 1; n > 0 {
		text += fmt.Sprintf(" and %d times more", n)
	}
	return text
}

// The share of the time that counts which last-used times must tell of.
const leastSeen = 0.9

// hidden: a last-used time says nothing of what was before it. Where our own checks come after most of
// it, nothing is known.
func (f facts) hidden(a *Answer) bool {
	if !slices.ContainsFunc(f.feeds, func(fd feedFacts) bool { return fd.state && fd.configured && !fd.partial }) ||
		slices.ContainsFunc(f.feeds, func(fd feedFacts) bool { return !fd.state && fd.configured && !fd.partial }) {
		return false
	}
	var hidden time.Duration
	for _, m := range f.months {
		if m.month.AddDate(0, 1, 0).After(a.Window.From) && m.month.Before(a.Window.To) {
			hidden += m.hidden
		}
	}
	window := a.Window.To.Sub(a.Window.From)
	if float64(window-hidden) >= leastSeen*float64(window) {
		return false
	}
	a.Covered = max(0, a.Covered-hidden)
	a.Reason = "the feed gives only a last-used time or a count, and keyrounds' own checks hide what was before or beside them: " +
		"check it less often than the feed is polled"
	return true
}

// existedSince is the earliest time that the credential is known to have existed.
func (f facts) existedSince() time.Time {
	since := f.credential.Registered
	if !f.credential.Created.IsZero() {
		since = f.credential.Created
	}
	for _, m := range f.months {
		if !m.first.IsZero() && m.first.Before(since) {
			since = m.first
		}
	}
	return since
}

func (f facts) watchedSince() (t time.Time) {
	for _, fd := range f.feeds {
		watched := without(fd.coverage, fd.lost)
		if !fd.partial && len(watched) > 0 && (t.IsZero() || watched[0].From.Before(t)) {
			t = watched[0].From
		}
	}
	return t
}

// quiet is the longest run of hours without a use, of hours of a day as bits, in words.
func quiet(hours uint32) string {
	if hours == 0 {
		return ""
	}
	bestFrom, bestLen := 0, 0
	for from := range 24 {
		n := 0
		for n < 24 && hours&(1<<((from+n)%24)) == 0 {
			n++
		}
		if n > bestLen {
			bestFrom, bestLen = from, n
		}
	}
	switch {
	case bestLen == 0:
		return ""
	case bestLen >= 20: // it is shorter to say when it is not quiet
		return fmt.Sprintf("all but %02d:00–%02d:00", (bestFrom+bestLen)%24, bestFrom)
	}
	return fmt.Sprintf("%02d:00–%02d:00", bestFrom, (bestFrom+bestLen)%24)
}

// Coverage is the coverage in words: "90 of 90 days (gateway, okta-prod)".
func (a Answer) Coverage() string {
	day := 24 * time.Hour
	whole := int((a.Window.To.Sub(a.Window.From) + day/2) / day)
	text := fmt.Sprintf("%d of %d days", min(whole, int((a.Covered+day/2)/day)), whole)
	if len(a.Feeds) > 0 {
		text += " (" + strings.Join(a.Feeds, ", ") + ")"
	}
	return text
}
