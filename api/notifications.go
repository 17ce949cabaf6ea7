package api

import (
	"context"
	"slices"
	"time"

	"github.com/keyrounds/keyrounds/notify"
)

type silencesIn struct {
	Paged
	All bool `query:"all" doc:"Also those that are over."`
}

// listSilences lists what nobody is told of, the newest first. Who sees the credentials of some owners only sees those that
// name one of these.
func (s *server) listSilences(ctx context.Context, in *silencesIn) (*listed[notify.Silence], error) {
	q := notify.SilencePage{All: in.All, Limit: in.Limit + 1}
	err := in.after(&q.After)
	if err == nil {
		q.Credential, err = s.names(ctx)
	}
	if err != nil {
		return nil, err
	}
	total, all, err := s.Notifier.PageOfSilences(ctx, q)
	return &listed[notify.Silence]{*pageOf(all, in.Limit, total, same, func(s notify.Silence) any { return s.ID })}, err
}

// names are those of the credentials that whoever asks may see; nil: of all.
func (s *server) names(ctx context.Context) ([]string, error) {
	ids, err := s.among(ctx)
	if ids == nil || err != nil {
		return nil, err
	}
	all, err := s.Registry.These(ctx, ids)
	names := make([]string, 0, len(all))
	for _, c := range all {
		names = append(names, c.Name)
	}
	return names, err
}

type notificationsIn struct {
	Paged
	Receiver string `query:"receiver" maxLength:"200" doc:"Only those to this receiver."`
	State    string `query:"state" enum:"sent,waiting,failing,given_up" doc:"Only those in this state."`
	Finding  int64  `query:"finding" minimum:"1" doc:"Only those about this finding."`
}

// listNotifications lists the messages, the newest first.
func (s *server) listNotifications(ctx context.Context, in *notificationsIn) (*listed[notify.Delivery], error) {
	q := notify.DeliveryPage{Receiver: in.Receiver, State: in.State, Limit: in.Limit + 1}
	err := in.after(&q.After)
	if err == nil {
		q.Shown, err = s.theirFindings(ctx) // a message may be about others' too
	}
	switch {
	case err != nil:
		return nil, err
	case in.Finding > 0:
		if _, err := s.finding(ctx, in.Finding); err != nil {
			return nil, unknown("finding", itoa(int(in.Finding)), "There is no finding %q, or not for you.")
		}
		q.Findings = []int64{in.Finding}
	default:
		q.Findings = q.Shown
	}
	if in.Receiver != "" {
		if err := s.knownReceiver(ctx, in.Receiver); err != nil {
			return nil, err
		}
	}
	total, all, err := s.Notifier.PageOfDeliveries(ctx, q)
	return &listed[notify.Delivery]{*pageOf(all, in.Limit, total, same, func(d notify.Delivery) any { return d.Message })}, err
}

// theirFindings are the ids of all findings that whoever asks may see; nil: of all.
func (s *server) theirFindings(ctx context.Context) ([]int64, error) {
	among, err := s.among(ctx)
	if among == nil || err != nil {
		return nil, err
	}
	return s.Audit.FindingsOf(ctx, among)
}

// ReceiverJSON is a way to people: a receiver, and a channel of it.
type ReceiverJSON struct {
	Receiver     string    `json:"receiver"`
	Channel      string    `json:"channel,omitempty" doc:"Absent: its own."`
	Waiting      int       `json:"waiting" doc:"Messages that are due and not sent."`
	Oldest       time.Time `json:"oldest_at,omitzero" doc:"Since when the oldest of them is due."`
	FailingSince time.Time `json:"failing_since,omitzero" doc:"Absent: it works."`
}

func (s *server) listReceivers(ctx context.Context, in *Paged) (*listed[ReceiverJSON], error) {
	lanes, err := s.Notifier.Lanes(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]ReceiverJSON, len(lanes))
	for i, l := range lanes {
		all[i] = ReceiverJSON(l)
	}
	return whole(*in, all)
}

func (s *server) knownReceiver(ctx context.Context, name string) error {
	lanes, err := s.Notifier.Lanes(ctx)
	if err == nil && !hasReceiver(lanes, name) {
		err = unknown("receiver", name, "There is no receiver %q.")
	}
	return err
}

func hasReceiver(lanes []notify.LaneState, name string) bool {
	return slices.ContainsFunc(lanes, func(l notify.LaneState) bool { return l.Receiver == name })
}
