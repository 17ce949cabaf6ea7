package slack

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/slack-go/slack"

	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
)

// Rules of finding again what may have been posted, after a send whose answer was lost:
//
//  1. Each message carries metadata: its kind, and a key that no other message of any installation has.
//  2. Before a message is posted again the channel's history is searched for the key, from the finding's
//     opening on. That needs channels:history (groups:history of a private channel).
//  3. Where that scope is missing, or the channel's id is not known, it is posted again: one message too
//     many rather than none.

const (
	metadataMessage = "keyrounds_finding"
	metadataReply   = "keyrounds_history"
	metadataKey     = "key"
)

// key is the same for the same finding, and for no other, of this installation or another.
func key(f finding.Finding) string { return fmt.Sprintf("%d-%d", f.ID, f.OpenedAt.UnixMicro()) }

// replyKey is the same for the same turn of a finding.
func replyKey(f finding.Finding) string {
	return key(f) + "-" + string(f.State) + "-" + strconv.FormatInt(f.UpdatedAt.UnixMicro(), 10)
}

func marked(kind, key string) slack.MsgOption {
	return slack.MsgOptionMetadata(slack.SlackMetadata{EventType: kind, EventPayload: map[string]any{metadataKey: key}})
}

func carries(m slack.Message, kind, key string) bool {
	return m.Metadata.EventType == kind && m.Metadata.EventPayload[metadataKey] == key
}

var channelID = regexp.MustCompile(`^[CGD][A-Z0-9]{7,}$`)

const maxHistoryPages = 20

// posted looks for the message of a finding; a zero Receipt: it is not there, or cannot be looked for.
func (r *Receiver) posted(ctx context.Context, client *slack.Client, m notify.Message) (notify.Receipt, error) {
	id, err := r.channel(ctx, client, m)
	if err != nil || id == "" {
		return notify.Receipt{}, err
	}
	p := &slack.GetConversationHistoryParameters{ChannelID: id, Limit: 200, IncludeAllMetadata: true, Oldest: strconv.FormatInt(m.Finding.OpenedAt.Add(-time.Minute).Unix(), 10)}
	for range maxHistoryPages {
		h, err := client.GetConversationHistoryContext(ctx, p)
		if err != nil {
			return notify.Receipt{}, missing(err)
		}
		for _, msg := range h.Messages {
			if carries(msg, metadataMessage, key(m.Finding)) {
				return notify.Receipt{Channel: id, Ref: msg.Timestamp}, nil
			}
		}
		if p.Cursor = h.ResponseMetaData.NextCursor; !h.HasMore || p.Cursor == "" {
			break
		}
	}
	return notify.Receipt{}, nil
}

// replied looks for the reply of a finding's turn in its thread.
func (r *Receiver) replied(ctx context.Context, client *slack.Client, m notify.Message) (bool, error) {
	p := &slack.GetConversationRepliesParameters{ChannelID: m.Told.Channel, Timestamp: m.Told.Ref, Limit: 200, IncludeAllMetadata: true}
	for range maxHistoryPages {
		msgs, more, cursor, err := client.GetConversationRepliesContext(ctx, p)
		if err != nil {
			return false, missing(err)
		}
		for _, msg := range msgs {
			if carries(msg, metadataReply, replyKey(m.Finding)) {
				return true, nil
			}
		}
		if p.Cursor = cursor; !more || cursor == "" {
			break
		}
	}
	return false, nil
}

// channel is the id of the receiver's channel: as configured, as it was told before, or by its name.
func (r *Receiver) channel(ctx context.Context, client *slack.Client, m notify.Message) (string, error) {
	if channelID.MatchString(r.o.Channel) {
		return r.o.Channel, nil
	}
	if m.Channel != "" {
		return m.Channel, nil
	}
	p := &slack.GetConversationsParameters{ExcludeArchived: true, Limit: 1000, Types: []string{"public_channel", "private_channel"}}
	for range maxHistoryPages {
		list, cursor, err := client.GetConversationsContext(ctx, p)
		if err != nil {
			return "", missing(err)
		}
		for _, c := range list {
			if "#"+c.Name == r.o.Channel || c.Name == r.o.Channel {
				return c.ID, nil
			}
		}
		if p.Cursor = cursor; cursor == "" {
			break
		}
	}
	return "", nil
}

// missing passes over what a missing scope forbids: then nothing can be found.
func missing(err error) error {
	var said slack.SlackErrorResponse
	if errors.As(err, &said) {
		switch said.Err {
		case "missing_scope", "not_in_channel", "channel_not_found", "thread_not_found", "method_not_supported_for_channel_type":
			return nil
		}
	}
	return err
}
