package usage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/secret"
	"github.com/keyrounds/keyrounds/usage/feed"
)

// intake takes in the events of one batch, in one transaction: begin, add as often as something was read, then
// finish. The feed's position and what its events became commit together.
type intake struct {
	s         *Store
	tx        pgx.Tx
	batch     string // id of a push or an import
	feed      feed.Feed
	now       time.Time
	tally     *tally
	clients   map[string]*client
	egress    map[netip.Addr]bool
	learned   map[netip.Addr]time.Time
	taken     map[uuid.UUID]int // that changed
	takenOnce map[uuid.UUID]int // as it was before this batch
	counts    Counts
	shows     map[feed.Kind]bool
	samples   []feed.Bad
	lifecycle []Lifecycle // that was flushed
	days      map[int64]*feed.Day
	latest    time.Time // of the records so far
	newShare  float64   // of a poll that overlaps with the one before: how much of its time is new; 0: all
	most      int64     // records of a push; 0: no limit
	unclear   int64     // records that could not be read
	noTime    int64     // records that are left out and do not say when they were written
	row       feedRow
	ids       *eventIDs // of an import; nil: of others
	parts     [][]byte  // of an import: what it added
	undone    map[monthKey]bool
	replaced  []string  // imports that this one replaces
	hideFrom  time.Time // of a feed of last-used times: until when it was known before
}

type feedRow struct {
	silence  time.Duration // as it is registered: an import may have one of its own
	learns   bool
	coverage []feed.Span
	counts   Counts
	samples  []feed.Bad
	position []byte
}

// ErrUnknownFeed is returned for a feed that Sync did not bring.
var ErrUnknownFeed = errors.New("no such feed")

// begin locks the provider and the feed until tx ends.
func (s *Store) begin(ctx context.Context, tx pgx.Tx, f feed.Feed, now time.Time) (*intake, error) {
	in := &intake{
		s: s, tx: tx, feed: f, now: now, tally: newTally(s.Zone),
		clients: map[string]*client{}, counts: Counts{}, shows: map[feed.Kind]bool{},
		egress: map[netip.Addr]bool{}, learned: map[netip.Addr]time.Time{}, taken: map[uuid.UUID]int{}, takenOnce: map[uuid.UUID]int{},
		row:  feedRow{counts: Counts{}},
		days: map[int64]*feed.Day{},
	}
	var coverage multirange
	var counts, samples []byte
	if err := s.Lock(ctx, tx, f.Provider); err != nil {
		return nil, err
	}
	err := tx.QueryRow(ctx, `
		SELECT coverage, counts, samples, position, silence, learns FROM usage_feeds WHERE feed = $1 FOR UPDATE`, f.Name).
		Scan(&coverage, &counts, &samples, &in.row.position, &in.row.silence, &in.row.learns)
	if errors.Is(err, pgx.ErrNoRows) {
		err = fmt.Errorf("%w: %q", ErrUnknownFeed, f.Name)
	}
	if err != nil {
		return nil, err
	}
	in.row.coverage = fromMultirange(coverage)
	if err := errors.Join(json.Unmarshal(counts, &in.row.counts), json.Unmarshal(samples, &in.row.samples)); err != nil {
		return nil, err
	}
	for _, a := range f.Addresses {
		in.egress[a] = true
	}
	rows, err := tx.Query(
		ctx,
		`SELECT address FROM usage_egress WHERE provider = $1 AND seen_at > $2`,
		f.Provider,
		now.Add(-rememberEgress),
	)
	if err != nil {
		return nil, err
	}
	var a netip.Addr
	_, err = pgx.ForEachRow(rows, []any{&a}, func() error { in.egress[a] = true; return nil })
	return in, err
}

// ErrBusy is returned where another process takes in events of the same provider for long: try again.
var ErrBusy = errors.New("another process takes in events of this provider: try again")

