package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/audit"
)

// Rules of events:
//
//  1. An event is an entry of the record, without its detail, and its id is the entry's: whoever comes again says the last one that
//     he has, and misses none.
//  2. Entries are committed in another order than they are numbered. Where a number is missing, what comes after it waits, until it
//     is there or so old that it was rolled back.
//  3. A stream ends after a quarter of an hour, and when the daemon stops: whoever listens comes again, and is asked who he is.

const (
	eventsPath   = prefix + "/v1/events"
	mostStreams  = 64
	streamLasts  = 15 * time.Minute
	heartbeat    = 15 * time.Second
	pollEvents   = time.Second
	maxGap       = 10 * time.Second // a transaction that is older than this was rolled back, or is passed over
	eventsAtOnce = 500
	askAgain     = 5 * time.Second  // whether who listens still may
	mostOwn      = 8                // streams of one who asks
	writeEvent   = 20 * time.Second // for one who takes none, the stream ends
)

// Event is that something changed.
type Event struct {
	ID      int64     `json:"id"`
	At      time.Time `json:"at"`
	Actor   string    `json:"actor"`
	Action  string    `json:"action"`
	Subject string    `json:"subject"`
}

type eventsIn struct {
	LastID string `header:"Last-Event-ID" pattern:"^[0-9]{1,18}$" patternDescription:"the id of an event" doc:"The last that you have."`
	Since  int64  `query:"last_event_id" minimum:"0" doc:"The same, for those who cannot send the header. Without any: from now on."`
}

// events sends what changes, as it does (server-sent events).
func (s *server) events(ctx context.Context, in *eventsIn) (*exported, error) {
	last := in.Since
	if in.LastID != "" {
		var err error
		if last, err = strconv.ParseInt(in.LastID, 10, 64); err != nil {
			return nil, wrongly(Wrong{"header.Last-Event-ID", "Last-Event-ID may be the id of an event."})
		}
	}
	if last == 0 {
		err := s.Audit.Entries(ctx, audit.Record{Limit: 1}, func(e audit.Entry) error { last = e.ID; return nil })
		if err != nil {
			return nil, err
		}
	}
	leave, ok := s.listens(asking(ctx).Name)
	if !ok {
		return nil, problem(http.StatusTooManyRequests, fmt.Sprintf("You listen %d times already, which is the most.", mostOwn))
	}
	select {
	case s.streams <- struct{}{}:
	default:
		leave()
		return nil, problem(http.StatusServiceUnavailable, fmt.Sprintf("%d listen already, which is the most: come later.", mostStreams))
	}
	return &exported{func(c huma.Context) {
		defer func() { <-s.streams; leave() }()
		_, w := humago.Unwrap(c)
		h := w.Header()
		h.Set("Content-Type", "text/event-stream")
		h.Set("Cache-Control", "no-store")
		h.Set("X-Accel-Buffering", "no") // of nginx
		st := &stream{out: w, rc: http.NewResponseController(w), tail: tail{last: last}}
		if st.write("retry: 2000\n: changes as they come\n\n") == nil {
			s.follow(ctx, st)
		}
	}}, nil
}

// listens counts the streams of one who asks; false: he has as many as one may.
func (s *server) listens(name string) (leave func(), ok bool) {
	s.listenMu.Lock()
	defer s.listenMu.Unlock()
	if s.listening[name] >= mostOwn {
		return nil, false
	}
	s.listening[name]++
	return func() {
		s.listenMu.Lock()
		defer s.listenMu.Unlock()
		if s.listening[name]--; s.listening[name] == 0 {
			delete(s.listening, name)
		}
	}, true
}

// forAll are the actions of which everybody who may look is told. All others, such as who may sign in and what was refused, are for
// those who may read the record.
var forAll = []string{
	"finding.", "credential.", "check.", "decision.", "report.", "silence.", "usage.", "notification.", "receiver.", "secret.", "daemon.",
}

func isForAll(action string) bool {
	return slices.ContainsFunc(forAll, func(begin string) bool { return strings.HasPrefix(action, begin) })
}

// follow sends events until nobody listens, the daemon stops, or the stream has lasted long enough.
func (s *server) follow(ctx context.Context, st *stream) {
	ctx, cancel := context.WithTimeout(ctx, streamLasts)
	defer cancel()
	every := s.EventsEvery
	if every <= 0 {
		every = pollEvents
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	said, asked := time.Now(), time.Time{}
	for {
		if time.Since(asked) >= askAgain {
			if !s.Still(ctx) {
				return
			}
			asked = time.Now()
		}
		n, err := s.sendEvents(ctx, st)
		if err != nil {
			return
		}
		if n > 0 {
			said = time.Now()
		} else if time.Since(said) > heartbeat {
			if st.write(": nothing\n\n") != nil {
				return
			}
			said = time.Now()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		case <-s.Ended:
			return
		}
	}
}

// sendEvents sends what is new, and says how many of it.
func (s *server) sendEvents(ctx context.Context, st *stream) (n int, err error) {
	var fresh []audit.Entry
	err = s.Audit.Entries(ctx, audit.Record{After: st.tail.last, Oldest: true, Limit: eventsAtOnce}, func(e audit.Entry) error {
		fresh = append(fresh, audit.Entry{ID: e.ID, At: e.At, Actor: e.Actor, Action: e.Action, Subject: e.Subject})
		return nil
	})
	if err != nil || len(fresh) == 0 {
		return 0, err
	}
	names, err := s.names(ctx)
	if err != nil {
		return 0, err
	}
	for _, e := range st.tail.next(fresh, time.Now()) {
		if !asking(ctx).May(access.Administer) && !isForAll(e.Action) {
			continue
		}
		if asking(ctx).Role == access.Owner && !slices.Contains(names, nameOf(e.Subject)) {
			continue
		}
		b, err := json.Marshal(Event{e.ID, e.At.UTC(), e.Actor, e.Action, e.Subject})
		if err == nil {
			err = st.write(fmt.Sprintf("id: %d\nevent: %s\ndata: %s\n\n", e.ID, "change", b))
		}
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// nameOf is the credential that a subject names; "": none.
func nameOf(subject string) string {
	const of = "credential/"
	if len(subject) < len(of) || subject[:len(of)] != of {
		return ""
	}
	return subject[len(of):]
}

// tail is how far the record was followed.
type tail struct {
	last int64
	gap  time.Time // since when the number after last is missing; zero: it is not
}

// next returns those of fresh, the oldest first, that nothing before is missing of any more.
func (t *tail) next(fresh []audit.Entry, now time.Time) []audit.Entry {
	for i, e := range fresh {
		if e.ID != t.last+1 && t.last != 0 {
			if t.gap.IsZero() {
				t.gap = now
			}
			if now.Sub(t.gap) < maxGap && now.Sub(e.At) < maxGap {
				return fresh[:i]
			}
		}
		t.last, t.gap = e.ID, time.Time{}
	}
	return fresh
}

type stream struct {
	out  http.ResponseWriter
	rc   *http.ResponseController
	tail tail
}

// write sends a piece at once, whatever the server's own time for an answer is.
func (st *stream) write(text string) error {
	_ = st.rc.SetWriteDeadline(time.Now().Add(writeEvent)) // where that cannot be set, the server's own time holds
	if _, err := st.out.Write([]byte(text)); err != nil {
		return err
	}
	return st.rc.Flush()
}
