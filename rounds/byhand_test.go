package rounds

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/credential"
)

// command is a process that is no daemon.
func (h *house) command() *Rounds {
	r := h.replica(h.pool)
	r.Daemon = false
	return r
}

func (h *house) credentials() []credential.Credential {
	h.t.Helper()
	all, err := h.replica(h.pool).Registry.List(h.t.Context(), false)
	if err != nil {
		h.t.Fatal(err)
	}
	return all
}

// Where a daemon lives it makes the checks that a command asks for, and the command shows all that came of them
// (docs/promises.md#a-daemon-makes-the-checks-that-are-asked-for).
func TestADaemonMakesTheChecks(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 3, nil)
	h.exec(`UPDATE credentials SET next_check_at = now() + interval '1 year'`)
	daemon, command := h.start(h.pool), h.command()
	h.await("the daemon leads", func() bool { lives, err := command.DaemonLives(t.Context()); return err == nil && lives })
	var judged []Judged
	if err := command.CheckNow(t.Context(), h.credentials(), func(js []Judged) { judged = append(judged, js...) }); err != nil {
		t.Fatal(err)
	}
	if len(judged) != 3 || h.results() != 3 {
		t.Fatalf("%d shown, %d recorded", len(judged), h.results())
	}
	for _, j := range judged {
		if j.Result.Outcome != checker.OK || j.State.Status != "healthy" || len(j.Result.Trace) == 0 || j.Result.Phases.Total <= 0 {
			t.Errorf("shown: %+v", j)
		}
	}
	if d, c := counted(t, daemon, "check_by_hand"), counted(t, command, "check_by_hand"); d != 3 || c != 0 {
		t.Errorf("the daemon made %v token requests, the command %v", d, c)
	}
	n := h.count(`
		SELECT count(*) FROM river_job
		WHERE kind = 'check_by_hand' AND (args || metadata)::text LIKE '%` + secretText + `%'`)
	if n != 0 {
		t.Errorf("the secret is in %d jobs", n)
	}
}

// What the daemon says of why it may not ask reaches the one who asked for the check.
func TestADaemonRefusesACheck(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1, nil)
	h.exec(`UPDATE credentials SET next_check_at = now() + interval '1 year'`)
	h.start(h.pool)
	command := h.command()
	h.await("the daemon leads", func() bool { lives, err := command.DaemonLives(t.Context()); return err == nil && lives })
	h.exec(`
		INSERT INTO provider_pace (provider, paused_until) VALUES ('idp', now() + interval '1 hour')
		ON CONFLICT (provider) DO UPDATE SET paused_until = excluded.paused_until`)
	err := command.CheckNow(t.Context(), h.credentials(), func(js []Judged) { t.Errorf("%d results", len(js)) })
	var notNow *NotNowError
	if !errors.As(err, &notNow) || !strings.Contains(err.Error(), "asks us to stay away") {
		t.Errorf("error %v", err)
	}
	if n := h.count(`SELECT count(*) FROM river_job WHERE kind = 'check_by_hand' AND state <> 'completed'`); n != 0 {
		t.Errorf("%d jobs are left", n)
	}
}

// A credential that is retired while its check is asked for ends the asking, and is not asked for again and again.
func TestRetiredWhileACheckIsAskedFor(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 2, nil)
	h.exec(`UPDATE credentials SET next_check_at = now() + interval '1 year'`)
	h.start(h.pool)
	command, creds := h.command(), h.credentials()
	h.await("the daemon leads", func() bool { lives, err := command.DaemonLives(t.Context()); return err == nil && lives })
	h.exec(`UPDATE credentials SET retired_at = now() WHERE name = 'c0001'`)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	shown := 0
	err := command.CheckNow(ctx, creds, func(js []Judged) { shown += len(js) })
	if err == nil || !strings.Contains(err.Error(), `1 credentials of the provider "idp" were not checked`) || shown != 1 {
		t.Errorf("%d shown, error %v", shown, err)
	}
	if n := h.count(`SELECT count(*) FROM river_job WHERE kind = 'check_by_hand'`); n != 2 {
		t.Errorf("it was asked for %d times", n)
	}
}

