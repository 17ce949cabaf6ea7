package checker

import (
	"context"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Session checks credentials of one provider one by one, with what they share: connections, the endpoints that the
// issuer names, and turns by the provider's rate. How many are under way at once is its user's to bound. It is safe
// for concurrent use, there is nothing to close, and it is meant for a minute or so: what is read of the provider's
// files and metadata is read anew by the next one.
type Session struct {
	*Checker
	provider Provider // as given
	setup    string
	client   *http.Client
	unusable error // the provider's proxy or TLS
	limit    *rate.Limiter
	hold     pause

	control struct { // the last answer to Control
		sync.Mutex
		found metadata
		bad   *Reading
		at    time.Time
	}

	mu    sync.Mutex
	whole Provider // with the endpoints that its issuer names
	bad   *Reading // why there are none
	at    time.Time
}

// Open makes a Session for p, which must be complete (Provider.Complete). It makes no request yet.
func (c *Checker) Open(p Provider) *Session {
	s := &Session{Checker: c, provider: p, setup: p.setup(), limit: rate.NewLimiter(p.Rate, 1)}
	s.client, s.unusable = c.kept(p)
	return s
}

// Turn books the next turn by the provider's rate, and returns how long to wait for it.
func (s *Session) Turn() time.Duration { return s.limit.Reserve().Delay() }

// Pause returns for how long the provider asked to be left alone from now on; 0: it did not, or that is over.
func (s *Session) Pause() time.Duration { return s.hold.left() }

// Check checks t as CheckAll does, at once: the turn is the caller's to wait for. optional bounds what can be left
// out, which is all but the exchange; it ends no later than ctx. begun is false where t said so, or optional ended
// before the exchange: then nothing was asked.
func (s *Session) Check(ctx, optional context.Context, t Target) (r Result, begun bool) {
	whole, bad := s.endpoints(optional)
	b := batch{s.Checker, s.client, whole, s.setup, optional, s.provider.TokenURL == ""}
	if bad != nil && optional.Err() != nil {
		return r, false
	}
	if bad != nil {
		return s.Checker.fail(s.provider, []Target{t}, *bad)[0], true
	}
	got := b.checkSafely(ctx, t)
	if got == nil {
		return r, false
	}
	s.hold.ask(got)
	return *got, true
}

// Control asks, where something of rs was refused, whether the provider itself is in order, as far as its issuer's
// metadata tells (CheckAll). ts are the targets of rs. Call it before rs are judged.
func (s *Session) Control(ctx context.Context, rs []Result, ts []Target) {
	whole, bad := s.endpoints(ctx)
	if bad != nil {
		return
	}
	all := make([]*Result, len(rs))
	for i := range rs {
		all[i] = &rs[i]
	}
	b := batch{s.Checker, s.client, whole, s.setup, ctx, s.provider.TokenURL == ""}
	b.control(all, ts, func() (metadata, *Reading, bool) { return s.metadataNow(ctx, whole) })
}

// controlFor is how long the answer to the question for metadata counts for refusals that follow.
const controlFor = 5 * time.Second

// metadataNow asks the issuer for its metadata, by a connection of its own: checks must not wait for it. ok: that says
// something of the provider.
func (s *Session) metadataNow(ctx context.Context, p Provider) (m metadata, bad *Reading, ok bool) {
	s.control.Lock()
	defer s.control.Unlock()
	if !s.control.at.IsZero() && time.Since(s.control.at) < controlFor {
		return s.control.found, s.control.bad, true
	}
	other := p
	other.Concurrency = 1
	other.Name += " (metadata)"
	client, err := s.kept(other)
	if err != nil {
		return m, nil, false
	}
	if m, bad = s.readMetadata(ctx, client, p); bad != nil && ctx.Err() != nil {
		return m, nil, false
	}
	s.control.found, s.control.bad, s.control.at = m, bad, time.Now()
	return m, bad, true
}

// badAgain is how soon it is tried again to read endpoints that could not be read.
const badAgain = 2 * time.Second

// endpoints returns the provider with the endpoints that its issuer names, or why there are none.
func (s *Session) endpoints(ctx context.Context) (Provider, *Reading) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.unusable != nil:
		why := says(Misconfigured, "", "provider", "%v", s.unusable)
		return s.provider, &why
	case s.at.IsZero(), s.bad != nil && time.Since(s.at) > badAgain:
		whole, bad := s.complete(ctx, s.client, s.provider)
		if bad != nil && ctx.Err() != nil { // that says nothing of the provider
			return s.provider, bad
		}
		s.whole, s.bad, s.at = whole, bad, time.Now()
	}
	return s.whole, s.bad
}

