package slack

import (
	"context"
	"strings"

	"github.com/slack-go/slack"

	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/secret"
)

const (
	reasonBlock = "reason"
	maxReason   = 300
)

// askReason asks why it was a false alarm.
func (r request) askReason(ctx context.Context, c slack.InteractionCallback, message string) {
	label := func(s string) *slack.TextBlockObject {
		return slack.NewTextBlockObject(slack.PlainTextType, s, false, false)
	}
	input := slack.NewPlainTextInputBlockElement(label("what it was instead"), reasonBlock).WithMaxLength(maxReason)
	view := slack.ModalViewRequest{
		Type: slack.VTModal, CallbackID: viewFalseAlarm, Title: label("False alarm"), Submit: label("Say so"), Close: label("Cancel"),
		PrivateMetadata: message + " " + c.ResponseURL,
		Blocks:          slack.Blocks{BlockSet: []slack.Block{slack.NewInputBlock(reasonBlock, label("Why?"), nil, input)}},
	}
	if _, err := r.api.OpenViewContext(ctx, c.TriggerID, view); err != nil {
		r.s.Log.Warn("the reason of a false alarm could not be asked for", "error", plain(err, secret.Scrubber{}))
		r.tell(ctx, c.ResponseURL, "Slack did not open the form. Press it again.")
	}
}

// reasonGiven takes the answer.
func (r request) reasonGiven(ctx context.Context, c slack.InteractionCallback, a notify.Action) {
	var response string
	a.Do = notify.FalseAlarm
	a.Message, response, _ = strings.Cut(c.View.PrivateMetadata, " ")
	if c.View.State != nil {
		a.Reason = secret.Scrubber{}.Clean(c.View.State.Values[reasonBlock][reasonBlock].Value, maxReason)
	}
	if !r.allowed(ctx, c.User.ID) {
		r.answer(nil)
		r.tell(ctx, response, notAllowed)
		return
	}
	text, fine := r.do(ctx, quickly, a)
	r.answer(nil)
	if !fine {
		r.tell(ctx, response, text)
	}
}
