package notify

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/keyrounds/keyrounds/finding"
)

// Sample is a made-up finding of a kind, open since now, to see what receivers show. It has the severity of the kind,
// the evidence that such findings have, and no ID; its words say that it is a test.
func Sample(k finding.Kind, now time.Time) finding.Finding {
	f := finding.Finding{
		Kind: k, Severity: k.Severity(), State: finding.Open, OpenedAt: now, UpdatedAt: now,
		Subject: finding.Subject{Credential: "sample-credential", Provider: "sample-provider"},
		Evidence: finding.Evidence{
			Answer: finding.Answer{Message: "this is a test of keyrounds, nothing happened"},
			Since:  now.Add(-12 * time.Minute),
		},
		About: finding.About{
			Owner:       "nobody: a test",
			Description: "a test of keyrounds",
			Scopes:      []string{"sample_read"},
			Labels:      map[string]string{"env": "test"},
		},
	}
	if fill := k.Of().Sample; fill != nil {
		fill(&f, now)
	}
	if f.Subject.Credential == "" { // nothing is registered of it but who is asked
		f.About = finding.About{Owner: f.About.Owner}
	}
	return f
}

// Test sends a sample to every receiver but those that page somebody, or to the one of that name, and keeps nothing. It
// takes at most 30 seconds for all of them. It returns the receivers that have it, and where, also with an error, which joins
// those of the others, and those that it left out. No receiver of that name, or none at all, is ErrNoReceiver.
func (n *Notifier) Test(ctx context.Context, k finding.Kind, receiver string) (sent []Reached, left []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	var errs []error
	found := false
	setup, now := n.setup.Load(), n.Now()
	fs := []finding.Finding{Sample(k, now)}
	m := Message{Key: fmt.Sprintf("sample-%d", now.UnixMicro()), Findings: fs, Words: setup.words(fs), Zone: setup.Policy.Zone, Made: now}
	m.Words.Title = "TEST: " + m.Words.Title
	for _, r := range setup.Receivers {
		if receiver != "" && r.Name() != receiver {
			continue
		}
		found = true
		if p, pages := r.(interface{ Pages(context.Context) bool }); receiver == "" && pages && p.Pages(ctx) {
			left = append(left, r.Name())
			continue
		}
		if _, err := r.Send(ctx, m); err != nil {
			errs = append(errs, err)
			continue
		}
		to := Reached{Receiver: r.Name()}
		if w, says := r.(interface{ Where(context.Context) string }); says {
			to.Where = w.Where(ctx)
		}
		sent = append(sent, to)
	}
	if !found {
		errs = append(errs, ErrNoReceiver)
	}
	return sent, left, errors.Join(errs...)
}

// Reached is a receiver that has a message, and of which kind it is, and where it posts, without a secret; "": it does not say.
type Reached struct{ Receiver, Where string }

// ErrNoReceiver says that there is nobody to tell: no receiver is configured, or none of that name.
var ErrNoReceiver = errors.New("no such receiver is configured")
