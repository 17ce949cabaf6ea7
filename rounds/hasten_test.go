package rounds

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/sim"
	"github.com/keyrounds/keyrounds/verdict"
)

// One credential is due, and it is refused: the others are looked at at once, though they are not due before next year.
// What was blamed alone is taken back when it turns out to be an incident, and all is looked at when one recovers.
func TestOthersAreLookedAtAtOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 6, nil)
	h.settings.Policy.Confirm = []time.Duration{300 * time.Millisecond, time.Second}
	h.start(h.pool)
	h.awaitResults(6)
	h.settle()
	h.idp.BreakFor(h.clients[0], sim.Refuse)
	h.exec(`UPDATE credentials SET next_check_at = now() WHERE name = 'c0000'`)
	h.await("it is told", func() bool { return len(h.told.messages()) == 1 })
	if n := h.count(`SELECT count(*) FROM (SELECT FROM checks GROUP BY credential_id HAVING count(*) > 1) AS n`); n != 6 {
		t.Fatalf("%d of 6 were looked at", n)
	}
	if fs := h.findings(); len(fs) != 1 || fs[0].Kind != finding.Revoked || fs[0].Evidence.PeersHealthy != 5 ||
		fs[0].Evidence.NextCheck.Sub(fs[0].Evidence.Since) != 15*time.Minute {
		t.Fatalf("%+v", fs)
	}
	looks := h.count(`SELECT count(*) FROM checks`)
	h.exec(`UPDATE credential_state SET suspect_since = suspect_since - interval '40 minutes' WHERE credential = 'c0000'`)
	h.exec(`UPDATE credentials SET next_check_at = now() WHERE name = 'c0000'`)
	h.await("it says when it is looked at next after this look", func() bool {
		e := h.findings()[0].Evidence
		return h.count(`SELECT count(*) FROM checks`) > looks && e.NextCheck.Sub(e.Since) == 20*time.Minute
	})
	if n := len(h.told.messages()); n != 1 {
		t.Errorf("%d messages", n)
	}
	h.exec(`UPDATE credential_state SET suspect_since = suspect_since + interval '40 minutes' WHERE credential = 'c0000'`)
	h.idp.Break(sim.Refuse)
	h.exec(`UPDATE credentials SET next_check_at = now() WHERE name = 'c0001'`)
	withdrawn := 0 // on a slow machine some are told alone first
	h.await("an incident, and nobody is blamed alone", func() bool {
		incident := 0
		withdrawn = 0
		for _, f := range h.findings() {
			switch {
			case f.Kind == finding.ProviderIncident && len(f.Evidence.Affected) == 6:
				incident++
			case f.State == finding.Resolved && f.Withdrawn:
				withdrawn++
			default:
				return false
			}
		}
		return incident == 1 && withdrawn > 0
	})
	if n := h.count(`SELECT count(*) FROM record WHERE action = 'finding.withdrawn'`); n != withdrawn {
		t.Errorf("%d records of %d that were withdrawn", n, withdrawn)
	}
	h.idp.BreakFor(h.clients[0], sim.NoFault)
	h.idp.Break(sim.NoFault)
	h.exec(`UPDATE credentials SET next_check_at = now() WHERE name = 'c0001'`)
	h.await("all is well", func() bool {
		return h.count(`SELECT count(*) FROM credential_state WHERE status = 'healthy'`) == 6 &&
			h.count(`SELECT count(*) FROM findings WHERE state <> 'resolved'`) == 0
	})
}

// Who may not be asked is not: a passive provider, one whose budget is used up, what was checked within min_interval.
func TestOthersAreAskedWithinTheirLimits(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*checker.Provider)
		due    int
	}{
		"passive":      {func(p *checker.Provider) { p.Passive = true }, 0},
		"budget":       {func(p *checker.Provider) { p.Budget = 1 }, 0},
		"min_interval": {func(p *checker.Provider) { p.MinInterval = time.Hour }, 1},
		"none of that": {func(*checker.Provider) {}, 3},
	} {
		h := newHouse(t, 3, nil)
		r := h.replica(h.pool)
		h.exec(`UPDATE credentials SET next_check_at = now() + interval '1 year'`)
		h.exec(`UPDATE credential_state SET last_check_at = now() - interval '50 minutes'`)
		h.exec(`UPDATE credential_state SET last_check_at = now() - interval '70 minutes' WHERE credential = 'c0001'`)
		s := *r.settings.Load()
		p := s.Providers["idp"]
		c.change(&p)
		s.Providers = map[string]checker.Provider{"idp": p}
		err := pgx.BeginFunc(t.Context(), h.pool, func(tx pgx.Tx) error {
			if err := r.Registry.Spend(t.Context(), tx, "idp", time.Now(), 1); err != nil {
				return err
			}
			var wishes []verdict.Wish
			for id := range int64(3) {
				wishes = append(wishes, verdict.Wish{CredentialID: id + 1, Provider: "idp"})
			}
			return r.hasten(t.Context(), tx, &s, wishes)
		})
		if err != nil {
			t.Fatal(err)
		}
		if n := h.count(`SELECT count(*) FROM credentials WHERE next_check_at <= now()`); n != c.due {
			t.Errorf("%s: %d are due, want %d", name, n, c.due)
		}
	}
}

// Who is refused is not looked at again within seconds, whoever wants it: not where its last look was stored while others were
// judged, and not where it is being looked at.
func TestALookIsNotFollowedByAnotherWithinSeconds(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 3, nil)
	r := h.replica(h.pool)
	h.exec(`UPDATE credentials SET next_check_at = now() + interval '1 year'`)
	h.exec(`UPDATE credential_state SET last_check_at = now() - interval '10 seconds'`)
	h.exec(`UPDATE credential_state SET last_check_at = now() - interval '10 minutes' WHERE credential = 'c0001'`)
	h.exec(`UPDATE credentials SET leased_until = now() + interval '35 seconds' WHERE name = 'c0002'`)
	err := pgx.BeginFunc(t.Context(), h.pool, func(tx pgx.Tx) error {
		var wishes []verdict.Wish
		for id := range int64(3) {
			wishes = append(wishes, verdict.Wish{CredentialID: id + 1, Provider: "idp", Again: true})
		}
		return r.hasten(t.Context(), tx, r.settings.Load(), wishes)
	})
	if err != nil {
		t.Fatal(err)
	}
	n := h.count(`
		SELECT count(*) FROM credentials JOIN credential_state ON credential_id = id WHERE next_check_at = CASE name
			WHEN 'c0000' THEN last_check_at + interval '30 seconds' WHEN 'c0001' THEN least(next_check_at, now()) ELSE next_check_at END
			AND (name <> 'c0002' OR next_check_at > now() + interval '1 day')`)
	if n != 3 {
		t.Errorf("%d of 3 are due as they should be", n)
	}
}
