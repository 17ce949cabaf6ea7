package slack

import (
	"context"
	"regexp"
	"strconv"
	"time"

	"github.com/slack-go/slack"

	"github.com/keyrounds/keyrounds/notify"
)

// Rules of finding again what may have been posted, after a send whose answer was lost:
//
//  1. Each message carries metadata: its kind, and a key that no other message of any installation has.
//  2. Before a message is posted again the channel's history is searched for the key, from when it was
//     decided to send it on. That needs channels:history (groups:history of a private channel).
//  3. Where that scope is missing, or the channel's id is not known, it is posted again: one message too
//     many rather than none.

const (
	metadataMessage = "keyrounds_finding"
	metadataLetter  = "keyrounds_letter"
	metadataReply   = "keyrounds_history"
	metadataKey     = "key"
)

func marked(kind, key string) slack.MsgOption {
	return slack.MsgOptionMetadata(slack.SlackMetadata{EventType: kind, EventPayload: map[string]any{metadataKey: key}})
}

func carries(m slack.Message, kind, key string) bool {
	return m.Metadata.EventType == kind && m.Metadata.EventPayload[metadataKey] == key
}

var channelID = regexp.MustCompile(`^[CGD][A-Z0-9]{7,}$`)

const maxHistoryPages = 20

// posted looks for the message; a zero Receipt: it is not there, or, where looked is false, cannot be looked
// for.
func (d *delivery) posted(ctx context.Context) (told notify.Receipt, looked bool, err error) {
	id, err := d.channel(ctx)
	if err != nil || id == "" {
		return notify.Receipt{}, false, err
	}
	p := &slack.GetConversationHistoryParameters{
		ChannelID:          id,
		Limit:              200,
		IncludeAllMetadata: true,
		Oldest:             strconv.FormatInt(d.m.Made.Add(-time.Minute).Unix(), 10),
	}
	kind := metadataMessage
	if d.m.Letter != nil {
		kind = metadataLetter
	}
	for range maxHistoryPages {
		h, err := d.api.GetConversationHistoryContext(ctx, p)
		if err != nil {
			return notify.Receipt{}, false, missing(err)
		}
		for _, msg := range h.Messages {
			if carries(msg, kind, d.m.Key) {
				return notify.Receipt{Channel: id, Ref: msg.Timestamp}, true, nil
			}
		}
		if p.Cursor = h.ResponseMetaData.NextCursor; !h.HasMore || p.Cursor == "" {
			break
		}
	}
	return notify.Receipt{}, true, nil
}

// replied looks for the reply of this turn in the thread.
func (d *delivery) replied(ctx context.Context, told notify.Receipt) (bool, error) {
	p := &slack.GetConversationRepliesParameters{ChannelID: told.Channel, Timestamp: told.Ref, Limit: 200, IncludeAllMetadata: true}
	for range maxHistoryPages {
		msgs, more, cursor, err := d.api.GetConversationRepliesContext(ctx, p)
		if err != nil {
			return false, missing(err)
		}
		for _, msg := range msgs {
			if carries(msg, metadataReply, d.m.TurnKey) {
				return true, nil
			}
		}
		if p.Cursor = cursor; !more || cursor == "" {
			break
		}
	}
	return false, nil
}

// channel is the id of the message's channel: as named, as it was told before, or by its name.
func (d *delivery) channel(ctx context.Context) (string, error) {
	name := d.channelName()
	if channelID.MatchString(name) {
		return name, nil
	}
	if d.m.LastSeen != "" {
		return d.m.LastSeen, nil
	}
	p := &slack.GetConversationsParameters{ExcludeArchived: true, Limit: 1000, Types: []string{"public_channel", "private_channel"}}
	for range maxHistoryPages {
		list, cursor, err := d.api.GetConversationsContext(ctx, p)
		if err != nil {
			return "", missing(err)
		}
		for _, c := range list {
			if "#"+c.Name == name || c.Name == name {
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
	if refusedWith(
		err,
		"missing_scope",
		"not_in_channel",
		"channel_not_found",
		"thread_not_found",
		"method_not_supported_for_channel_type",
	) {
		return nil
	}
	return err
}
