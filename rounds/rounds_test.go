package rounds

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/sim"
	"github.com/keyrounds/keyrounds/test/lasting"
	"github.com/keyrounds/keyrounds/verdict"
)

// Three replicas on one database check what is due once (docs/promises.md#replicas-check-what-is-due-once).
func TestReplicasCheckEverythingOnce(t *testing.T) {
	lasting.Test(t, "it checks 700 credentials")
	t.Parallel()
	h := newHouse(t, 700, nil)
	var replicas []*Rounds
	for range 3 {
		replicas = append(replicas, h.start(h.open(h.url)))
	}
	h.awaitResults(700)
	leaders := 0
	for _, r := range replicas {
		e, err := r.Engine(t.Context())
		if err != nil || e.LastSweep.IsZero() || time.Since(e.LastSweep) > time.Minute {
			t.Errorf("last sweep %s, %v", e.LastSweep, err)
		}
		if e.Leader {
			leaders++
		}
	}
	if leaders != 1 {
		t.Errorf("%d of 3 replicas are the leader", leaders)
	}
	h.settle()
	h.once(1)
	for _, id := range h.clients {
		if n := h.idp.Exchanges(id); n != 1 {
			t.Errorf("%s was exchanged %d times", id, n)
		}
	}
}

// lapse ends the leases of a worker that was silent for too long, and its place at the provider.
func (h *house) lapse() {
	h.t.Helper()
	h.exec(`UPDATE credentials SET leased_until = now() WHERE leased_until > now()`)
	h.exec(`UPDATE provider_slots SET held_until = now() WHERE held_until > now()`)
}

// A worker sleeps until its leases are over, another has them, the first wakes: its results are dropped
// (docs/promises.md#a-worker-that-outlives-its-rescue-stores-nothing).
func TestAWorkerThatWakesAfterItsRescue(t *testing.T) {
	lasting.Test(t, "it waits for a rescue")
	t.Parallel()
	h := newHouse(t, 3, nil)
	g := newGate(h.idp, 3)
	h.useEndpoint(h.serve(g))
	r := h.start(h.pool)
	h.start(h.open(h.url))
	sleeping := []chan struct{}{<-g.arrived, <-g.arrived, <-g.arrived}
	h.lapse()
	h.awaitResults(3)
	h.settle()
	for _, wake := range sleeping {
		close(wake)
	}
	h.await("the first worker's exchanges", func() bool { return h.idp.Exchanges(h.clients[0]) == 2 })
	r.Stop() // waits for it
	h.once(1)
	if n := h.count(`SELECT count(*) FROM credentials WHERE lease = 2 AND leased_until = '-infinity'`); n != 3 {
		t.Errorf("%d credentials were checked by their second lease, want 3", n)
	}
}

// The same, and the first wakes while the second is still at work.
func TestAWorkerThatWakesBesideItsRescuer(t *testing.T) {
	lasting.Test(t, "it waits for a rescue")
	t.Parallel()
	h := newHouse(t, 1, nil)
	g := newGate(h.idp, 2)
	h.useEndpoint(h.serve(g))
	r := h.start(h.pool)
	h.start(h.open(h.url))
	sleeper := <-g.arrived
	h.lapse()
	rescuer := <-g.arrived
	close(sleeper)
	h.await("the sleeper has its answer", func() bool { return h.idp.Exchanges(h.clients[0]) == 1 })
	h.never("the sleeper stores its results", func() bool { return h.results() > 0 })
	close(rescuer)
	h.awaitResults(1)
	h.settle()
	r.Stop() // waits for both
	h.once(1)
	if n := h.idp.Exchanges(h.clients[0]); n != 2 {
		t.Errorf("%d exchanges, want 2: the sleeper's end must not take the lease from its rescuer", n)
	}
	if n := h.count(`SELECT count(*) FROM credentials WHERE lease = 2 AND leased_until = '-infinity'`); n != 1 {
		t.Errorf("%d credentials whose second lease has ended, want 1", n)
	}
}

