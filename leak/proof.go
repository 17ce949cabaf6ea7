package leak

import (
	"encoding/hex"
	"fmt"
	"time"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/finding"
)

// How the death of a secret is proven:
//
//  1. Its exchange is refused twice, with time between, and the provider answers another credential meanwhile;
//     three times, where there is no other one to compare with.
//  2. A token that was issued for it before is refused by the API, or is past its time. Where keyrounds has no
//     such token, or nothing to try it on, the proof says so.
//  3. What the provider's own log says of it is added.
//
// An exchange that is neither accepted nor refused says nothing, and a success begins it all anew.

// Attempt says what came of trying a secret. With neither Works nor Refused it says nothing of the secret.
type Attempt struct {
	At        time.Time
	Works     bool   // a token was issued
	Refused   bool   // the provider refused it
	NotNow    string // why it was not tried now; the rest says nothing then
	Outcome   string // as of a check
	Reason    string // as of a check
	Status    int    // HTTP; 0: there was no answer
	ErrorCode string // of the provider's answer (RFC 6749 §5.2)
	Control   string // what shows that the provider did answer others; "": nothing does
	Alone     bool   // there is nothing to compare with
	Token     TokenFate
	Finding   int64          // about its leak; 0: there is none
	Log       *finding.Death // LogAt, LogBy and LogFeed of the provider's log; nil: no feed has it
}

// TokenFate says what became of a token that was issued for a secret before.
type TokenFate struct {
	Text    string    // in words
	Minted  time.Time // when it was issued; zero: there is none
	Stopped time.Time // when the API was first seen to refuse it; zero: it was not
	Alive   bool      // it still works, or may: there is no proof yet
}

// The refusals that prove a death, and how far apart two must be, as a share of Pace.Confirm: a command and the daemon
// that try at once are one.
const (
	refusalsBesideOthers = 2
	refusalsAlone        = 3
	refusalDistance      = 0.9
)

// after returns r as an attempt leaves it, when it is tried next, and the proof if the attempt completes it. It is pure.
func (r SecretRow) after(a Attempt, pace Pace, now time.Time) (SecretRow, time.Time, *finding.Death) {
	switch {
	case a.Works:
		yes := true
		r.Works, r.WorksAt, r.Refused = &yes, a.At, nil
		return r, now.Add(pace.Every), nil
	case !a.Refused:
		return r, now.Add(min(pace.Every, time.Minute)), nil
	}
	no := false
	r.Works, r.WorksAt = &no, a.At
	distance := time.Duration(refusalDistance * float64(pace.Confirm))
	if n := len(r.Refused); n == 0 || a.At.Sub(r.Refused[n-1]) > distance {
		r.Refused = append(r.Refused[:n:n], a.At)
	}
	wanted := refusalsBesideOthers
	if a.Alone {
		wanted = refusalsAlone
	}
	if len(r.Refused) < wanted || a.Token.Alive {
		return r, now.Add(pace.Confirm), nil
	}
	return r, time.Time{}, r.dies(a)
}

// dies is the proof that an attempt completes.
func (r SecretRow) dies(a Attempt) *finding.Death {
	d := finding.Death{
		Refused: r.Refused, Outcome: a.Outcome, Reason: a.Reason, Status: a.Status, ErrorCode: a.ErrorCode,
		Control: a.Control, Token: a.Token.Text, Minted: a.Token.Minted, Stopped: a.Token.Stopped, At: a.At,
		Fingerprint: hex.EncodeToString(r.print[:min(len(r.print), 4)]), From: r.First, Until: r.Replaced, Finding: a.Finding,
	}
	if a.Alone {
		d.Control = "no other credential of the provider is there to compare with"
	}
	if !d.Stopped.IsZero() {
		d.Took = max(0, d.Stopped.Sub(r.Refused[0])).Round(time.Second).String()
	}
	if a.Log != nil {
		d.LogAt, d.LogBy, d.LogFeed = a.Log.LogAt, a.Log.LogBy, a.Log.LogFeed
	}
	return &d
}

// Peers counts the other credentials of a provider that are not retired.
type Peers struct {
	Works int // healthy
	All   int
}

// Control says what shows that a provider answers others now. successor is when the secret that replaced the refused one
// was last accepted; zero: it was not, or there is none. With text "" nothing shows it; alone says that there is nobody
// to compare with. It is pure.
func Control(peers Peers, successor time.Time) (text string, alone bool) {
	switch {
	case !successor.IsZero():
		return "its new secret was accepted " + successor.UTC().Format("15:04:05 MST"), false
	case peers.Works > 0:
		return fmt.Sprintf("%d of the provider's %d other credentials work", peers.Works, peers.All), false
	}
	return "", peers.All == 0
}

// Token is one that was issued for a secret, without its value.
type Token struct {
	Minted, Expires time.Time
}

// Presented says what an API did with a token.
type Presented struct {
	Asked bool // false: it could not be asked, or the provider has no probe
	State checker.TokenState
}

// Fate says what became of the last token of a secret, nil where there is none at hand. Presented counts only for a
// token that is not past its time. It is pure.
func Fate(t *Token, p Presented, now time.Time) TokenFate {
	switch {
	case t == nil:
		return TokenFate{Text: "no token of it was at hand"}
	case t.Expired(now):
		return TokenFate{Text: "a token that was issued before is past its time", Minted: t.Minted}
	case !p.Asked:
		return TokenFate{Text: "a token that was issued before could not be tried: the provider has no probe", Minted: t.Minted}
	case p.State == checker.TokenStopped:
		return TokenFate{Text: "a token that was issued before is refused by the API", Minted: t.Minted, Stopped: now}
	case p.State == checker.TokenWorks:
		return TokenFate{Text: "a token that was issued before still works", Minted: t.Minted, Alive: true}
	}
	// Until it is past its time nothing is proven.
	return TokenFate{Text: "the API does not say whether a token that was issued before works", Minted: t.Minted, Alive: true}
}

// Expired reports whether the token is past its time.
func (t Token) Expired(now time.Time) bool { return now.After(t.Expires) }