// CheckAll checks ts at one provider, which must be complete, at most p.Concurrency at once and p.Rate a second. Each
// request has Timeout and is made once; no redirect is followed.
//
// When stop closes, ctx ends, or the provider asks to be left alone for more than LongestPause, no further check
// begins. When stop closes, exchanges under way end, and what follows them (introspection, probes, revocation) is cut
// short; the end of ctx cuts exchanges short as well. A nil stop never closes.
//
// The results are those of the checks that began, in the order of ts. Where p cannot be asked at all, since its proxy
// or TLS cannot be used or its issuer's metadata cannot be read, every target has a result that says so. Where p has
// an issuer and something was Rejected, its metadata is asked for once more: if that fails too, the refusals become
// ProviderError or Misconfigured. A panic becomes a result with the reason InternalError.
func (c *Checker) CheckAll(ctx context.Context, stop <-chan struct{}, p Provider, ts []Target) []Result {
	return c.Open(p).CheckAll(ctx, stop, p.Concurrency, ts)
}

// CheckAll is Checker.CheckAll with at most atOnce under way at once.
func (s *Session) CheckAll(ctx context.Context, stop <-chan struct{}, atOnce int, ts []Target) []Result {
	// A stop ends what can be left out, never an exchange.
	optional, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-stop:
			cancel()
		case <-optional.Done():
		}
	}()
	var (
		results = make([]*Result, len(ts))
		turn    = turn{limit: s.limit, hold: &s.hold, slots: make(chan struct{}, max(1, atOnce))}
		wait    sync.WaitGroup
	)
	switch _, bad := s.endpoints(optional); {
	case bad != nil && optional.Err() != nil: // a stop says nothing of the provider
		return nil
	case bad != nil:
		return s.Checker.fail(s.provider, ts, *bad)
	}
	for i, t := range ts {
		waits, ok := turn.take(optional)
		if !ok {
			break
		}
		wait.Go(func() {
			defer func() { <-turn.slots }()
			if r, begun := s.Check(ctx, optional, t); begun {
				r.Waits = waits
				results[i] = &r
			}
		})
	}
	wait.Wait()
	var (
		done []Result
		of   []Target
	)
	for i, r := range results {
		if r != nil {
			done, of = append(done, *r), append(of, ts[i])
		}
	}
	s.Control(optional, done, of)
	return done
}

// Forget lets go of all connections, so that files of TLS that changed are read. Sessions that are open go on with theirs.
func (c *Checker) Forget() {
	c.clients.Lock()
	defer c.clients.Unlock()
	for key, client := range c.clients.of {
		delete(c.clients.of, key)
		client.CloseIdleConnections()
	}
}

// clientLife is how long connections of a provider are kept at most: then its name is looked up anew, and the files
// of its TLS are read again.
const clientLife = 5 * time.Minute

// keptClient is what a provider is asked with.
type keptClient struct {
	*http.Client
	until time.Time
}

// kept returns the HTTP client of a provider. Its connections and TLS sessions serve from one session to the next.
func (c *Checker) kept(p Provider) (*http.Client, error) {
	policy := p.Policy()
	key := [...]any{policy.AllowPrivate, policy.Proxy, policy.TLS, policy.MaxConnections, p.Name}
	c.clients.Lock()
	defer c.clients.Unlock()
	now := time.Now()
	for other, client := range c.clients.of { // also of those that nobody asks for any more
		if now.After(client.until) {
			delete(c.clients.of, other)
			client.CloseIdleConnections() // those in use close when they are idle
		}
	}
	if client, ok := c.clients.of[key]; ok {
		return client.Client, nil
	}
	client, err := c.newClient(p, nil)
	if err != nil {
		return nil, err
	}
	if c.clients.of == nil {
		c.clients.of = map[any]keptClient{}
	}
	c.clients.of[key] = keptClient{client, now.Add(clientLife)}
	return client, nil
}

// keptClients are those that sessions share.
type keptClients struct {
	sync.Mutex
	of map[any]keptClient
}