// never looks for half a second.
func (h *house) never(what string, cond func() bool) {
	h.t.Helper()
	for range 25 {
		if cond() {
			h.t.Fatal(what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (h *house) useEndpoint(url string) {
	p := h.settings.Providers["idp"]
	p.TokenURL = url
	h.settings.Providers["idp"] = p
}

// A stop lets the exchanges in flight end, and hands back what was not begun
// (docs/promises.md#a-stop-hands-back-what-was-not-begun).
func TestStopHandsBack(t *testing.T) {
	lasting.Test(t, "it waits for slow answers")
	t.Parallel()
	h := newHouse(t, 40, func(p *checker.Provider) { p.Concurrency = 2 })
	g := newGate(h.idp, 2)
	h.useEndpoint(h.serve(g))
	r := h.start(h.pool)
	one, two := <-g.arrived, <-g.arrived
	stopped := make(chan struct{})
	go func() {
		r.Stop()
		close(stopped)
	}()
	<-r.stopping
	h.never("it stops although two exchanges are under way", func() bool {
		select {
		case <-stopped:
			return true
		default:
			return false
		}
	})
	close(one)
	close(two)
	select {
	case <-stopped:
	case <-time.After(15 * time.Second):
		t.Fatal("it has not stopped in 15 s")
	}
	done := h.results()
	if done < 2 || done > 3 {
		t.Errorf("%d results, want those of the 2 in flight", done)
	}
	if n := h.count(`SELECT count(*) FROM check_intents`); n != 0 {
		t.Errorf("%d checks that were not made are still in the ledger", n)
	}
	if n := h.count(`SELECT count(*) FROM credentials WHERE next_check_at <= now() AND leased_until = '-infinity'`); n != 40-done {
		t.Errorf("%d credentials were handed back, want %d", n, 40-done)
	}
	h.start(h.pool)
	h.awaitResults(40)
	h.settle()
	h.once(1)
}

// A stream works to its end with the settings that it began with
// (docs/promises.md#a-stream-works-to-its-end-with-the-settings-that-it-began-with).
func TestReloadWhileChecking(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 5, func(p *checker.Provider) { p.Concurrency = 1 })
	g := newGate(h.idp, 1)
	h.useEndpoint(h.serve(g))
	r := h.start(h.pool)
	held := <-g.arrived
	elsewhere := sim.NewProvider() // knows nobody
	changed := h.settings
	p := changed.Providers["idp"]
	p.TokenURL = h.serve(elsewhere)
	changed.Providers = map[string]checker.Provider{"idp": p}
	r.Reload(changed)
	close(held)
	h.awaitResults(5)
	if n := h.count(`SELECT count(*) FROM checks WHERE outcome = 'ok'`); n != 5 || len(elsewhere.Journal()) != 0 {
		t.Errorf("%d of 5 ok; %d requests went to the new endpoint", n, len(elsewhere.Journal()))
	}
	h.due()
	h.awaitResults(10)
	if n := len(elsewhere.Journal()); n != 5 {
		t.Errorf("the next round asked the new endpoint %d times, want 5", n)
	}
}

// One hostile answer, one credential without a secret, and the rest of the batch
// (docs/promises.md#one-hostile-answer-costs-nothing-else).
func TestOneBadAnswerCostsNothingElse(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 20, nil)
	h.idp.BreakFor(h.clients[3], sim.Hostile)
	h.idp.BreakFor(h.clients[4], sim.Echo)
	h.exec(`UPDATE credentials SET secret_ref = 'env:KEYROUNDS_TEST_NOT_SET' WHERE name = 'c0005'`)
	h.start(h.pool)
	h.awaitResults(20)
	h.settle()
	h.once(1)
	if n := h.count(`SELECT count(*) FROM checks WHERE outcome = 'ok'`); n != 17 {
		t.Errorf("%d of 20 ok, want 17", n)
	}
	if n := h.count(`SELECT count(*) FROM checks WHERE error_description ~ '[[:cntrl:]]'`); n != 0 {
		t.Errorf("%d results hold control characters", n)
	}
	fs := h.findings()
	if len(fs) != 1 || fs[0].Kind != finding.SecretUnreadable || fs[0].Subject.Credential != "c0005" {
		t.Errorf("findings %+v", fs)
	}
}

// What a transaction that fails had found is not told, and its credentials are not lost.
func TestNothingIsTakenFromARolledBackTransaction(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 2, nil)
	h.exec(`UPDATE credentials SET secret_ref = 'env:KEYROUNDS_TEST_NOT_SET' WHERE name = 'c0000'`)
	r := h.replica(h.pool)
	creds, err := r.Registry.List(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	_, err = pgtest.Owner(t, h.pool).Exec(t.Context(), `ALTER TABLE finding_outbox ADD CONSTRAINT refused CHECK (false) NOT VALID`)
	if err != nil { // the last that is written
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if _, err := r.work(ctx, Order{Purpose: scheduled, Provider: "idp", Credentials: creds}); err == nil {
		t.Fatal("no error")
	}
	if n := h.results() + len(h.findings()) + h.count(`SELECT count(*) FROM river_job`); n != 0 {
		t.Errorf("%d rows are left of it", n)
	}
	if n := h.count(`SELECT count(*) FROM credentials WHERE next_check_at <= now()`); n != 2 {
		t.Errorf("%d of 2 credentials are due as before", n)
	}
}

// After five days away a credential is checked once, and nobody is paged for the gap
// (docs/promises.md#however-many-slots-were-missed-a-credential-is-due-once).
func TestCatchUp(t *testing.T) {
	lasting.Test(t, "it waits for rounds")
	t.Parallel()
	h := newHouse(t, 30, nil)
	// Far from now, so that no slot of its own falls into the test.
	h.exec(fmt.Sprintf(
		`UPDATE credentials SET schedule = '0 %d * * *', next_check_at = now() - interval '5 days'`,
		(time.Now().UTC().Hour()+12)%24,
	))
	h.exec(`
		UPDATE credential_state SET status = 'healthy', since = now() - interval '6 days',
			last_check_at = now() - interval '5 days', last_success_at = now() - interval '5 days',
			last_certain_at = now() - interval '5 days', changed_at = now() - interval '9 days'`)
	h.start(h.pool)
	h.awaitResults(30)
	h.settle()
	h.once(1)
	if n := h.count(`SELECT count(*) FROM credentials WHERE next_check_at <= now()`); n != 0 || len(h.findings()) != 0 {
		t.Errorf("%d are due again, findings %+v", n, h.findings())
	}
	if n := h.count(`SELECT count(DISTINCT next_check_at) FROM credentials`); n < 20 {
		t.Errorf("the next checks of 30 credentials come at %d times: not spread", n)
	}
}

// everyone judges all credentials as two batches at once, on two replicas.
func (h *house) everyone(a, b *Rounds) {
	h.t.Helper()
	creds, err := a.Registry.List(h.t.Context(), false)
	if err != nil {
		h.t.Fatal(err)
	}
	half := len(creds) / 2
	failed := make(chan error, 2)
	var exchanged sync.WaitGroup
	exchanged.Add(2)
	for r, batch := range map[*Rounds][]credential.Credential{a: creds[:half], b: creds[half:]} {
		go func() { // nobody waits for the other, as where one's time at the provider ran out
			results, _, leave, err := r.Exchange(
				h.t.Context(),
				Order{Purpose: Purpose{Name: "check", Patience: time.Minute}, Provider: "idp", Credentials: batch},
			)
			leave()
			exchanged.Done()
			exchanged.Wait()
			if err == nil {
				_, _, err = r.store(h.t.Context(), r.settings.Load(), Order{Provider: "idp"}, batch, results)
			}
			failed <- err
		}()
	}
	if err := errors.Join(<-failed, <-failed); err != nil {
		h.t.Fatal(err)
	}
}

// Two batches on two replicas each see three refusals among three: together they are one incident,
// and nobody is revoked.
func TestAnIncidentOverTwoReplicas(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 6, nil)
	a, b := h.replica(h.pool), h.replica(h.open(h.url))
	h.everyone(a, b)
	h.idp.Break(sim.Refuse)
	for range 3 { // longer than any confirmation
		h.everyone(a, b)
	}
	fs := h.findings()
	if len(fs) != 1 || fs[0].Kind != finding.ProviderIncident || len(fs[0].Evidence.Affected) != 6 {
		t.Fatalf("findings %+v", fs)
	}
	h.idp.Break(sim.NoFault)
	h.everyone(a, b)
	if fs = h.findings(); len(fs) != 1 || fs[0].State != finding.Resolved {
		t.Errorf("findings after its end %+v", fs)
	}
	if n := h.count(`SELECT count(*) FROM credential_state WHERE status = 'healthy'`); n != 6 {
		t.Errorf("%d of 6 healthy", n)
	}
}

// The whole way of a revocation: suspected, confirmed, told once, restored, told in the same place.
func TestARevocationIsToldAndResolved(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 4, nil)
	h.settings.Policy.Confirm = []time.Duration{300 * time.Millisecond, 600 * time.Millisecond}
	h.settings.Policy.RefusalsPerHour = 0
	h.start(h.pool)
	h.awaitResults(4)
	h.settle()
	h.idp.Revoke(h.clients[2])
	h.due() // what follows comes by confirmations alone
	h.await("one message", func() bool { return len(h.told.messages()) == 1 })
	m := h.told.messages()[0].Findings[0]
	if m.Kind != finding.Revoked || m.Subject.Credential != "c0002" || len(m.Evidence.Refusals) != 3 || m.Evidence.PeersHealthy != 3 {
		t.Errorf("told %+v", m)
	}
	h.idp.Restore(h.clients[2])
	h.due()
	h.await("the update", func() bool { return len(h.told.messages()) == 2 })
	update := h.told.messages()[1]
	if update.Findings[0].State != finding.Resolved || update.Told.Ref == "" || update.Findings[0].ID != m.ID {
		t.Errorf("told %+v", update)
	}
}

// What slows a provider down or is asked for by Retry-After moves its next batch.
func TestRetryAfterPausesTheProvider(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1, nil)
	h.idp.Break(sim.RateLimit)
	r := h.replica(h.pool)
	creds, err := r.Registry.List(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	order := Order{Purpose: scheduled, Provider: "idp", Credentials: creds}
	if _, err := r.work(t.Context(), order); err != nil {
		t.Fatal(err)
	}
	if n := h.count(`SELECT count(*) FROM provider_pace WHERE provider = 'idp' AND paced_until > now() + interval '1 second'`); n != 1 {
		t.Error("the provider's next batch is not moved")
	}
}

// Batches hold at most what a provider's rate allows in their time.
func TestBatches(t *testing.T) {
	t.Parallel()
	due := make([]credential.Credential, 450)
	for i := range due {
		due[i].Provider = []string{"fast", "slow", "gone"}[i%3]
	}
	providers := map[string]checker.Provider{"fast": {Name: "fast", Rate: 1000}, "slow": {Name: "slow", Rate: 0.01}}
	sizes := map[string][]int{}
	for _, b := range batches(due, providers) {
		sizes[b.provider.Name] = append(sizes[b.provider.Name], len(b.creds))
	}
	if !slices.Equal(sizes["fast"], []int{150}) || !slices.Equal(sizes["gone"], []int{150}) || len(sizes["slow"]) != 150 {
		t.Errorf("batches of %v", sizes)
	}
}

// CheckNow needs neither a schedule nor running rounds.
func TestCheckNow(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 250, nil)
	r := h.replica(h.pool)
	creds, err := r.Registry.List(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]verdict.Status{}
	if err := r.CheckNow(t.Context(), creds, func(js []Judged) {
		for _, j := range js {
			seen[j.Result.Credential] = j.State.Status
		}
	}); err != nil {
		t.Fatal(err)
	}
	if len(seen) != 250 || seen["c0249"] != verdict.Healthy {
		t.Errorf("%d judged, the last %s", len(seen), seen["c0249"])
	}
	h.once(1)
}
