package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/report"
)

// SilenceIn is what nobody is to be told of.
type SilenceIn struct {
	Credential string            `json:"credential,omitempty" maxLength:"63" doc:"This credential."`
	Provider   string            `json:"provider,omitempty" maxLength:"63" doc:"All of this provider."`
	Labels     map[string]string `json:"labels,omitempty" doc:"Credentials with all of these labels."`
	Why        string            `json:"why" minLength:"1" maxLength:"300" doc:"For those who wonder."`
	HowLong
}

type silenceIn struct{ Body SilenceIn }

type shownSilence struct{ Body notify.Silence }

func (s *server) addSilence(ctx context.Context, in *silenceIn) (*shownSilence, error) {
	b := in.Body
	until, err := b.end(s.Now())
	if err != nil {
		return nil, err
	}
	if asking(ctx).Role == access.Owner && (b.Credential == "" || b.Provider != "" || len(b.Labels) > 0) {
		return nil, problem(http.StatusForbidden, "You silence single credentials of yours only: name one.")
	}
	if b.Credential != "" {
		if _, err := s.credential(ctx, b.Credential); err != nil {
			text := fmt.Sprintf("No credential %q is registered%s.", clean(b.Credential), orYours(ctx))
			return nil, wrongly(Wrong{"body.credential", text})
		}
	}
	made, err := s.Actions.Silence(ctx, asking(ctx).Name, notify.Silence{
		Credential: b.Credential, Provider: b.Provider, Labels: b.Labels, Until: until, Why: b.Why,
	})
	return &shownSilence{made}, err
}

type silenceOf struct {
	ID int64 `path:"id" minimum:"1" doc:"The silence's number."`
}

func (s *server) endSilence(ctx context.Context, in *silenceOf) (*shownSilence, error) {
	names, err := s.names(ctx)
	if err != nil {
		return nil, err
	}
	_, list, err := s.Notifier.PageOfSilences(ctx, notify.SilencePage{Credential: names, After: in.ID + 1, Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(list) == 0 || list[0].ID != in.ID {
		return nil, problem(http.StatusNotFound, fmt.Sprintf("No silence %d holds, or not for you.", in.ID))
	}
	ended, err := s.Actions.EndSilence(ctx, asking(ctx).Name, in.ID)
	return &shownSilence{ended}, err
}

type receiversTestIn struct{ Body ReceiversTestIn }

// ReceiversTestIn says which sample is sent, and to whom.
type ReceiversTestIn struct {
	Kind     aKind  `json:"kind" doc:"A sample of this kind."`
	Receiver string `json:"receiver,omitempty" maxLength:"200" doc:"Only to this one; without it, to all that page nobody."`
}

// ReceiversTestOut says who has the sample.
type ReceiversTestOut struct {
	Sent   []ReceiverTestOut `json:"sent" nullable:"false" doc:"Who has it."`
	Left   []string          `json:"left" nullable:"false" doc:"Who has it not, since he pages somebody and was not named."`
	Failed []Failure         `json:"failed" nullable:"false" doc:"Who did not take it, and why."`
}

// ReceiverTestOut is one that has the sample.
type ReceiverTestOut struct {
	Receiver string `json:"receiver"`
	Where    string `json:"where,omitempty" doc:"Where it posts, where it says so."`
}

// Failure is why something did not work.
type Failure struct {
	Why  string `json:"why"`
	Hint string `json:"hint,omitempty" doc:"What to do about it, where that is known."`
}

type receiversTestOut struct{ Body ReceiversTestOut }

// testReceivers sends a sample, whose title says TEST, to receivers. Nothing is stored but that somebody asked for it.
func (s *server) testReceivers(ctx context.Context, in *receiversTestIn) (*receiversTestOut, error) {
	if names := s.Config().ReceiverNames(); len(names) > 0 && in.Body.Receiver != "" && !slices.Contains(names, in.Body.Receiver) {
		return nil, noReceiver(names)
	}
	subject := "keyrounds"
	if in.Body.Receiver != "" {
		subject = "receiver/" + in.Body.Receiver
	}
	if err := s.Audit.Note(ctx, asking(ctx).Name, "receiver.tested", subject, map[string]any{"kind": in.Body.Kind}); err != nil {
		return nil, err
	}
	sent, left, err := s.Notifier.Test(ctx, finding.Kind(in.Body.Kind), in.Body.Receiver)
	if errors.Is(err, notify.ErrNoReceiver) {
		return nil, noReceiver(s.Config().ReceiverNames())
	}
	out := ReceiversTestOut{Sent: []ReceiverTestOut{}, Left: orEmpty(left), Failed: []Failure{}}
	for _, r := range sent {
		out.Sent = append(out.Sent, ReceiverTestOut{r.Receiver, r.Where})
	}
	if joined, is := err.(interface{ Unwrap() []error }); is { //nolint:errorlint // which of them it is made of
		for _, one := range joined.Unwrap() {
			s.Log.Warn("a receiver did not take a sample", "error", one)
			out.Failed = append(out.Failed, Failure{one.Error(), hintOf(one)})
		}
	}
	return &receiversTestOut{out}, nil
}

func noReceiver(configured []string) *Problem {
	if len(configured) == 0 {
		p := problem(http.StatusConflict, "No receiver is configured.")
		p.Hint = "slack.token and slack.channel make one, whose name is slack; docs/notifications.md has the others"
		return p
	}
	p := problem(http.StatusConflict, "No receiver of this name is configured.")
	p.Hint = "there are " + strings.Join(configured, ", ")
	return p
}

// FreezeIn names a month whose report is to be frozen.
type FreezeIn struct {
	Month  string `json:"month" pattern:"^[0-9]{4}-[0-9]{2}$" patternDescription:"a month such as 2026-10"`
	Anyway bool   `json:"anyway,omitempty" doc:"Also where no feed watched."`
}

// Frozen is a report that was frozen.
type Frozen struct {
	Month   string `json:"month"`
	Edition int    `json:"edition"`
}

type freezeIn struct{ Body FreezeIn }

type shownFrozen struct {
	Location string `header:"Location" doc:"Where it is."`
	Body     Frozen
}

func (s *server) freezeReport(ctx context.Context, in *freezeIn) (*shownFrozen, error) {
	month, err := report.ParseMonth(in.Body.Month)
	if err != nil {
		return nil, wrongly(Wrong{"body.month", "The member month may be a month such as 2026-10."})
	}
	if err := s.Actions.Freeze(ctx, asking(ctx).Name, month, in.Body.Anyway); err != nil {
		return nil, err
	}
	return &shownFrozen{prefix + "/v1/reports/" + month.String(), Frozen{month.String(), 1}}, nil
}

type amendIn struct {
	Monthly
	Body AmendIn
}

// AmendIn says why a report is made again.
type AmendIn struct {
	Why string `json:"why" minLength:"1" maxLength:"300" doc:"What is known now and was not, for the record."`
}

func (s *server) amendReport(ctx context.Context, in *amendIn) (*shownFrozen, error) {
	month, err := report.ParseMonth(in.Month)
	if err != nil {
		return nil, problem(http.StatusNotFound, "There is no such month.")
	}
	edition, err := s.Actions.Amend(ctx, asking(ctx).Name, month, in.Body.Why)
	return &shownFrozen{prefix + "/v1/reports/" + month.String(), Frozen{month.String(), edition}}, err
}
