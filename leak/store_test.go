package leak

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/leak/intake"
	"github.com/keyrounds/keyrounds/leak/scan"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/registry"
	"github.com/keyrounds/keyrounds/sealing"
	"github.com/keyrounds/keyrounds/secret"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// book is a Store with credentials in a database of its own.
type book struct {
	*testing.T
	*Store
	now   time.Time
	creds map[string]credential.Credential
}

func newBook(t *testing.T, names ...string) *book {
	t.Helper()
	b := &book{T: t, now: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC), creds: map[string]credential.Credential{}}
	pool := pgtest.New(t)
	b.Store = newStore(t, pool)
	b.Store.WantHMSL(true)
	reg := registry.New(b.Pool, time.UTC)
	for _, name := range names {
		b.tx(func(tx pgx.Tx) error {
			changes, err := reg.Add(t.Context(), tx, []credential.Credential{
				{Name: name, Provider: "idp", Subject: "client-" + name, Secret: secret.Sealed, Schedule: "@hourly"},
			}, b.now, nil)
			if err == nil {
				b.creds[name] = changes[0].Credential
			}
			return err
		})
		b.learn(name, secretOf(name))
	}
	return b
}

// newStore makes a Store with a sealing key of its own.
func newStore(tb testing.TB, pool *pgxpool.Pool) *Store {
	tb.Helper()
	k := sealing.New(sealing.Options{Pool: pool, File: secret.KeyFile{Path: filepath.Join(tb.TempDir(), "key")}, Make: true})
	r := registry.New(pool, time.UTC)
	s := NewStore(StoreOptions{Pool: pool, Registry: r, Sealer: k})
	k.Over(r, s)
	return s
}

func secretOf(name string) string { return "secret-of-" + name + "-0123456789abcdef" }

func (b *book) learn(name, value string) {
	b.Helper()
	if err := b.Note(b.Context(), b.creds[name], secret.New([]byte(value)), b.now); err != nil {
		b.Fatal(err)
	}
}

func (b *book) tx(do func(pgx.Tx) error) {
	b.Helper()
	tx, err := b.Pool.Begin(b.Context())
	if err == nil {
		err = do(tx)
	}
	if err == nil {
		err = tx.Commit(b.Context())
	}
	if err != nil {
		b.Fatal(err)
	}
}

// weigh gives events to the Store, and returns what it makes of them.
func (b *book) weigh(events ...finding.Event) (made []finding.Event) {
	b.Helper()
	b.tx(func(tx pgx.Tx) (err error) {
		made, err = b.Weigh(b.Context(), tx, nil, events, b.now)
		return err
	})
	return made
}

func (b *book) event(k finding.Kind, name string, e finding.Evidence) finding.Event {
	c := b.creds[name]
	return finding.Event{
		Op: finding.OpOpen, Kind: k, At: b.now,
		Subject: finding.Subject{Credential: c.Name, CredentialID: c.ID, Provider: c.Provider}, Evidence: e,
	}
}

func (b *book) used(address string, known bool) finding.Evidence {
	return finding.Evidence{
		Since: b.now,
		Usage: finding.Usage{Uses: []finding.Use{{
			Network: address + "/32", Address: address, UserAgent: "curl/8", First: b.now, Last: b.now, Uses: 1, Known: known,
		}}},
	}
}

