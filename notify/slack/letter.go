package slack

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/slack-go/slack"

	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/secret"
)

// Post posts a letter; its file goes into the message's thread (scope files:write). Where the file is
// refused the message says so, since a summary without it is better than none.
func (r *Receiver) Post(ctx context.Context, l notify.Letter) (notify.Receipt, error) {
	token, err := r.o.Token(ctx)
	if err != nil {
		return notify.Receipt{}, fmt.Errorf("slack token: %w", err)
	}
	defer token.Wipe()
	client, scrub := r.client(token), secret.NewScrubber(token)
	var receipt notify.Receipt
	receipt.Channel, receipt.Ref, err = client.PostMessageContext(ctx, r.o.Channel, letterOf(l, "")...)
	if err != nil {
		return notify.Receipt{}, plain(err, scrub)
	}
	if l.File == nil {
		return receipt, nil
	}
	_, err = client.UploadFileContext(ctx, slack.UploadFileParameters{
		Reader: bytes.NewReader(l.File.Content), FileSize: len(l.File.Content), Filename: l.File.Name, Title: l.File.Name,
		Channel: receipt.Channel, ThreadTimestamp: receipt.Ref,
	})
	if err != nil {
		note := "The file could not be attached: " + plain(err, scrub).Error() + "."
		if _, _, _, err := client.UpdateMessageContext(ctx, receipt.Channel, receipt.Ref, letterOf(l, note)...); err != nil {
			return receipt, nil // the letter itself is there
		}
	}
	return receipt, nil
}

func (r *Receiver) client(token secret.Value) *slack.Client {
	options := []slack.Option{slack.OptionHTTPClient(&http.Client{Timeout: timeout})}
	if r.o.APIURL != "" {
		options = append(options, slack.OptionAPIURL(r.o.APIURL))
	}
	return slack.New(token.Reveal(), options...)
}

// Blocks of a letter hold so many characters, and there are at most so many.
const maxLetterBlocks = 40

func letterOf(l notify.Letter, note string) []slack.MsgOption {
	blocks := []slack.Block{slack.NewHeaderBlock(slack.NewTextBlockObject(slack.PlainTextType, cut(l.Title, maxHeader), true, false))}
	lines := l.Lines
	if note != "" {
		lines = append(lines[:len(lines):len(lines)], note)
	}
	var text strings.Builder
	flush := func() {
		if text.Len() > 0 && len(blocks) < maxLetterBlocks {
			blocks = append(blocks, section(text.String()))
		}
		text.Reset()
	}
	for _, line := range lines {
		line = escape(cut(line, 600)) + "\n"
		if text.Len()+len(line) > maxSection-100 {
			flush()
		}
		text.WriteString(line)
	}
	flush()
	return []slack.MsgOption{
		slack.MsgOptionText(escape(cut(l.Title, maxSection)), false),
		slack.MsgOptionBlocks(blocks...),
		slack.MsgOptionDisableLinkUnfurl(),
		slack.MsgOptionDisableMediaUnfurl(),
	}
}
