package rounds

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/outbound"
	"github.com/keyrounds/keyrounds/registry"
	"github.com/keyrounds/keyrounds/secret"
	"github.com/keyrounds/keyrounds/usage"
	"github.com/keyrounds/keyrounds/usage/feed"
	"github.com/keyrounds/keyrounds/verdict"
)

// The flow of usage, beside that of checks:
//
//	feed: what is new ─▶ events, our own taken out ─▶ rows, coverage, position, findings, outbox: one transaction

// OpenUsage makes the usage store that knows clients from reg and our own use from a. Its days are in zone. It does
// not ask the database.
func OpenUsage(pool *pgxpool.Pool, zone *time.Location, reg *registry.Store, a *audit.Store) *usage.Store {
	return usage.New(usage.Options{
		Pool: pool, Zone: zone, Ledger: a.Ledger,
		Clients: func(ctx context.Context, tx pgx.Tx, provider string, ids []string) ([]credential.Credential, error) {
			return reg.UsersOf(ctx, tx, provider, ids)
		},
	})
}

// IngestUsage takes in a batch of f, and opens and closes findings by it, in one transaction. Its errors are those
// of usage.Store.Ingest.
func (r *Rounds) IngestUsage(ctx context.Context, f feed.Feed, b usage.Batch) (usage.Ingested, error) {
	got, err := r.ingest(ctx, "", f, []usage.Batch{b})
	if err != nil {
		return usage.Ingested{}, err
	}
	if got[0].Before != nil {
		return usage.Ingested{}, got[0].Before
	}
	return got[0].Ingested, nil
}

// TakenIn is what became of one of several files.
type TakenIn struct {
	usage.Ingested
	Before *usage.TakenBeforeError // it was taken in before, and changed nothing; nil: it was not
}

// ImportUsage is IngestUsage of files that actor brings, who is written into the record: all of them, in their order, or
// on an error none. A feed of type import need not be registered.
func (r *Rounds) ImportUsage(ctx context.Context, actor string, f feed.Feed, files []usage.Import) ([]TakenIn, error) {
	if f.Type == feed.TypeImport {
		err := pgx.BeginFunc(ctx, r.Pool, func(tx pgx.Tx) error { return r.Usage.Register(ctx, tx, f, r.Now()) })
		if err != nil {
			return nil, err
		}
	}
	batches := make([]usage.Batch, len(files))
	for i, file := range files {
		batches[i] = file
	}
	return r.ingest(ctx, actor, f, batches)
}

// ingest takes in batches in one transaction; actor, unless "", is who imports.
func (r *Rounds) ingest(ctx context.Context, actor string, f feed.Feed, batches []usage.Batch) ([]TakenIn, error) {
	now := r.Now()
	tx, err := r.Pool.Begin(ctx)
	if err != nil {
		return nil, err
	}
	defer rollback(ctx, tx)
	var (
		all     []TakenIn
		changes []finding.Change
	)
	for _, b := range batches {
		var taken TakenIn
		err := pgx.BeginFunc(ctx, tx, func(part pgx.Tx) (err error) { // what was taken in before is read, and undone
			taken.Ingested, err = r.Usage.Ingest(ctx, part, f, b, now)
			return err
		})
		if err != nil && !errors.As(err, &taken.Before) {
			return nil, err
		}
		if err == nil {
			changed, err := r.judgeUsage(ctx, tx, actor, taken.Ingested, now)
			if err != nil {
				return nil, err
			}
			changes = append(changes, changed...)
		}
		all = append(all, taken)
	}
	if err := tx.Commit(ctx); err != nil {
		return nil, err
	}
	for _, taken := range all {
		r.metrics.usage(taken.Ingested)
	}
	r.tellChanges(ctx, changes)
	return all, nil
}

