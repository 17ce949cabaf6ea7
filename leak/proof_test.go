package leak

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/finding"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func TestControl(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		peers     Peers
		successor time.Time
		text      string
		alone     bool
	}{
		{"nobody else", Peers{}, time.Time{}, "", true},
		{"nobody else, and its own new secret", Peers{}, noon, "its new secret was accepted 12:00:00 UTC", false},
		{"others that are all refused", Peers{Works: 0, All: 3}, time.Time{}, "", false},
		{"others, one of which works", Peers{Works: 1, All: 3}, time.Time{}, "1 of the provider's 3 other credentials work", false},
		{
			name:      "others that are refused, and its own new secret",
			peers:     Peers{Works: 0, All: 3},
			successor: noon,
			text:      "its new secret was accepted 12:00:00 UTC",
		},
	} {
		if text, alone := Control(c.peers, c.successor); text != c.text || alone != c.alone {
			t.Errorf("%s: %q, alone %v", c.name, text, alone)
		}
	}
}

func TestFate(t *testing.T) {
	t.Parallel()
	token := &Token{Minted: noon.Add(-time.Minute), Expires: noon.Add(time.Minute)}
	old := &Token{Minted: noon.Add(-time.Hour), Expires: noon.Add(-time.Second)}
	asked := func(s checker.TokenState) Presented { return Presented{Asked: true, State: s} }
	for _, c := range []struct {
		name           string
		token          *Token
		presented      Presented
		text           string
		alive, stopped bool
	}{
		{"none", nil, Presented{}, "no token of it was at hand", false, false},
		{"past its time", old, Presented{}, "past its time", false, false},
		{"past its time, whatever the API says", old, asked(checker.TokenWorks), "past its time", false, false},
		{"no probe", token, Presented{}, "the provider has no probe", false, false},
		{"refused", token, asked(checker.TokenStopped), "is refused by the API", false, true},
		{"works", token, asked(checker.TokenWorks), "still works", true, false},
		{"the API does not say", token, asked(checker.TokenUnknown), "does not say", true, false},
	} {
		f := Fate(c.token, c.presented, noon)
		if !strings.Contains(f.Text, c.text) || f.Alive != c.alive || f.Stopped.IsZero() == c.stopped ||
			(c.token != nil) != f.Minted.Equal(mintedOf(c.token)) {
			t.Errorf("%s: %+v", c.name, f)
		}
	}
}

func mintedOf(t *Token) time.Time {
	if t == nil {
		return noon
	}
	return t.Minted
}

// The numbers of a proof: two refusals with time between, three where nobody is there to compare with, none while a
// token lives.
func TestAfterAnAttempt(t *testing.T) {
	t.Parallel()
	pace := Pace{Every: 15 * time.Minute, Confirm: 2 * time.Minute}
	at := func(minutes float64) time.Time { return noon.Add(time.Duration(minutes * float64(time.Minute))) }
	refused := func(minutes float64, change func(*Attempt)) Attempt {
		a := Attempt{At: at(minutes), Refused: true, Control: "others work"}
		if change != nil {
			change(&a)
		}
		return a
	}
	alone := func(a *Attempt) { a.Alone, a.Control = true, "" }
	for _, c := range []struct {
		name     string
		before   []time.Time
		attempt  Attempt
		refusals int
		next     time.Duration
		dead     bool
	}{
		{"it works", []time.Time{at(-2)}, Attempt{At: noon, Works: true}, 0, 15 * time.Minute, false},
		{"no answer that says anything", []time.Time{at(-2)}, Attempt{At: noon, Outcome: "unreachable"}, 1, time.Minute, false},
		{"a first refusal", nil, refused(0, nil), 1, 2 * time.Minute, false},
		{"a second one", []time.Time{at(-2)}, refused(0, nil), 2, 0, true},
		{"a second one too soon", []time.Time{at(-1.7)}, refused(0, nil), 1, 2 * time.Minute, false},
		{"a second one nearly in time", []time.Time{at(-1.9)}, refused(0, nil), 2, 0, true},
		{"a second one, alone", []time.Time{at(-2)}, refused(0, alone), 2, 2 * time.Minute, false},
		{"a third one, alone", []time.Time{at(-4), at(-2)}, refused(0, alone), 3, 0, true},
		{
			name:     "a second one, and its token lives",
			before:   []time.Time{at(-2)},
			attempt:  refused(0, func(a *Attempt) { a.Token.Alive = true }),
			refusals: 2,
			next:     2 * time.Minute,
		},
	} {
		before := SecretRow{Refused: c.before}
		r, next, death := before.after(c.attempt, pace, noon)
		if len(r.Refused) != c.refusals || (death != nil) != c.dead || death == nil && next.Sub(noon) != c.next ||
			len(before.Refused) != len(c.before) {
			t.Errorf("%s: %d refusals, next in %s, %+v", c.name, len(r.Refused), next.Sub(noon), death)
		}
		if (r.Works != nil) != (c.attempt.Works || c.attempt.Refused) {
			t.Errorf("%s: works %v", c.name, r.Works)
		}
	}
}

// The tries of one secret stay with the process that has its token, until that has been silent for as long as the lease.
func TestLease(t *testing.T) {
	t.Parallel()
	b := newBook(t, "a")
	b.tx(func(tx pgx.Tx) error {
		n, err := b.AddEvidence(
			t.Context(),
			tx,
			[]Evidence{{CredentialID: b.creds["a"].ID, Kind: BySecret, Key: "x", Sighting: finding.Sighting{How: "scan"}}},
			b.now,
		)
		if n != 1 {
			err = errors.Join(err, errors.New("nothing is new"))
		}
		return err
	})
	one, other := Lease{"one", 20 * time.Minute}, Lease{"other", 20 * time.Minute}
	claim := func(l Lease) int {
		t.Helper()
		due, err := b.Claim(t.Context(), b.now, time.Minute, l, 5)
		if err != nil {
			t.Fatal(err)
		}
		return len(due)
	}
	if claim(one) != 1 {
		t.Fatal("it is not due")
	}
	b.now = b.now.Add(15 * time.Minute)
	if claim(other) != 0 {
		t.Error("another process tries it, without its token")
	}
	if claim(one) != 1 {
		t.Error("the process that tried it does not go on")
	}
	b.now = b.now.Add(19 * time.Minute)
	if claim(other) != 0 {
		t.Error("a claim does not renew the lease")
	}
	b.now = b.now.Add(2 * time.Minute)
	if claim(other) != 1 {
		t.Error("nobody goes on for one that died")
	}
}