// Whoever stops waiting leaves no check behind.
func TestNobodyWaitsForACheck(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1, nil)
	command := h.command()
	h.exec(`
		INSERT INTO river_leader (elected_at, expires_at, leader_id, name)
		VALUES (now(), now() + interval '1 hour', 'one that hangs', 'default')`)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for h.count(`SELECT count(*) FROM river_job WHERE kind = 'check_by_hand'`) == 0 && ctx.Err() == nil {
		}
		cancel()
	}()
	if err := command.CheckNow(ctx, h.credentials(), func([]Judged) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if n := h.count(`SELECT count(*) FROM river_job WHERE kind = 'check_by_hand' AND state = 'available'`); n != 0 || h.results() != 0 {
		t.Errorf("%d jobs are left", n)
	}
}

// A daemon that was killed counts for some seconds more; then the command checks by itself what it had handed over.
func TestAKilledDaemonKeepsNobodyFromChecking(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1, nil)
	command := h.command()
	h.exec(`
		INSERT INTO river_leader (elected_at, expires_at, leader_id, name)
		VALUES (now(), now() + interval '1 second', 'one that was killed', 'default')`)
	shown := 0
	if err := command.CheckNow(t.Context(), h.credentials(), func(js []Judged) { shown += len(js) }); err != nil || shown != 1 {
		t.Errorf("%d shown, error %v", shown, err)
	}
	if n := h.count(`SELECT count(*) FROM river_job WHERE kind = 'check_by_hand' AND state = 'cancelled'`); n != 1 || h.results() != 1 {
		t.Errorf("%d jobs were taken back, %d results", n, h.results())
	}
}

// What a command cannot read is shown, and nothing of it is recorded: no result, no finding, no other time for the
// next check.
func TestWhatAShellCannotReadIsNotRecorded(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 2, nil)
	h.exec(
		`UPDATE credentials SET secret_ref = 'env:KEYROUNDS_TEST_NOT_SET', next_check_at = now() + interval '1 year' WHERE name = 'c0001'`,
	)
	shown := map[string]checker.Reason{}
	err := h.command().CheckNow(t.Context(), h.credentials(), func(js []Judged) {
		for _, j := range js {
			shown[j.Result.Credential] = j.Result.Reason
		}
	})
	if err != nil || len(shown) != 2 || shown["c0001"] != checker.SecretUnreadable {
		t.Errorf("shown %v, error %v", shown, err)
	}
	if h.results() != 1 || len(h.findings()) != 0 ||
		h.count(`SELECT count(*) FROM credentials WHERE name = 'c0001' AND next_check_at > now() + interval '300 days'`) != 1 {
		t.Errorf("%d results, findings %+v", h.results(), h.findings())
	}
	// A daemon records it.
	if err := h.replica(h.pool).CheckNow(t.Context(), h.credentials(), func([]Judged) {}); err != nil || len(h.findings()) != 1 {
		t.Errorf("findings %+v, error %v", h.findings(), err)
	}
}

// What a daemon answers is what it judged, whatever came of a check.
func TestResultsPassThroughJSON(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1, func(p *checker.Provider) { p.Probes = []checker.Probe{{Scope: "read", Get: "http://127.0.0.1:1/read"}} })
	for _, status := range []int{0, http.StatusUnauthorized, http.StatusTooManyRequests} {
		p := h.settings.Providers["idp"]
		if status != 0 {
			p.TokenURL = h.serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		}
		h.settings.Providers["idp"] = p
		h.exec(`UPDATE provider_pace SET paused_until = '-infinity'`)
		var before []Judged
		keep := func(js []Judged) { before = append(before, js...) }
		if err := h.replica(h.pool).CheckNow(t.Context(), h.credentials(), keep); err != nil || len(before) != 1 {
			t.Fatalf("HTTP %d: %d results, error %v", status, len(before), err)
		}
		var sent, got handed
		sent.add(before)
		text, err := json.Marshal(sent)
		if err == nil {
			err = json.Unmarshal(text, &got)
		}
		after := got.judged()
		if len(after) != 1 {
			t.Fatalf("HTTP %d: %s, error %v", status, text, err)
		}
		diff := cmp.Diff(before[0].Result, after[0].Result, cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty())
		if diff != "" || err != nil || after[0].State.Status != before[0].State.Status {
			t.Errorf("HTTP %d: %s\n%s, error %v", status, text, diff, err)
		}
	}
}