// Lock keeps others from taking in events of a provider until tx ends: two that fold the same credentials would wait
// for each other's rows, and whoever judges that something was not used has to know all that came in. It waits for 5 s,
// and returns ErrBusy then. It is tx's only advisory lock.
func (s *Store) Lock(ctx context.Context, tx pgx.Tx, provider string) error {
	if _, err := tx.Exec(ctx, `SET LOCAL lock_timeout = '5s'`); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtext('keyrounds: usage of ' || $1))`, provider)
	var pe *pgconn.PgError
	if errors.As(err, &pe) && pe.Code == "55P03" { // lock_not_available
		return ErrBusy
	}
	return err
}

// An address that our checks were not seen from for so long is forgotten.
const rememberEgress = 30 * 24 * time.Hour

// add takes in what was read.
func (in *intake) add(ctx context.Context, r feed.Reading) error {
	in.counts[ResultSkipped] += int64(r.Skipped)
	in.counts[ResultBad] += int64(r.BadSeen)
	in.samples = append(in.samples, r.Bad...)
	if in.most > 0 && in.counts.Records()+int64(len(r.Events)) > in.most {
		return ErrPushTooLarge
	}
	in.saw(r)
	events := r.Events[:0]
	for _, e := range r.Events {
		if why := Misplaced(e, in.now); why != "" {
			in.counts[ResultBad]++
			in.samples = append(in.samples, feed.Bad{Reason: why})
			continue
		}
		events = append(events, e)
	}
	in.samples = in.samples[max(0, len(in.samples)-maxSamples):]
	var err error
	if in.feed.Polled() {
		all := events
		if events, err = in.fresh(ctx, events); err != nil {
			return err
		}
		in.uncount(all, events)
	}
	if err := in.identify(ctx, events); err != nil {
		return err
	}
	if events, err = in.unique(ctx, events); err != nil {
		return err
	}
	own, err := in.loadLedger(ctx, events)
	if err != nil {
		return err
	}
	for i := range events {
		in.fold(&events[i], own)
	}
	for check := range own.changed {
		in.taken[check] = own.taken[check]
	}
	if len(in.tally.days) > flushAt || len(in.tally.scopes) > flushAt || len(in.tally.lifecycle) > flushAt || len(in.tally.kept) > flushAt {
		return in.flush(ctx)
	}
	return nil
}

const flushAt = 20_000

// Misplaced says why an event is not taken in, by its time; "": it is.
func Misplaced(e feed.Event, now time.Time) string {
	switch {
	case e.At.After(now.Add(maxAhead)):
		return fmt.Sprintf("it is dated more than %s ahead of this machine's clock", maxAhead)
	case e.At.Before(now.Add(-maxBehind)):
		return "it is older than five years"
	}
	return ""
}

// Records may be ahead of our clock by so much, and behind by so much.
const (
	maxAhead  = 10 * time.Minute
	maxBehind = 5 * 366 * 24 * time.Hour
)

// A feed's newest records that could not be read are kept, so many of them.
const maxSamples = 5

// fold folds a single event.
func (in *intake) fold(e *feed.Event, own *ledger) {
	if in.feed.Poll.Spec.State || in.feed.Poll.Spec.Counts {
		in.tally.newest = later(in.tally.newest, e.At)
	} else {
		in.tally.live(e.At, joined(in.feed))
	}
	switch {
	case e.Kind == feed.Heartbeat:
		in.counts[ResultHeartbeat]++
	case e.Kind == feed.Other:
		in.counts[ResultOther]++
	case e.Kind.IsLifecycle():
		in.counts[ResultLifecycle]++
		in.foldLifecycle(*e)
	case e.ClientID == "":
		in.counts[ResultNoClient]++
	case len(in.of(e.ClientID)) == 0:
		in.counts[ResultUnregistered]++
		in.foldUnregistered(*e)
	default:
		in.shows[e.Kind] = true
		in.foldUse(e, own)
	}
}

// of are the credentials with a client id.
func (in *intake) of(clientID string) []credential.Credential {
	if c := in.clients[clientID]; c != nil {
		return c.credentials
	}
	return nil
}

// foldUse folds the use of a registered client: of each credential whose use it is.
func (in *intake) foldUse(e *feed.Event, own *ledger) {
	result := ResultUse
	if !e.OK {
		result = ResultFailure
	}
	if e.Count > 0 && in.takeOutCount(e, own) || e.Count == 0 && in.takeOutEvent(e, own) {
		return
	}
	in.useKey(e)
	holders := in.clients[e.ClientID].holders(e.KeyID)
	if len(holders) == 0 {
		in.counts[ResultOtherKey] += e.Times()
		return
	}
	in.counts[result] += e.Times()
	for i := range holders {
		c := &holders[i]
		in.tally.use(c, e)
		if in.feed.Keep {
			in.tally.kept = append(in.tally.kept, keptEvent{c.ID, *e})
		}
	}
}

// takeOutEvent takes out an event that is of one of our own checks.
func (in *intake) takeOutEvent(e *feed.Event, own *ledger) bool {
	credentials := in.of(e.ClientID)
	for i := range credentials {
		c := &credentials[i]
		rule, teaches := own.ruleOf(*e, c.ID)
		if rule == "" {
			continue
		}
		if rule == ResultOwnToken || rule == ResultOwnNonce {
			in.learnKey(c, e)
		}
		if teaches && e.Address.IsValid() {
			in.egress[e.Address] = true
			in.learned[e.Address] = later(in.learned[e.Address], e.At)
		}
		in.counts[rule]++
		m := in.tally.monthOf(c.ID, in.tally.when(e.At))
		m.own++
		if from := in.hideFrom; e.Kind == feed.LastUsed && !from.IsZero() && e.At.After(from) {
			m.hidden += e.At.Sub(from)
		}
		return true
	}
	return false
}

// takeOutCount takes out a count that our own checks can have made, all of it. Then nothing is known of its time.
func (in *intake) takeOutCount(e *feed.Event, own *ledger) bool {
	var n int64
	for _, c := range in.of(e.ClientID) {
		n += own.requests(*e, c.ID)
	}
	if n == 0 || e.Count > n+n/4+1 { // what Prometheus extrapolates may be a quarter more
		return false
	}
	in.counts[ResultOwnTime] += e.Count
	for _, c := range in.of(e.ClientID) {
		m := in.tally.monthOf(c.ID, in.tally.when(e.At))
		m.own += e.Count
		m.hidden += e.At.Sub(e.From)
	}
	return true
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// identify looks up the clients of events.
func (in *intake) identify(ctx context.Context, events []feed.Event) error {
	var unknown []string
	for _, e := range events {
		if _, known := in.clients[e.ClientID]; !known && e.ClientID != "" {
			in.clients[e.ClientID] = nil
			unknown = append(unknown, secret.Scrubber{}.Clean(e.ClientID, 512))
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	var asked []string
	for _, id := range unknown {
		asked = append(asked, spellings(id)...)
	}
	cs, err := in.s.Clients(ctx, in.tx, in.feed.Provider, asked)
	of := map[string][]credential.Credential{}
	for _, c := range cs {
		of[c.Subject] = append(of[c.Subject], c)
	}
	for _, id := range unknown {
		for _, spelling := range spellings(id) {
			in.know(id, of[spelling])
		}
	}
	if err == nil && len(cs) > 0 {
		err = in.loadKeys(ctx, unknown)
	}
	if len(in.clients) > maxClients { // a flood of made-up client ids
		for id, c := range in.clients {
			if c == nil && !slices.Contains(unknown, id) {
				delete(in.clients, id)
			}
		}
	}
	return err
}

// know adds the credentials of a client id.
func (in *intake) know(id string, cs []credential.Credential) {
	for _, c := range cs {
		known := in.clients[id]
		if known == nil {
			known = &client{owners: map[string]int64{}, seen: map[string]bool{}}
			in.clients[id] = known
		}
		// One that was registered anew under another name goes on; the old name's history ends.
		if c.Retired.IsZero() || len(known.credentials) == 0 || !known.credentials[0].Retired.IsZero() {
			known.credentials = append(known.credentials, c)
		}
	}
}

const maxClients = 200_000

// loadLedger loads what our own checks left around the events that could be ours.
func (in *intake) loadLedger(ctx context.Context, events []feed.Event) (*ledger, error) {
	l := &ledger{lines: nil, taken: map[uuid.UUID]int{}, changed: map[uuid.UUID]bool{}, egress: in.egress}
	type want struct {
		ids      map[int64]bool
		from, to time.Time
	}
	days := map[int64]*want{}
	for _, e := range events {
		if !e.Kind.IsUse() || !couldBeOwn(e) {
			continue
		}
		day := e.At.Unix() / 86400
		w := days[day]
		if w == nil {
			w = &want{map[int64]bool{}, e.At, e.At}
			days[day] = w
		}
		if e.At.Before(w.from) {
			w.from = e.At
		}
		if !e.From.IsZero() && e.From.Before(w.from) {
			w.from = e.From
		}
		w.to = later(w.to, e.At)
		for _, c := range in.of(e.ClientID) {
			w.ids[c.ID] = true
		}
	}
	l.lines = map[int64][]checker.Footprint{}
	var checks []uuid.UUID
	seen := map[uuid.UUID]bool{}
	for _, w := range days {
		if len(w.ids) == 0 {
			continue
		}
		ids := make([]int64, 0, len(w.ids))
		for id := range w.ids {
			ids = append(ids, id)
		}
		lines, err := in.s.Ledger(ctx, in.tx, ids, w.from.Add(-maxLogSkew-maxUnfinished), w.to.Add(maxLogSkew))
		if err != nil {
			return nil, err
		}
		for _, f := range lines {
			if !seen[f.Check] {
				seen[f.Check] = true
				l.lines[f.CredentialID] = append(l.lines[f.CredentialID], f)
				checks = append(checks, f.Check)
			}
		}
	}
	for _, lines := range l.lines {
		slices.SortFunc(lines, func(a, b checker.Footprint) int { return a.At.Compare(b.At) })
	}
	if len(checks) == 0 {
		return l, nil
	}
	rows, err := in.tx.Query(ctx, `SELECT check_id, taken FROM usage_taken WHERE check_id = ANY($1)`, checks)
	if err != nil {
		return nil, err
	}
	var (
		check uuid.UUID
		n     int
	)
	if _, err = pgx.ForEachRow(rows, []any{&check, &n}, func() error { l.taken[check] = n; return nil }); err != nil {
		return nil, err
	}
	for check, n := range l.taken {
		if _, has := in.takenOnce[check]; !has {
			in.takenOnce[check] = n
		}
	}
	for check, n := range in.taken {
		l.taken[check] = n
	}
	return l, nil
}
