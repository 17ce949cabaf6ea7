package rounds

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/postgres"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/registry"
	"github.com/keyrounds/keyrounds/secret"
	"github.com/keyrounds/keyrounds/sim"
	"github.com/keyrounds/keyrounds/test/lasting"
	"github.com/keyrounds/keyrounds/verdict"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// house is what a round walks through: a database, a provider and its credentials, which are all
// due once and then not before next year.
type house struct {
	t        *testing.T
	url      string
	pool     *pgxpool.Pool
	idp      *sim.Provider
	settings Settings
	clients  []string
	told     *listener
}

const secretText = "c4n4ry-s3cret-value"

func newHouse(t *testing.T, credentials int, change func(*checker.Provider)) *house {
	t.Helper()
	h := &house{t: t, url: pgtest.URL(t), told: &listener{}}
	h.pool = h.open(h.url)
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(secretText), 0o600); err != nil {
		t.Fatal(err)
	}
	ref, err := secret.ParseReference("file:" + file)
	if err != nil {
		t.Fatal(err)
	}
	var (
		creds   []credential.Credential
		clients []sim.Client
	)
	for i := range credentials {
		name := fmt.Sprintf("c%04d", i)
		creds = append(
			creds,
			credential.Credential{Name: name, Provider: "idp", Subject: "id-" + name, Secret: ref, Schedule: "0 0 1 1 *"},
		)
		clients = append(clients, sim.Client{ID: "id-" + name, Secret: secretText})
		h.clients = append(h.clients, "id-"+name)
	}
	h.idp = sim.NewProvider(clients...)
	p := checker.Provider{Name: "idp", TokenURL: h.serve(h.idp), AllowPrivateNetworks: true, Rate: 10000, Concurrency: 32}
	if change != nil {
		change(&p)
	}
	if p, err = p.Complete(); err != nil {
		t.Fatal(err)
	}
	h.settings = Settings{Providers: map[string]checker.Provider{"idp": p}, Policy: verdict.DefaultPolicy(), Keep: 13}
	if err := audit.EnsurePartitions(t.Context(), pgtest.Owner(t, h.pool), time.Now(), 13); err != nil {
		t.Fatal(err)
	}
	h.register(creds)
	return h
}

func (h *house) serve(handler http.Handler) string {
	s := httptest.NewServer(handler)
	h.t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s.URL + "/identity/oauth/token"
}

func (h *house) open(url string) *pgxpool.Pool {
	h.t.Helper()
	pool, err := postgres.Open(h.t.Context(), url)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(pool.Close)
	return pool
}