// One weak sign is none; two kinds of them are a leak; all of it is one finding.
func TestWeakEvidence(t *testing.T) {
	t.Parallel()
	b := newBook(t, "a", "c")
	replaced := finding.Evidence{Answer: finding.Answer{Reason: "bad_secret"}, Since: b.now, LastSuccess: b.now.Add(-time.Hour)}
	tried := b.used("203.0.113.9", false)
	tried.Uses[0].Uses = 0
	for _, alone := range []finding.Event{
		b.event(finding.UsedAfterRevocation, "a", tried), // who knows the client id can be refused
		b.event(finding.UnexpectedUse, "a", b.used("203.0.113.7", false)),
		b.event(finding.UnexpectedUse, "a", b.used("203.0.113.8", false)),
		b.event(finding.UsedAfterRevocation, "a", b.used("10.0.0.1", true)), // a forgotten job
		b.event(finding.Revoked, "a", finding.Evidence{Answer: finding.Answer{Reason: "unspecified"}}),
		b.event(finding.Revoked, "a", finding.Evidence{
			Answer: finding.Answer{Reason: "bad_secret"}, Refusal: finding.Refusal{SetupChanged: true},
		}),
		b.event(finding.Unused, "a", finding.Evidence{}),
	} {
		if made := b.weigh(alone); len(made) > 0 {
			t.Errorf("%s alone is a leak: %+v", alone.Kind, made)
		}
	}
	made := b.weigh(b.event(finding.Revoked, "a", replaced))
	if len(made) != 1 || made[0].Kind != finding.Leaked || made[0].Evidence.Leak.Total != 3 ||
		!strings.HasPrefix(made[0].Evidence.Leak.Confidence, "likely") {
		t.Fatalf("an unexpected use and a replaced secret: %+v", made)
	}
	if made := b.weigh(b.event(finding.Revoked, "a", replaced)); len(made) != 1 || made[0].Evidence.Leak.Total != 3 {
		t.Errorf("the same again counts twice: %+v", made)
	}
	if made := b.weigh(b.event(finding.CanaryTripped, "c", b.used("203.0.113.7", false))); len(made) > 0 {
		t.Errorf("a tripped canary has a finding of its own: %+v", made)
	}
}

// What is found again where it was found keeps the time when it was seen first, and is no news.
func TestFoundAgain(t *testing.T) {
	t.Parallel()
	b := newBook(t, "a")
	id := b.creds["a"].ID
	hit := scan.Hit{Term: scan.Term{Credential: "a", Kind: scan.Secret}, Source: "wiki", Path: "deploy.env", Line: 7}
	for i, line := range []int{7, 7, 9} {
		now := b.now.Add(time.Duration(i) * time.Hour)
		hit.Line = line
		var fresh int
		b.tx(func(tx pgx.Tx) (err error) {
			fresh, err = b.AddEvidence(t.Context(), tx, []Evidence{EvidenceOfHit(hit, id, "scan", now)}, now)
			return err
		})
		if want := []int{1, 0, 1}[i]; fresh != want {
			t.Fatalf("%d: %d is new, want %d", i, fresh, want)
		}
		all, err := b.Evidence(t.Context(), id, 10)
		if err != nil || len(all) != 1 || !all[0].Seen.Equal(b.now) || !all[0].At.Equal(b.now) || all[0].Line != line {
			t.Errorf("%d: %+v, %v", i, all, err)
		}
	}
}

func (b *book) match(rep intake.Reported) Taken {
	b.Helper()
	var t Taken
	if err := b.Match(b.Context(), rep, &t); err != nil {
		b.Fatal(err)
	}
	return t
}

