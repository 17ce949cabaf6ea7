package usage

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/secret"
	"github.com/keyrounds/keyrounds/usage/feed"
)

// tally folds events into the rows that are kept, so that a million events of a day are a few rows.
type tally struct {
	zone         *time.Location
	days         map[dayKey]*dayRow
	months       map[monthKey]*monthRow
	scopes       map[scopeKey]time.Time
	unregistered map[string]*Unregistered
	lifecycle    []Lifecycle
	kept         []keptEvent
	keys         map[keyKey]*keyRow
	touched      map[int64]*Touched
	perDay       map[credDay]int // rows of a credential and day
	spans        []feed.Span
	joined       int // spans after they were last joined
	newest       time.Time
	clean        map[string]string // user agents, as they came and cleaned
	slot         slot
}

func newTally(zone *time.Location) *tally {
	return &tally{
		zone: zone, days: map[dayKey]*dayRow{}, months: map[monthKey]*monthRow{}, scopes: map[scopeKey]time.Time{},
		unregistered: map[string]*Unregistered{}, touched: map[int64]*Touched{}, perDay: map[credDay]int{}, clean: map[string]string{},
		keys: map[keyKey]*keyRow{},
	}
}

type dayKey struct {
	credential int64
	day        int32 // since 1970
	network    netip.Prefix
	userAgent  string
}

type credDay struct {
	credential int64
	day        int32
}

type dayRow struct {
	uses, failures int64
	first, last    time.Time
	address        netip.Addr // of the last
}

type monthKey struct {
	credential int64
	month      int32 // 12 × year + month
}

type monthRow struct {
	exchanges, requests, failures, own, denied int64
	first, last                                time.Time // of the uses
	firstAttempt, lastAttempt                  time.Time // of the failures
	days, hours                                uint32
	scopesSeen                                 bool
	hidden                                     time.Duration
}

type scopeKey struct {
	credential int64
	scope      string
}

type keptEvent struct {
	credential int64
	feed.Event
}

// slot is a quarter of an hour: no zone's clock turns within one.
type slot struct {
	number     int64
	day, month int32
	bitOfDay   uint32
	bitOfHour  uint32
}

func (t *tally) when(at time.Time) slot {
	n := at.Unix() / 900
	if t.slot.number == n && t.slot.day != 0 {
		return t.slot
	}
	local := at.In(t.zone)
	y, m, d := local.Date()
	t.slot = slot{
		n, int32(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / 86400), int32(y)*12 + int32(m) - 1,
		1 << (d - 1), 1 << local.Hour(),
	}
	return t.slot
}

func (k dayKey) date() time.Time   { return time.Unix(int64(k.day)*86400, 0).UTC() }
func (k monthKey) date() time.Time { return monthDate(k.month) }

func monthDate(n int32) time.Time {
	return time.Date(int(n/12), time.Month(n%12+1), 1, 0, 0, 0, 0, time.UTC)
}

// The most rows of one credential and day. More networks and user agents than these are one row.
const maxPerDay = 200

// Anywhere stands for an address that is not said, or for too many of them.
var Anywhere = netip.MustParsePrefix("0.0.0.0/0")

const (
	others       = "(others)"
	maxUserAgent = 120
)

// network is the /24 or /48 of an address.
func network(a netip.Addr) netip.Prefix {
	if !a.IsValid() {
		return Anywhere
	}
	bits := 24
	if a.Is6() {
		bits = 48
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return Anywhere
	}
	return p
}

func (t *tally) agent(raw string) string {
	if c, ok := t.clean[raw]; ok {
		return c
	}
	c := CleanAgent(raw)
	if len(t.clean) < 10_000 {
		t.clean[raw] = c
	}
	return c
}

// CleanAgent is a user agent without what may be a secret in it, at most 120 bytes.
func CleanAgent(raw string) string {
	return longRuns.ReplaceAllStringFunc(secret.Scrubber{}.Clean(raw, maxUserAgent), func(run string) string {
		if strings.Contains(run, "/") { // a product and its version
			return run
		}
		return "…"
	})
}

// longRuns are ids of sessions and of requests, and secrets.
var longRuns = regexp.MustCompile(`[A-Za-z0-9+/_~-]{24,}`)

