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
			Message:     "this is a test of keyrounds, nothing happened",
			Since:       now.Add(-12 * time.Minute),
			Owner:       "nobody: a test",
			Description: "a test of keyrounds",
			Scopes:      []string{"sample_read"},
			Labels:      map[string]string{"env": "test"},
		},
	}
	e := &f.Evidence
	switch k {
	case finding.Revoked:
		e.HTTPStatus, e.ErrorCode, e.ErrorDescription, e.Reason = 401, "invalid_client", "a test: nothing was revoked", "unspecified"
		e.LastSuccess, e.PeersTotal, e.PeersHealthy = now.Add(-27*time.Minute), 11, 11
		e.Refusals = []time.Time{now.Add(-12 * time.Minute), now.Add(-10 * time.Minute), now}
	case finding.ScopeLost:
		e.MissingScopes = []string{"sample_write"}
	case finding.ScopeExcess:
		e.ExtraScopes = []string{"sample_admin"}
	case finding.UnusedScopes:
		e.UnusedScopes = []string{"sample_write"}
	case finding.Unused:
		e.LastUsed, e.DaysUnused, e.Coverage = now.AddDate(0, 0, -120), 120, "90 of 90 days (sample-feed)"
	case finding.Expiring:
		e.ExpiresAt, e.ExpiresBy, e.Ahead = now.AddDate(0, 0, 7), "certificate", 7*24*time.Hour
	case finding.LifetimeShrunk:
		e.TokenLife, e.UsualLife = 10*time.Minute, time.Hour
	case finding.UnexpectedUse, finding.UsedAfterRevocation, finding.CanaryTripped:
		e.Uses = []finding.Use{{Network: "192.0.2.0/24", Address: "192.0.2.66", UserAgent: "curl/8.5.0", First: now, Last: now, Uses: 1}}
	case finding.Leaked:
		yes, only := true, false
		e.Leak = &finding.Leak{
			Confidence: "certain: the secret itself was found", Works: &yes, WorksAt: now, Proven: []string{"sample_read"}, Total: 1,
			Sightings: []finding.Sighting{
				{
					At: now.AddDate(
						0,
						-2,
						0,
					),
					Seen:     now,
					How:      "scan",
					What:     "the secret was found",
					Source:   "/srv/git/sample.git",
					Path:     "deploy/sample.env",
					Line:     3,
					Commit:   "0123456789abcdef0123456789abcdef01234567",
					InHead:   &only,
					Encoding: "plain",
				},
			},
		}
	case finding.ProviderIncident:
		f.Subject.Credential, e.Affected = "", []string{"sample-one", "sample-two", "sample-three"}
	case finding.ProviderDown:
		f.Subject.Credential, e.Affected = "", []string{"sample-one", "sample-two", "sample-three"}
		e.Outcome, e.HTTPStatus = "provider_error", 503
	case finding.FallingBehind:
		f.Subject.Credential = ""
		e.Message = "Its schedules ask for 166.7 checks a second, and 50.0 are possible (concurrency 4 at 80 ms a check allows " +
			"50.0 a second, rate allows 1000.0 a second). What would do: concurrency 15, if the provider bears " +
			"that; or schedules 3.4 times as long. This is a test of keyrounds, nothing happened."
	case finding.ReceiverFailing:
		f.Subject, e.Affected = finding.Subject{}, []string{"sample-receiver"}
	}
	return f
}

// Test sends a sample to every receiver, or to the one of that name, and keeps nothing. It takes at most 30 seconds
// for all of them. It returns the receivers that have it, also with an error, which joins those of the others. No
// receiver of that name, or none at all, is ErrNoReceiver.
func (n *Notifier) Test(ctx context.Context, k finding.Kind, receiver string) (sent []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	var errs []error
	found := false
	setup, now := n.setup.Load(), n.Now()
	fs := []finding.Finding{Sample(k, now)}
	m := Message{Key: fmt.Sprintf("sample-%d", now.UnixMicro()), Findings: fs, Words: setup.words(fs), Made: now}
	for _, r := range setup.Receivers {
		if receiver != "" && r.Name() != receiver {
			continue
		}
		found = true
		if _, err := r.Send(ctx, m); err != nil {
			errs = append(errs, err)
			continue
		}
		sent = append(sent, r.Name())
	}
	if !found {
		errs = append(errs, ErrNoReceiver)
	}
	return sent, errors.Join(errs...)
}

// ErrNoReceiver says that there is nobody to tell: no receiver is configured, or none of that name.
var ErrNoReceiver = errors.New("no such receiver is configured")