// Reports match by the whole secret, by its beginning, by GitGuardian's hash and by the client id, each as strong as
// it is; what is not ours is foreign.
func TestMatch(t *testing.T) {
	t.Parallel()
	b := newBook(t, "a", "c")
	whole := secretOf("a")
	for name, c := range map[string]struct {
		rep  intake.Reported
		kind EvidenceKind
	}{
		"whole":             {intake.Reported{Values: []string{"x", whole}}, BySecret},
		"the beginning":     {intake.Reported{Parts: []string{whole[:14]}}, ByPart},
		"all but the end":   {intake.Reported{Parts: []string{whole[:25]}}, ByPart},
		"too short a part":  {intake.Reported{Parts: []string{whole[:7]}}, ""},
		"the end":           {intake.Reported{Parts: []string{whole[8:]}}, ""},
		"its hash":          {intake.Reported{HMSL: hmsl(whole)}, BySecret},
		"another hash":      {intake.Reported{HMSL: hmsl(whole + "x")}, ""},
		"the client id":     {intake.Reported{Clients: []string{"client-a"}}, ByClientID},
		"both":              {intake.Reported{Values: []string{whole}, Clients: []string{"client-a"}}, BySecret},
		"nearly":            {intake.Reported{Values: []string{whole + "x", whole[1:]}}, ""},
		"nothing to go by":  {intake.Reported{}, ""},
		"an empty hash":     {intake.Reported{HMSL: ""}, ""},
		"a foreign secret":  {intake.Reported{Values: []string{"AKIAFOREIGNFOREIGN"}}, ""},
		"a part of another": {intake.Reported{Parts: []string{"AKIAFOREIGN"}}, ""},
	} {
		got := b.match(c.rep)
		switch {
		case c.kind == "" && (got.Foreign != 1 || len(got.Evidence) > 0):
			t.Errorf("%s matched: %+v", name, got.Evidence)
		case c.kind != "" && (len(got.Evidence) != 1 || got.Evidence[0].Kind != c.kind ||
			got.Evidence[0].CredentialID != b.creds["a"].ID || got.Matched != 1):
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// Fingerprints of one installation say nothing in another.
func TestFingerprintsAreKeyed(t *testing.T) {
	t.Parallel()
	one, two := newBook(t, "a"), newBook(t, "a")
	of := func(b *book) (whole, prefix []byte) {
		if err := b.Pool.QueryRow(t.Context(), `SELECT fingerprint, prefixes[1] FROM leak_secrets`).Scan(&whole, &prefix); err != nil {
			t.Fatal(err)
		}
		return whole, prefix
	}
	w1, p1 := of(one)
	w2, p2 := of(two)
	if slices.Equal(w1, w2) || slices.Equal(p1, p2) || len(w1) != 32 {
		t.Error("two installations have the same fingerprint of a secret")
	}
}

// From success over refusals to the proof, and back when it works again.
func TestProofOfDeath(t *testing.T) {
	t.Parallel()
	b := newBook(t, "a")
	id := b.creds["a"].ID
	b.tx(func(tx pgx.Tx) error {
		n, err := b.AddEvidence(t.Context(), tx,
			[]Evidence{{CredentialID: id, Kind: BySecret, Key: "x", Sighting: finding.Sighting{How: "scan", What: "found"}}}, b.now)
		if n != 1 {
			t.Errorf("%d are new", n)
		}
		return err
	})
	pace, mine := Pace{Every: 15 * time.Minute, Confirm: 2 * time.Minute}, Lease{"one", time.Hour}
	try := func(a Attempt) (made []finding.Event, death *finding.Death) {
		t.Helper()
		due, err := b.Claim(t.Context(), b.now, time.Minute, mine, 5)
		if err != nil || len(due) != 1 {
			t.Fatalf("due: %v, %v", due, err)
		}
		if again, _ := b.Claim(t.Context(), b.now, time.Minute, mine, 5); len(again) != 0 {
			t.Error("two replicas try it at once")
		}
		a.At = b.now
		b.tx(func(tx pgx.Tx) error {
			made, death, err = b.RecordAttempt(t.Context(), tx, due[0], a, pace, b.now)
			return err
		})
		return made, death
	}
	next := func(want time.Duration) {
		t.Helper()
		rows, err := b.Secrets(t.Context(), id)
		if err != nil || !rows[0].NextTry.Equal(b.now.Add(want)) {
			t.Errorf("the next try is at %s, wanted in %s of %s; %v", rows[0].NextTry, want, b.now, err)
		}
		b.now = b.now.Add(want)
	}
	dead := TokenFate{Text: "a token that was issued before is refused by the API", Minted: b.now, Stopped: b.now.Add(time.Hour)}
	made, _ := try(Attempt{Works: true})
	if !*made[0].Evidence.Leak.Works {
		t.Errorf("%+v", made)
	}
	next(15 * time.Minute)
	try(Attempt{Outcome: "unreachable"})
	next(time.Minute)
	try(Attempt{Refused: true, Control: "others work", Token: dead})
	next(2 * time.Minute)
	try(Attempt{Works: true}) // it was rotated back, or a node lagged
	next(15 * time.Minute)
	try(Attempt{Refused: true, Control: "others work", Token: dead})
	next(2 * time.Minute)
	if _, death := try(Attempt{Refused: true, Control: "others work", Token: TokenFate{Text: "still works", Alive: true}}); death != nil {
		t.Error("dead, and its token works")
	}
	next(2 * time.Minute)
	made, death := try(Attempt{Refused: true, Outcome: "rejected", Control: "others work", Token: dead, Finding: 7})
	if death == nil || len(death.Refused) != 3 || len(made) != 2 || made[0].Op != finding.OpOpen ||
		len(made[0].Evidence.Leak.Deaths) != 1 || made[1].Op != finding.OpResolve {
		t.Fatalf("%+v, made %+v", death, made)
	}
	rows, err := b.Secrets(t.Context(), id)
	print := fmt.Sprintf("%x", rows[0].print)
	if err != nil || death.Finding != 7 || len(death.Fingerprint) != 8 || !strings.HasPrefix(print, death.Fingerprint) ||
		!death.From.Equal(rows[0].First) || !death.Until.IsZero() || !strings.HasSuffix(death.Which(), "from 2026-03-02T09:00:00Z on") {
		t.Errorf("the proof says not which secret it is of: %+v, %v", death, err)
	}
	if !rows[0].Leaked || rows[0].Dead.IsZero() {
		t.Errorf("a secret that got out did not any more, since it is dead: %+v", rows[0])
	}
	b.now = b.now.Add(24 * time.Hour)
	if due, _ := b.Claim(t.Context(), b.now, time.Minute, mine, 5); len(due) > 0 {
		t.Error("a dead secret is tried on")
	}
	b.tx(func(tx pgx.Tx) error { // seen again elsewhere
		_, err := b.AddEvidence(t.Context(), tx,
			[]Evidence{{CredentialID: id, Kind: BySecret, Key: "y", Sighting: finding.Sighting{How: "scan"}}}, b.now)
		return err
	})
	if made := b.weigh(b.event(finding.UnexpectedUse, "a", b.used("203.0.113.7", false))); len(made) > 0 {
		t.Errorf("a dead secret is found again: %+v", made)
	}
}

// That a replaced secret is refused proves its death only where it was ever seen to work, or got out; what never worked is given up.
func TestWhatNeverWorkedDoesNotDie(t *testing.T) {
	t.Parallel()
	pace := Pace{Every: 15 * time.Minute, Confirm: 2 * time.Minute}
	for _, c := range []struct {
		name                     string
		worked, works, got, dies bool
	}{
		{"it worked", true, false, false, true},
		{"it never did", false, false, false, false},
		{"it works after all", false, true, false, true},
		{"it got out", false, false, true, true},
	} {
		b := newBook(t, "a")
		id := b.creds["a"].ID
		b.tx(func(tx pgx.Tx) error {
			err := b.Keep(t.Context(), tx, b.creds["a"], secret.New([]byte(secretOf("a"))), c.worked, b.now)
			if err == nil && c.got {
				_, err = b.AddEvidence(t.Context(), tx, []Evidence{{CredentialID: id, Kind: BySecret, Key: "x"}}, b.now)
			}
			return err
		})
		var death *finding.Death
		try := func(a Attempt) {
			rows, err := b.Secrets(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			b.now = b.now.Add(5 * time.Minute)
			a.At = b.now
			b.tx(func(tx pgx.Tx) (err error) {
				_, death, err = b.RecordAttempt(t.Context(), tx, rows[0], a, pace, b.now)
				return err
			})
		}
		if c.works {
			try(Attempt{Works: true})
		}
		for range 2 {
			try(Attempt{Refused: true, Control: "others work"})
		}
		rows, err := b.Secrets(t.Context(), id)
		if err != nil || (death != nil) != c.dies || rows[0].Dead.IsZero() == c.dies || rows[0].GivenUp() == c.dies ||
			rows[0].Kept || !rows[0].NextTry.IsZero() {
			t.Errorf("%s: %+v, %+v, %v", c.name, death, rows[0], err)
		}
	}
}

// A secret that got out and is refused then is no second alarm: before and after its death, until another takes its place. What is
// only a weak sign, or a false alarm, changes nothing.
func TestRefusedAfterItGotOut(t *testing.T) {
	t.Parallel()
	b := newBook(t, "a", "c", "d")
	refused := func(name string) finding.Event {
		e := b.event(finding.Revoked, name, finding.Evidence{Answer: finding.Answer{Reason: "unspecified"}, LastSuccess: b.now})
		events := []finding.Event{e}
		b.weigh(events...)
		return events[0]
	}
	found := func(name string, kind EvidenceKind) {
		b.tx(func(tx pgx.Tx) error {
			ev := Evidence{CredentialID: b.creds[name].ID, Kind: kind, Key: "x", Sighting: finding.Sighting{How: "scan"}}
			_, err := b.AddEvidence(t.Context(), tx, []Evidence{ev}, b.now)
			return err
		})
	}
	if e := refused("a"); e.Evidence.GotOut || e.Severity() != finding.Critical {
		t.Errorf("nothing got out: %+v", e)
	}
	found("a", BySecret)
	found("c", ByPart)
	found("d", BySecret)
	b.tx(func(tx pgx.Tx) error { return b.Settle(t.Context(), tx, b.creds["d"].ID, b.now) })
	for name, want := range map[string]bool{"a": true, "c": false, "d": false} {
		if e := refused(name); e.Evidence.GotOut != want || (e.Severity() == finding.Warning) != want {
			t.Errorf("%s: %+v", name, e)
		}
	}
	if _, err := b.Pool.Exec(t.Context(), `UPDATE leak_secrets SET dead_at = $1`, b.now); err != nil {
		t.Fatal(err)
	}
	b.tx(func(tx pgx.Tx) error { return b.Settle(t.Context(), tx, b.creds["a"].ID, b.now.Add(time.Second)) })
	if e := refused("a"); !e.Evidence.GotOut {
		t.Errorf("dead: %+v", e)
	}
	b.learn("a", "the-new-secret-0123456789")
	if e := refused("a"); e.Evidence.GotOut {
		t.Errorf("another secret: %+v", e)
	}
}

// What somebody calls a false alarm did not get out, also when its secret dies later.
func TestAFalseAlarmDidNotGetOut(t *testing.T) {
	t.Parallel()
	b := newBook(t, "a")
	id := b.creds["a"].ID
	leaked := func() bool {
		rows, err := b.Secrets(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return rows[0].Leaked
	}
	b.tx(func(tx pgx.Tx) error {
		_, err := b.AddEvidence(t.Context(), tx, []Evidence{{CredentialID: id, Kind: BySecret, Key: "x"}}, b.now)
		return err
	})
	if !leaked() {
		t.Error("it is not known to have got out")
	}
	b.tx(func(tx pgx.Tx) error { return b.Settle(t.Context(), tx, id, b.now) })
	b.tx(func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), `UPDATE leak_secrets SET dead_at = $2 WHERE credential_id = $1`, id, b.now.Add(time.Hour))
		return err
	})
	if leaked() {
		t.Error("it got out, though that was a false alarm")
	}
}

// With nothing to compare with, a third refusal is wanted.
func TestProofWithoutAControl(t *testing.T) {
	t.Parallel()
	r := SecretRow{Refused: []time.Time{{}, {}}}
	if d := r.dies(Attempt{Alone: true}); !strings.Contains(d.Control, "no other credential") {
		t.Errorf("%+v", d)
	}
}

// A check that read the secret before it was replaced does not bring it back.
func TestALateNote(t *testing.T) {
	t.Parallel()
	b := newBook(t, "a")
	late := b.creds["a"]
	reg := registry.New(b.Pool, time.UTC)
	b.now = b.now.Add(time.Hour)
	b.tx(func(tx pgx.Tx) error {
		if err := b.Keep(t.Context(), tx, late, secret.New([]byte(secretOf("a"))), true, b.now); err != nil {
			return err
		}
		change, err := reg.Rotate(t.Context(), tx, "a", "client-new", time.Time{}, []byte("sealed"), b.now)
		b.creds["a"] = change.Credential
		return err
	})
	if err := b.Note(t.Context(), late, secret.New([]byte(secretOf("a"))), b.now); err != nil {
		t.Fatal(err)
	}
	b.learn("a", "the-new-secret-0123456789")
	rows, err := b.Secrets(t.Context(), late.ID)
	if err != nil || len(rows) != 2 || !rows[0].Kept || rows[0].Replaced.IsZero() ||
		rows[0].ClientID != "client-a" || rows[1].ClientID != "client-new" || !rows[1].Replaced.IsZero() {
		t.Fatalf("%+v, %v", rows, err)
	}
	v, err := b.Open(rows[0])
	if err != nil || v.Reveal() != secretOf("a") {
		t.Errorf("what is kept: %v", err)
	}
	former, err := b.Former(t.Context())
	if err != nil || len(former[late.ID]) != 1 || former[late.ID][0].Partner != "client-a" {
		t.Errorf("%d former, %v", len(former), err)
	}
}

// What a check that began before the rotation saw is not said of the new secret.
func TestALateResult(t *testing.T) {
	t.Parallel()
	b := newBook(t, "a")
	id := b.creds["a"].ID
	began := b.now.Add(time.Hour)
	b.now = began.Add(time.Second)
	b.tx(func(tx pgx.Tx) error {
		if err := b.Keep(t.Context(), tx, b.creds["a"], secret.New([]byte(secretOf("a"))), true, b.now); err != nil {
			return err
		}
		change, err := registry.New(b.Pool, time.UTC).Rotate(t.Context(), tx, "a", "", time.Time{}, []byte("sealed"), b.now)
		b.creds["a"] = change.Credential
		return err
	})
	b.learn("a", "the-new-secret-0123456789")
	refused := false
	for _, late := range []bool{true, false} {
		at := b.now
		if late {
			at = began
		}
		b.tx(func(tx pgx.Tx) error {
			found := []Evidence{{CredentialID: id, Kind: BySecret, Key: "x", Sighting: finding.Sighting{How: "scan", What: "found"}}}
			if _, err := b.AddEvidence(t.Context(), tx, found, b.now); err != nil {
				return err
			}
			_, err := b.Weigh(t.Context(), tx, []Checked{{CredentialID: id, Works: &refused, At: at}}, nil, b.now)
			return err
		})
		rows, err := b.Secrets(t.Context(), id)
		if err != nil || len(rows) != 2 || (rows[1].Works == nil) != late {
			t.Errorf("late %t: %+v, %v", late, rows, err)
		}
	}
}

// Ten thousand credentials are matched by an index, not by reading them all.
func BenchmarkMatch(b *testing.B) {
	pool := pgtest.New(b)
	s := newStore(b, pool)
	fillSecrets(b, s, pool, 10_000)
	rep := intake.Reported{Values: []string{"AKIAFOREIGNFOREIGN", "x-0123456789"}}
	b.Run("reports", func(b *testing.B) {
		for b.Loop() {
			var t Taken
			if err := s.Match(context.Background(), rep, &t); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("round trips", func(b *testing.B) {
		for b.Loop() {
			if _, err := pool.Exec(context.Background(), `SELECT 1`); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func fillSecrets(b *testing.B, s *Store, pool *pgxpool.Pool, n int) {
	b.Helper()
	p, err := s.prints(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	columns := []string{"credential_id", "client_id", "fingerprint", "prefixes", "first_at"}
	_, err = pool.CopyFrom(context.Background(), pgx.Identifier{"leak_secrets"}, columns,
		pgx.CopyFromSlice(n, func(i int) ([]any, error) {
			v := fmt.Sprintf("secret-%d-0123456789abcdef0123456789", i)
			return []any{i, fmt.Sprint("client-", i), p.whole(v), p.prefixes(v), time.Now()}, nil
		}))
	if err != nil {
		b.Fatal(err)
	}
	pgtest.Analyze(b, pool, "leak_secrets")
}
