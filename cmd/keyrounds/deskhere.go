package main

import (
	"context"

	"github.com/keyrounds/keyrounds/action"
	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/app"
	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/decision"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/report"
)

// here is the desk at the database.
type here struct{ *app.App }

func (h *here) close() { h.Close() }

func (h *here) status(ctx context.Context) (api.StatusJSON, error) {
	return api.StatusOf(ctx, h.Audit, nil)
}

func (h *here) findings(ctx context.Context, f audit.Filter) ([]api.FindingJSON, int, error) {
	list, err := h.Audit.Findings(ctx, f)
	if err != nil {
		return nil, 0, err
	}
	all := []api.FindingJSON{}
	for _, f := range list {
		all = append(all, api.NewFindingJSON(f))
	}
	total := len(list)
	if len(list) > 0 && len(list) >= f.Limit {
		total, err = h.Audit.Found(ctx, f)
	}
	return all, total, err
}

func (h *here) finding(ctx context.Context, id int64) (api.FindingJSON, error) {
	f, err := h.Finding(ctx, id)
	if err != nil {
		return api.FindingJSON{}, err
	}
	return api.NewFindingInWords(f), nil
}

func (h *here) respond(ctx context.Context, d deed, id int64) (api.FindingJSON, error) {
	f, err := d.do(ctx, h.App, id)
	return api.NewFindingJSON(f), err
}

func (h *here) credentials(ctx context.Context, retired bool, each func(api.CredentialJSON)) error {
	return api.EachCredential(ctx, h.Registry, h.Audit, retired, each)
}

func (h *here) named(ctx context.Context, name string) error {
	_, err := h.Registry.Get(ctx, name)
	return notRegistered(ctx, h.App, name, err)
}

func (h *here) silence(ctx context.Context, s notify.Silence) (notify.Silence, error) {
	return h.Actions.Silence(ctx, actor(), s)
}

func (h *here) silences(ctx context.Context, all bool) ([]notify.Silence, error) {
	return h.Notifier.Silences(ctx, all)
}

func (h *here) endSilence(ctx context.Context, id int64) (notify.Silence, error) {
	return h.Actions.EndSilence(ctx, actor(), id)
}

func (h *here) notifications(ctx context.Context, limit int) ([]notify.Delivery, error) {
	return h.Notifier.Deliveries(ctx, limit)
}

func (h *here) decide(ctx context.Context, name string, c action.Choice) (decision.Decision, error) {
	d, err := h.Actions.Decide(ctx, actor(), name, c)
	return d, notRegistered(ctx, h.App, name, err)
}

func (h *here) undecide(ctx context.Context, name string) (decision.Decision, error) {
	d, err := h.Actions.Undecide(ctx, actor(), name, nil)
	return d, notRegistered(ctx, h.App, name, err)
}

func (h *here) decisions(ctx context.Context) ([]decision.Decision, error) {
	_, list, err := h.Decisions.Page(ctx, h.Now(), decision.Filter{})
	return list, err
}

func (h *here) signOff(ctx context.Context, month string, r report.Review) (report.SignOff, error) {
	m, err := monthOf(month, h.Config().Zone, h.Now())
	if err != nil {
		return report.SignOff{}, err
	}
	r.By = actor()
	return h.Actions.SignOff(ctx, m, r)
}