func (h *house) register(creds []credential.Credential) {
	h.t.Helper()
	ctx, now := h.t.Context(), time.Now()
	err := pgx.BeginFunc(ctx, h.pool, func(tx pgx.Tx) error {
		changes, err := registry.New(h.pool, time.UTC).Sync(ctx, tx, creds, now)
		if err != nil {
			return err
		}
		var tracked []audit.Tracked
		for _, c := range changes {
			tracked = append(
				tracked,
				audit.Tracked{CredentialID: c.Credential.ID, Credential: c.Credential.Name, Provider: "idp", Anew: c.Anew},
			)
		}
		return audit.New(audit.Options{Pool: h.pool}).Track(ctx, tx, tracked, now)
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

// replica makes one more Rounds on the house's database, or on the same one through another pool.
func (h *house) replica(pool *pgxpool.Pool, change ...func(*Options)) *Rounds {
	h.t.Helper()
	waker, err := notify.NewWaker(pool)
	if err != nil {
		h.t.Fatal(err)
	}
	store := audit.New(audit.Options{Pool: pool, Wake: waker.Wake})
	n, err := notify.New(notify.Options{
		Pool:     pool,
		Setup:    notify.Setup{Receivers: []notify.Receiver{h.told}},
		Findings: store,
		Waker:    waker,
		Log:      slog.New(slog.DiscardHandler),
		Record:   func(context.Context, pgx.Tx, string, finding.Subject, any) error { return nil },
	})
	if err != nil {
		h.t.Fatal(err)
	}
	reg := registry.New(pool, time.UTC)
	o := Options{
		Pool:     pool,
		Registry: reg,
		Audit:    store,
		Usage:    OpenUsage(pool, time.UTC, reg, store),
		Checker:  checker.New(checker.Options{}),
		Notifier: n,
		Metrics:  prometheus.NewRegistry(),
		Log:      slog.New(slog.DiscardHandler),
		Tick:     200 * time.Millisecond,
		Daemon:   true,
	}
	for _, f := range change {
		f(&o)
	}
	r, err := New(o, h.settings)
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

// start begins the rounds of a new replica and stops them when the test ends.
func (h *house) start(pool *pgxpool.Pool) *Rounds {
	h.t.Helper()
	lasting.Test(h.t, "it runs the job engine")
	r := h.replica(pool)
	if err := r.Start(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(r.Stop)
	return r
}

// due makes every credential due again.
func (h *house) due() { h.exec(`UPDATE credentials SET next_check_at = now()`) }

func (h *house) exec(sql string) {
	h.t.Helper()
	if _, err := h.pool.Exec(h.t.Context(), sql); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) count(sql string) (n int) {
	h.t.Helper()
	if err := h.pool.QueryRow(h.t.Context(), sql).Scan(&n); err != nil {
		h.t.Fatal(err)
	}
	return n
}

func (h *house) results() int { return h.count(`SELECT count(*) FROM checks`) }

// await polls until cond holds, for three minutes at most.
func (h *house) await(what string, cond func() bool) {
	h.t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); !cond(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			h.t.Fatalf("after three minutes still not: %s", what)
		}
	}
}

func (h *house) awaitResults(n int) {
	h.t.Helper()
	h.await(fmt.Sprintf("%d results", n), func() bool { return h.results() >= n })
}

// settle waits until no stream is left to do, and nothing is leased.
func (h *house) settle() {
	h.t.Helper()
	h.await("no stream left", func() bool {
		return h.count(`
			SELECT (SELECT count(*) FROM river_job WHERE kind = 'stream' AND state <> 'completed')
				+ (SELECT count(*) FROM credentials WHERE leased_until > now())`) == 0
	})
}

// once fails unless each credential has exactly n results.
func (h *house) once(n int) {
	h.t.Helper()
	wrong := h.count(fmt.Sprintf(`
		SELECT count(*) FROM (
			SELECT c.id FROM credentials c LEFT JOIN checks k ON k.credential_id = c.id
			GROUP BY c.id HAVING count(k.id) <> %d) AS wrong`, n))
	if wrong != 0 {
		h.t.Errorf("%d of %d credentials do not have exactly %d results", wrong, len(h.clients), n)
	}
}

func (h *house) findings() []finding.Finding {
	h.t.Helper()
	fs, err := audit.New(audit.Options{Pool: h.pool}).Findings(h.t.Context(), audit.Filter{Resolved: true})
	if err != nil {
		h.t.Fatal(err)
	}
	return fs
}

// listener is a receiver that remembers.
type listener struct {
	mu   sync.Mutex
	told []notify.Message
}

func (*listener) Name() string { return "listener" }

func (l *listener) Send(_ context.Context, m notify.Message) (notify.Receipt, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.told = append(l.told, m)
	return notify.Receipt{Channel: "c", Ref: m.Key}, nil
}

func (*listener) Traits() notify.Traits { return notify.Traits{Edits: true} }

func (l *listener) messages() []notify.Message {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]notify.Message(nil), l.told...)
}

// gate is a token endpoint that holds its first answers back, each until what arrived is closed.
type gate struct {
	next    http.Handler
	arrived chan chan struct{}
	mu      sync.Mutex
	hold    int
}

func newGate(next http.Handler, hold int) *gate {
	return &gate{next: next, arrived: make(chan chan struct{}, hold), hold: hold}
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	g.hold--
	held := g.hold >= 0
	g.mu.Unlock()
	if held {
		answer := make(chan struct{})
		g.arrived <- answer
		<-answer
	}
	g.next.ServeHTTP(w, r)
}