// judgeUsage opens and closes findings by what was taken in, in its transaction.
func (r *Rounds) judgeUsage(ctx context.Context, tx pgx.Tx, actor string, got usage.Ingested, now time.Time) ([]finding.Change, error) {
	if actor != "" {
		if err := r.recordImport(ctx, tx, actor, got, now); err != nil {
			return nil, err
		}
	}
	ids := make([]int64, 0, len(got.Touched))
	for _, t := range got.Touched {
		ids = append(ids, t.Credential.ID)
	}
	if err := r.checkSoon(ctx, tx, got, now); err != nil {
		return nil, err
	}
	held, err := r.held(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	events, err := r.Usage.Alarms(ctx, tx, got, held, now)
	if err != nil {
		return nil, err
	}
	if events, err = r.worthwhile(ctx, tx, events); err != nil {
		return nil, err
	}
	if events, err = r.weigh(ctx, tx, nil, events); err != nil {
		return nil, err
	}
	return r.Audit.Publish(ctx, tx, events)
}

func (r *Rounds) recordImport(ctx context.Context, tx pgx.Tx, actor string, got usage.Ingested, now time.Time) error {
	e, err := audit.NewEntry(now, actor, "usage.imported", "provider/"+got.Feed.Provider,
		map[string]any{"feed": got.Feed.Name, "batch": got.Batch, "results": got.Counts, "replaced": got.Replaced})
	if err != nil {
		return err
	}
	return r.Audit.Append(ctx, tx, e)
}

// checkSoon makes those credentials due that the provider's own log says were revoked or changed: a refusal
// and that log together are certain.
func (r *Rounds) checkSoon(ctx context.Context, tx pgx.Tx, got usage.Ingested, now time.Time) error {
	var (
		due []registry.Due
		ids []int64
	)
	for _, l := range got.Lifecycle {
		if l.CredentialID != 0 && l.Action != feed.Created && now.Sub(l.At) < 24*time.Hour && !slices.Contains(ids, l.CredentialID) {
			ids = append(ids, l.CredentialID)
			due = append(due, registry.Due{ID: l.CredentialID, At: now, Why: whyLog})
		}
	}
	if len(ids) == 0 {
		return nil
	}
	if err := r.Registry.Lock(ctx, tx, ids); err != nil {
		return err
	}
	return r.Registry.Reschedule(ctx, tx, due)
}

func (r *Rounds) held(ctx context.Context, tx pgx.Tx, ids []int64) (map[int64]usage.Held, error) {
	states, err := r.Audit.Statuses(ctx, tx, ids)
	held := map[int64]usage.Held{}
	if err != nil {
		return nil, err
	}
	died, err := r.exposure.Died(ctx, tx, ids)
	for id, s := range states {
		held[id] = usage.Held{
			Revoked:     s.Status == verdict.Revoked,
			Since:       s.Since,
			Ends:        s.Ends,
			LastSuccess: s.LastSuccess,
			Died:        died[id],
		}
	}
	return held, err
}

// worthwhile leaves out the ends of findings that are not open.
func (r *Rounds) worthwhile(ctx context.Context, tx pgx.Tx, events []finding.Event) ([]finding.Event, error) {
	if !slices.ContainsFunc(events, func(e finding.Event) bool { return e.Op == finding.OpResolve }) {
		return events, nil
	}
	open, err := r.Audit.OpenOf(ctx, tx, finding.Unused, finding.NeverUsed)
	if err != nil {
		return nil, err
	}
	is := map[string]bool{}
	for _, f := range open {
		is[string(f.Kind)+" "+f.Subject.Key()] = true
	}
	return slices.DeleteFunc(events, func(e finding.Event) bool {
		return e.Op == finding.OpResolve && !is[string(e.Kind)+" "+e.Subject.Key()]
	}), nil
}

// follow takes in what file feeds of this machine have new, until the daemon stops.
func (r *Rounds) follow(ctx context.Context) {
	troubles := map[string]feedTrouble{}
	for {
		more := false
		for _, f := range r.settings.Load().Feeds {
			if f.Type != feed.TypeFile || r.stopped() {
				continue
			}
			full, err := r.followOnce(ctx, f)
			more = more || full
			r.feedError(ctx, f.Name, troubles, err)
		}
		pause := r.Tick
		if more {
			pause = time.Millisecond
		}
		select {
		case <-r.stopping:
			return
		case <-time.After(min(pause, time.Second)):
		}
	}
}

// feedTrouble is why a feed cannot be read ("": it can), as it was last logged.
type feedTrouble struct {
	text  string
	noted bool // in the database as well
}

// feedError notes why a feed cannot be read, and that it can again, and logs each once.
func (r *Rounds) feedError(ctx context.Context, name string, troubles map[string]feedTrouble, err error) {
	text := ""
	switch {
	case errors.Is(err, usage.ErrMoved),
		errors.Is(err, usage.ErrBusy),
		errors.Is(err, usage.ErrUnknownFeed),
		errors.Is(err, context.Canceled):
		return // the next turn tells more
	case err != nil:
		text = err.Error()
	}
	was, known := troubles[name]
	if known && was.noted && was.text == text {
		return
	}
	if text != "" && was.text != text {
		r.Log.Warn("a feed cannot be read", "feed", name, "error", text)
	}
	troubles[name] = feedTrouble{text, r.Usage.Fail(ctx, name, r.Now(), text) == nil}
}

const takeTimeout = 30 * time.Second

func (r *Rounds) followOnce(ctx context.Context, f feed.Feed) (more bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, takeTimeout)
	defer cancel()
	known, err := r.Usage.FilePositions(ctx, f.Name)
	if err != nil {
		return false, err
	}
	chunks, err := feed.Chunks(f.Paths, known, r.Now())
	errs := []error{err}
	for _, c := range chunks {
		got, err := r.IngestUsage(ctx, f, usage.Chunk(c))
		if err == nil && got.Counts.Records() > 0 {
			r.Log.Debug("took in usage", "feed", f.Name, "file", c.Name,
				"records", got.Counts.Records(), "uses", got.Counts[usage.ResultUse], "own", got.Counts.Own())
		}
		errs = append(errs, err)
		more = more || err == nil && c.Full
	}
	return more, errors.Join(errs...)
}