// use folds an event of others.
func (t *tally) use(c *credential.Credential, e *feed.Event) {
	w := t.when(e.At)
	key := dayKey{c.ID, w.day, network(e.Address), t.agent(e.UserAgent)}
	row := t.days[key]
	if row == nil {
		if n := t.perDay[credDay{c.ID, w.day}]; n >= maxPerDay {
			key.network, key.userAgent = Anywhere, others
		}
		if row = t.days[key]; row == nil {
			t.perDay[credDay{c.ID, w.day}]++
			row = &dayRow{first: e.At}
			t.days[key] = row
		}
	}
	if e.OK {
		row.uses += e.Times()
	} else {
		row.failures += e.Times()
	}
	if e.At.Before(row.first) {
		row.first = e.At
	}
	if !e.At.Before(row.last) {
		row.last, row.address = e.At, e.Address
	}
	t.month(c, e, w)
	t.touch(c).add(key.network, e, key.userAgent)
}

func (t *tally) month(c *credential.Credential, e *feed.Event, w slot) {
	m := t.monthOf(c.ID, w)
	if !e.OK {
		m.failures += e.Times()
		if m.firstAttempt.IsZero() || e.At.Before(m.firstAttempt) {
			m.firstAttempt = e.At
		}
		m.lastAttempt = later(m.lastAttempt, e.At)
		return
	}
	if e.Denied {
		m.denied += e.Times()
	}
	if e.Kind == feed.Exchange {
		m.exchanges += e.Times()
	} else {
		m.requests += e.Times()
	}
	if m.first.IsZero() || e.At.Before(m.first) {
		m.first = e.At
	}
	if e.At.After(m.last) {
		m.last = e.At
	}
	m.days |= w.bitOfDay
	if e.Kind != feed.LastUsed {
		m.hours |= w.bitOfHour
	}
	if e.Scopes != nil {
		m.scopesSeen = true
		for _, s := range e.Scopes {
			if k := (scopeKey{c.ID, s}); e.At.After(t.scopes[k]) && credential.ValidScope(s) {
				t.scopes[k] = e.At
			}
		}
	}
}

func (t *tally) monthOf(id int64, w slot) *monthRow {
	k := monthKey{id, w.month}
	m := t.months[k]
	if m == nil {
		m = &monthRow{}
		t.months[k] = m
	}
	return m
}

// live notes that the feed was watching at a time.
func (t *tally) live(at time.Time, silence time.Duration) {
	if at.After(t.newest) {
		t.newest = at
	}
	for i := len(t.spans) - 1; i >= 0 && i >= len(t.spans)-4; i-- {
		s := &t.spans[i]
		if at.Before(s.From.Add(-silence)) || at.After(s.To.Add(silence)) {
			continue
		}
		if at.Before(s.From) {
			s.From = at
		}
		if at.After(s.To) {
			s.To = at
		}
		return
	}
	if t.spans = append(t.spans, feed.Span{From: at, To: at}); len(t.spans) > max(1000, 2*t.joined) {
		t.spans = join(t.spans, silence)
		t.joined = len(t.spans)
	}
}

func (t *tally) touch(c *credential.Credential) *Touched {
	tc := t.touched[c.ID]
	if tc == nil {
		tc = &Touched{Credential: *c, Networks: map[netip.Prefix]*Seen{}}
		t.touched[c.ID] = tc
	}
	return tc
}

// Touched is a credential that others used, in one batch.
type Touched struct {
	Credential credential.Credential
	LastUse    time.Time // that succeeded; zero: none did
	Networks   map[netip.Prefix]*Seen
}

// Seen is what one network did, in one batch.
type Seen struct {
	Uses, Failures int64
	First, Last    time.Time
	Address        netip.Addr // of the last
	UserAgent      string     // of the last, cleaned
	Unexpected     bool       // a use that succeeded came from outside of expected_networks
}

const maxNetworks = 50

func (tc *Touched) add(network netip.Prefix, e *feed.Event, userAgent string) {
	s := tc.Networks[network]
	if s == nil {
		if len(tc.Networks) >= maxNetworks {
			network = Anywhere
		}
		if s = tc.Networks[network]; s == nil {
			s = &Seen{First: e.At}
			tc.Networks[network] = s
		}
	}
	if e.OK {
		s.Uses += e.Times()
		s.Unexpected = s.Unexpected || tc.outside(e.Address)
		if e.At.After(tc.LastUse) {
			tc.LastUse = e.At
		}
	} else {
		s.Failures += e.Times()
	}
	if e.At.Before(s.First) {
		s.First = e.At
	}
	if !e.At.Before(s.Last) {
		s.Last, s.Address, s.UserAgent = e.At, e.Address, userAgent
	}
}

// outside reports whether an address is in none of the credential's expected networks.
func (tc *Touched) outside(a netip.Addr) bool {
	networks := tc.Credential.ExpectedNetworks
	return len(networks) > 0 && a.IsValid() && !slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(a) })
}
