package notify

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Action is what a person asked for where a message was told.
type Action struct {
	ID      string // the same action comes with the same id again; "": it does not come again
	Actor   string // who, for the record
	Do      Doing
	Message string        // key of the message; "": it is about none
	For     time.Duration // of Snooze and DoSilence
	Reason  string        // of FalseAlarm, DoSilence and Decide
	Name    string        // of Decide, and of Check and DoSilence about no message: the credential; of DoEndSilence: its number
	Choice  string        // of Decide: Option.Choice
	Until   time.Time     // of Decide: a day in UTC; zero: the usual one
}

// Doing is what can be asked for. Acknowledge, Snooze and FalseAlarm are about a message; Status, Unused and DoSilences are
// about none; Check is about a message or names a credential; Decide names a credential.
type Doing string

// The doings.
const (
	Acknowledge Doing = "acknowledge"
	Snooze      Doing = "snooze"
	Check       Doing = "check"
	FalseAlarm  Doing = "false_alarm"
	Status      Doing = "status"
	Unused      Doing = "unused"
	Decide      Doing = "decide"

	DoSilence    Doing = "silence"
	DoEndSilence Doing = "end_silence"
	DoSilences   Doing = "silences"
)

// Members returns the ids of the findings of the message with this key (Message.Key), resolved ones too, in their
// order. No such message, or a text that is no key, is none of them and no error.
func (n *Notifier) Members(ctx context.Context, key string) ([]int64, error) {
	text, made, ok := strings.Cut(key, "-")
	id, err := strconv.ParseInt(text, 10, 64)
	micros, err2 := strconv.ParseInt(made, 10, 64)
	if !ok || err != nil || err2 != nil {
		return nil, nil
	}
	rows, err := n.Pool.Query(ctx, `
		SELECT finding_id FROM notify_members JOIN notify_messages m ON m.id = message_id
		WHERE m.id = $1 AND m.made_at = $2 ORDER BY 1`, id, time.UnixMicro(micros))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}

// Once notes that an action is done, in tx, which is the action's own. false: it was done within the last 24 hours,
// by whichever replica; then do nothing. An id of "" is always true, and is not noted.
func (n *Notifier) Once(ctx context.Context, tx pgx.Tx, id string) (bool, error) {
	if id == "" {
		return true, nil
	}
	if _, err := tx.Exec(ctx, `DELETE FROM notify_presses WHERE at < $1`, n.Now().Add(-24*time.Hour)); err != nil {
		return false, err
	}
	tag, err := tx.Exec(ctx, `INSERT INTO notify_presses (id, at) VALUES ($1, $2) ON CONFLICT DO NOTHING`, id, n.Now())
	return tag.RowsAffected() == 1, err
}