// shortWait is how long a feed may wait for its turn at a provider before its status says so.
const shortWait = time.Minute

// pollTime is how long one poll may go on; what is left comes with the next.
const pollTime = 40 * time.Second

// poll asks the feeds that are due, one after the other.
func (r *Rounds) poll(ctx context.Context) error {
	feeds := r.settings.Load().Feeds
	for end := time.Now().Add(pollTime); time.Now().Before(end) && !r.stopped(); {
		f, ok, err := r.Usage.ClaimPoll(ctx, feeds, r.Now())
		if err != nil || !ok {
			return err
		}
		next := r.Now().Add(f.Poll.Every)
		more, err := r.pollOnce(ctx, f, end)
		var wait *feed.WaitError
		switch {
		case errors.As(err, &wait):
			next = r.Now().Add(max(wait.After, f.Poll.Every))
		case more:
			next = r.Now()
		}
		var notNow *NotNowError
		short := false
		if errors.As(err, &notNow) {
			if next = r.Now().Add(r.Tick); notNow.Until.After(next) {
				next = notNow.Until
			}
			short = next.Sub(r.Now()) < shortWait
		}
		if err != nil && !short && !errors.Is(err, usage.ErrMoved) && !errors.Is(err, usage.ErrBusy) {
			r.Log.Warn("a feed could not be polled", "feed", f.Name, "error", err)
			if err := r.Usage.Fail(ctx, f.Name, r.Now(), err.Error()); err != nil {
				return err
			}
		}
		if err := r.Usage.PollAgain(ctx, f.Name, next); err != nil {
			return err
		}
	}
	return nil
}

func (r *Rounds) pollOnce(ctx context.Context, f feed.Feed, end time.Time) (more bool, err error) {
	token, err := r.feedToken(ctx, f)
	if err != nil {
		return false, err
	}
	defer token.Wipe()
	to := r.settings.Load().Providers[f.Provider].Policy()
	if f.Type == feed.TypePrometheus { // the operator's own server, not the provider's
		to = outbound.Policy{AllowPrivate: true}
	}
	client, err := outbound.Client(to)
	if err != nil {
		return false, err
	}
	defer client.CloseIdleConnections()
	position, err := r.Usage.PollPosition(ctx, f.Name)
	if err != nil {
		return false, err
	}
	asker := feed.Ask(f, client, token, position, r.Now())
	for asker.More() {
		if r.stopped() || time.Now().After(end) {
			return true, nil
		}
		page, err := asker.Next(ctx)
		if err != nil {
			return false, err
		}
		got, err := r.IngestUsage(ctx, f, usage.Page(*page))
		if err != nil {
			return false, err
		}
		r.Log.Debug("took in usage", "feed", f.Name,
			"records", got.Counts.Records(), "uses", got.Counts[usage.ResultUse], "own", got.Counts.Own())
	}
	return asker.Cut(), nil
}

// feedToken is what a feed's log API is asked with: a token that is configured, or one that a registered
// credential is exchanged for, or that is an API key. That exchange is a real use of it, and is not taken out.
func (r *Rounds) feedToken(ctx context.Context, f feed.Feed) (secret.Value, error) {
	auth := r.settings.Load().FeedAuth[f.Name]
	switch {
	case !auth.Token.IsZero():
		v, err := secret.Resolve(ctx, auth.Token)
		if err != nil {
			return v, fmt.Errorf("token: %w", err)
		}
		return v, nil
	case auth.Credential == "":
		return secret.Value{}, nil
	}
	c, err := r.Registry.Get(ctx, auth.Credential)
	if err != nil {
		return secret.Value{}, err
	}
	if p := r.settings.Load().Providers[c.Provider]; p.Kind == checker.APIKey {
		if !p.Key.IsBearer() {
			return secret.Value{}, fmt.Errorf(
				"credential %q is an API key that is sent in %s, and a log API is asked with Authorization: Bearer",
				c.Name,
				p.Key,
			)
		}
		return r.Resolve(ctx, c)
	}
	token, res, err := r.single(ctx, feedAccess, c, nil)
	if err != nil {
		return token, err
	}
	if token.IsZero() {
		return token, fmt.Errorf("credential %q got no token: %s %s", c.Name, res.Outcome, res.Message)
	}
	return token, nil
}

// FeedAuth is how a feed's log API is asked: with a token, or with that of a registered credential. The token wins;
// the zero value asks without one.
type FeedAuth struct {
	Token      secret.Reference
	Credential string
}

func (r *Rounds) stopped() bool {
	select {
	case <-r.stopping:
		return true
	default:
		return false
	}
}
