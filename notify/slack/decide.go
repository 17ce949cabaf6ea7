package slack

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/secret"
)

// Rules of deciding on Slack:
//
//  1. A button of a report's line opens a form that asks why and until when: a decision without a reason is no review.
//  2. The line stays as the report was posted. What is decided is a reply in its thread, for everybody.

const (
	pressDecide = "decide_" // and the choice
	viewDecide  = "decide"
	untilBlock  = "until"
	maxAsked    = 12 // lines with buttons in a message
)

// asked are the blocks of a line that asks for a decision.
func asked(a notify.Ask) []slack.Block {
	blocks := []slack.Block{section(escape(a.Text, 600))}
	if len(a.Options) == 0 {
		return blocks
	}
	var elements []slack.BlockElement
	for _, o := range a.Options {
		value := a.Credential + " " + strconv.Itoa(o.Days)
		elements = append(elements, slack.NewButtonBlockElement(pressDecide+o.Choice, value, plainText(o.Label)))
	}
	return append(blocks, slack.NewActionBlock("", elements...))
}

// deciding is what a form keeps of the button that opened it.
type deciding struct {
	Choice     string `json:"choice"`
	Credential string `json:"credential"`
	Channel    string `json:"channel"`
	Message    string `json:"message"`
	Response   string `json:"response"`
}

// askDecision asks why, and until when.
func (r request) askDecision(ctx context.Context, c slack.InteractionCallback, press *slack.BlockAction, now time.Time) {
	name, days, _ := strings.Cut(press.Value, " ")
	n, err := strconv.Atoi(days)
	if err != nil || n < 1 || n > 366 {
		return
	}
	choice := strings.TrimPrefix(press.ActionID, pressDecide)
	kept, err := json.Marshal(deciding{choice, name, c.Container.ChannelID, c.Container.MessageTs, c.ResponseURL})
	if err != nil {
		return
	}
	day := slack.NewDatePickerBlockElement(untilBlock)
	day.InitialDate = now.UTC().AddDate(0, 0, n).Format(time.DateOnly)
	why := slack.NewPlainTextInputBlockElement(plainText("for those who review it"), reasonBlock).WithMaxLength(maxReason)
	view := slack.ModalViewRequest{
		Type: slack.VTModal, CallbackID: viewDecide, Title: plainText("Decide"), Submit: plainText("Decide"), Close: plainText("Cancel"),
		PrivateMetadata: string(kept),
		Blocks: slack.Blocks{BlockSet: []slack.Block{
			section(fmt.Sprintf("*%s*: %s", escape(name, 100), escape(strings.ReplaceAll(choice, "_", " "), 30))),
			slack.NewInputBlock(reasonBlock, plainText("Why?"), nil, why),
			slack.NewInputBlock(untilBlock, plainText("Until which day? Then it is to be decided again."), nil, day),
		}},
	}
	if _, err := r.api.OpenViewContext(ctx, c.TriggerID, view); err != nil {
		r.s.Log.Warn("a decision could not be asked for", "error", plain(err, secret.Scrubber{}))
		r.tell(ctx, c.ResponseURL, "Slack did not open the form. Press it again.")
	}
}

// decided takes the answer.
func (r request) decided(ctx context.Context, c slack.InteractionCallback, a notify.Action) {
	var d deciding
	if json.Unmarshal([]byte(c.View.PrivateMetadata), &d) != nil || c.View.State == nil {
		r.answer(nil)
		return
	}
	values := c.View.State.Values
	a.Do, a.Name, a.Choice = notify.Decide, d.Credential, d.Choice
	a.Reason = secret.Scrubber{}.Clean(values[reasonBlock][reasonBlock].Value, maxReason)
	a.Until, _ = time.Parse(time.DateOnly, values[untilBlock][untilBlock].SelectedDate) // zero: the usual day
	if !r.allowed(ctx, c.User.ID) {
		r.answer(nil)
		r.tell(ctx, d.Response, notAllowed)
		return
	}
	text, fine := r.do(ctx, quickly, a)
	r.answer(nil)
	switch {
	case !fine:
		r.tell(ctx, d.Response, text)
	case text != "":
		c.Container.ChannelID, c.Container.MessageTs = d.Channel, d.Message
		r.note(ctx, c, text)
	}
}

func plainText(s string) *slack.TextBlockObject {
	return slack.NewTextBlockObject(slack.PlainTextType, s, false, false)
}
