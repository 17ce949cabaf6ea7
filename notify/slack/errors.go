package slack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/slack-go/slack"

	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/secret"
)

// Slack answers 200 with "ok": false and a code. The codes are those of chat.postMessage and chat.update
// (docs.slack.dev/reference/methods).

// fixes says, by Slack's error code, what a person must change. Until then Slack refuses every message to the channel.
var fixes = map[string]string{
	"invalid_auth":           "slack.token is not a token of this workspace: copy the bot token of the app again",
	"not_authed":             "slack.token is empty: it must name the bot token, xoxb-…",
	"token_revoked":          "the app's token was revoked: install the app again and store the new token",
	"token_expired":          "the app's token has expired: switch token rotation off, or store a new one",
	"account_inactive":       "the app was removed from the workspace: install it again",
	"missing_scope":          "the app lacks a scope: add chat:write, and install it again (docs/slack.md)",
	"not_allowed_token_type": "slack.token must be a bot token, xoxb-…",
	"channel_not_found": "there is no such channel, or it is private and the app is not in it: " +
		"/invite the app, or use the channel's id",
	"not_in_channel":                           "the app is not in the channel: /invite it there",
	"is_archived":                              "the channel is archived: name another one, or unarchive it",
	"restricted_action":                        "a policy of the workspace forbids apps to post there: ask its administrators",
	"no_permission":                            "a policy of the workspace forbids it: ask its administrators",
	"ekm_access_denied":                        "the workspace's administrators have suspended posting",
	"team_access_not_granted":                  "the app is not granted to this workspace of the organisation",
	"team_not_found":                           "the token's workspace does not exist any more",
	"org_login_required":                       "the workspace moves to an organisation: wait, then install the app again",
	"access_denied":                            "the app may not do this: look at its installation",
	"channel_is_limited_access":                "the channel takes no messages from this app: ask its managers",
	"messages_tab_disabled":                    "slack.channel is a user whose messages with the app are switched off",
	"restricted_action_non_threadable_channel": "the channel has no threads: name another one",
}

// What says that Slack itself is in trouble; something may have been done all the same.
var unsure = []string{"internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"}

// plain keeps the kind of an error and drops what may hold a URL or a token.
func plain(err error, s secret.Scrubber) error {
	var (
		limited *slack.RateLimitedError
		status  slack.StatusCodeError
		said    slack.SlackErrorResponse
	)
	switch {
	case errors.As(err, &limited):
		return &notify.RetryError{After: limited.RetryAfter, Err: fmt.Errorf("slack limits messages, again in %s", limited.RetryAfter)}
	case errors.As(err, &said) && slices.Contains([]string{"ratelimited", "rate_limited", "message_limit_exceeded"}, said.Err):
		return &notify.RetryError{After: 30 * time.Second, Err: errors.New("slack limits messages")}
	case errors.As(err, &said) && slices.Contains(unsure, said.Err):
		return fmt.Errorf("slack: %s", said.Err)
	case errors.As(err, &said):
		fix, known := fixes[said.Err]
		return &notify.RefusedError{Err: fmt.Errorf("slack: %s", s.Clean(said.Err, 100)), NeedsPerson: known, OnlyThis: !known, Fix: fix}
	case errors.As(err, &status) && status.Code < http.StatusInternalServerError:
		return &notify.RefusedError{Err: fmt.Errorf("slack answered HTTP %d", status.Code)}
	case errors.As(err, &status):
		return fmt.Errorf("slack answered HTTP %d", status.Code)
	case errors.Is(err, context.DeadlineExceeded):
		return errors.New("slack did not answer in time")
	}
	return errors.New("slack could not be reached")
}

// refusedWith reports whether Slack answered with one of these codes.
func refusedWith(err error, codes ...string) bool {
	var said slack.SlackErrorResponse
	return errors.As(err, &said) && slices.Contains(codes, said.Err)
}
