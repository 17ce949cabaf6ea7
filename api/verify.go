package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/exposure"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/leak"
	"github.com/keyrounds/keyrounds/secret"
)

const longestVerify = 24 * time.Hour

type verifyIn struct {
	ID   int64 `path:"id" minimum:"1" doc:"The secret's number, as in the list of proofs."`
	Body VerifyIn
}

// VerifyIn says for how long a secret is tried.
type VerifyIn struct {
	Within string    `json:"within,omitempty" maxLength:"20" doc:"How long it is tried at most: 15m, which is the default, to 1d."`
	Secret *SecretIn `json:"client_secret,omitempty" doc:"The secret itself, where keyrounds has it no more: its fingerprint is compared."`
}

// VerifyLine is a line of what came of the tries. The last one has the proof, still_works or never_worked.
type VerifyLine struct {
	At         time.Time      `json:"at,omitzero"`
	Said       string         `json:"said,omitempty" doc:"What came of a try, in words."`
	Works      bool           `json:"works,omitempty" doc:"A token was issued."`
	Proof      *finding.Death `json:"proof,omitempty"`
	StillWorks bool           `json:"still_works,omitempty" doc:"It is not proven dead in time; the daemon goes on trying."`
	Never      bool           `json:"never_worked,omitempty" doc:"It was never seen to work, so that it is refused proves nothing."`
	Problem    *Problem       `json:"problem,omitempty"`
}

// verifyDead tries a secret that got out or was replaced until it is proven dead, and writes a line for each try.
func (s *server) verifyDead(ctx context.Context, in *verifyIn) (*exported, error) {
	within := 15 * time.Minute
	if in.Body.Within != "" {
		var err error
		if within, err = credential.ParseDuration(in.Body.Within); err != nil || within <= 0 || within > longestVerify {
			return nil, wrongly(Wrong{"body.within", "The member within may be a time from 1s to 1d, such as 15m."})
		}
	}
	row, c, err := s.inQuestion(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	given, err := s.given(ctx, in.Body.Secret, row, c)
	if err != nil {
		return nil, err
	}
	if err := s.Audit.Note(ctx, asking(ctx).Name, "secret.verified", "credential/"+c.Name, map[string]any{"secret": row.ID}); err != nil {
		return nil, err
	}
	return &exported{func(hc huma.Context) {
		defer given.Wipe()
		_, w := humago.Unwrap(hc)
		w.Header().Set("Content-Type", "application/jsonl")
		w.Header().Set("X-Accel-Buffering", "no") // of nginx
		run, cancel := context.WithTimeout(ctx, within)
		defer cancel()
		rc := http.NewResponseController(w)
		write := func(l VerifyLine) {
			_ = rc.SetWriteDeadline(time.Now().Add(writeEvent))
			if json.NewEncoder(w).Encode(l) != nil || rc.Flush() != nil {
				cancel()
			}
		}
		death, err := s.ProveDead(run, row, given, func(at leak.Attempt) { write(tried(at)) })
		switch {
		case errors.Is(err, exposure.ErrStillWorks):
			write(VerifyLine{StillWorks: true})
		case errors.Is(err, exposure.ErrNeverWorked):
			write(VerifyLine{Never: true})
		case err != nil:
			write(VerifyLine{Problem: s.problemOf(ctx, "verifyDead", err)})
		default:
			write(VerifyLine{Proof: death})
		}
	}}, nil
}

// inQuestion is a secret of a number, and whose it is, if whoever asks may see that.
func (s *server) inQuestion(ctx context.Context, id int64) (leak.SecretRow, credential.Credential, error) {
	among, err := s.among(ctx)
	if err != nil {
		return leak.SecretRow{}, credential.Credential{}, err
	}
	_, all, err := s.Leaks.InQuestion(ctx, leak.Pieces{Among: among, After: id + 1, Limit: 1}, false)
	if err != nil {
		return leak.SecretRow{}, credential.Credential{}, err
	}
	if len(all) == 0 || all[0].ID != id {
		return leak.SecretRow{}, credential.Credential{}, problem(
			http.StatusNotFound,
			"No secret of this number got out or was replaced, or not for you.",
		)
	}
	creds, err := s.Registry.EvenRetired(ctx, []int64{all[0].CredentialID})
	return all[0].SecretRow, creds[all[0].CredentialID], err
}

// given is the secret that was sent, which must be the one in question; the zero value where keyrounds has it.
func (s *server) given(ctx context.Context, in *SecretIn, row leak.SecretRow, c credential.Credential) (secret.Value, error) {
	if row.Replaced.IsZero() || row.Kept {
		return secret.Value{}, nil
	}
	if in == nil {
		return secret.Value{}, wrongly(
			Wrong{"body.client_secret", "keyrounds does not have this secret any more: send it as client_secret."},
		)
	}
	v, err := in.read("body.client_secret")
	if err != nil {
		return v, err
	}
	known, ok, err := s.Leaks.SecretByValue(ctx, c.ID, v)
	if err == nil && (!ok || known.ID != row.ID) {
		err = wrongly(
			Wrong{
				"body.client_secret",
				fmt.Sprintf("That is not the secret that %s had until %s.", c.Name, row.Replaced.UTC().Format(time.RFC3339)),
			},
		)
	}
	if err != nil {
		v.Wipe()
		return secret.Value{}, err
	}
	return v, nil
}

// came is what came instead of an answer, in parentheses; "": nothing is known of it.
func came(at leak.Attempt) string {
	var parts []string
	for _, part := range []string{at.Outcome, at.Reason, at.ErrorCode} {
		if part != "" && !slices.Contains(parts, part) {
			parts = append(parts, strings.ReplaceAll(part, "_", " "))
		}
	}
	if at.Status != 0 {
		parts = append(parts, fmt.Sprintf("HTTP %d", at.Status))
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

// tried says what came of a try.
func tried(at leak.Attempt) VerifyLine {
	l := VerifyLine{At: at.At.UTC(), Works: at.Works}
	switch {
	case at.NotNow != "":
		l.Said = "not tried: " + at.NotNow
	case at.Works:
		l.Said = "it works"
	case at.Refused && at.Token.Alive:
		l.Said = "refused, but " + at.Token.Text
	case at.Refused:
		l.Said = "refused; confirming"
	default:
		l.Said = "no answer that says anything" + came(at)
	}
	return l
}
