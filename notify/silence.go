package notify

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/finding"
)

// Silence is what nobody is told of until a time, since a person says so, also as JSON. What still holds then is told.
// Messages that are there already are kept up to date in it, and nobody is reminded.
type Silence struct {
	ID         int64             `json:"id"`
	Credential string            `json:"credential,omitempty"` // "": any
	Provider   string            `json:"provider,omitempty"`   // "": any
	Labels     map[string]string `json:"labels,omitempty"`     // all of them; none: any
	Until      time.Time         `json:"until"`
	Why        string            `json:"why"`
	MadeAt     time.Time         `json:"made_at"`
	MadeBy     string            `json:"made_by"`
	EndedAt    *time.Time        `json:"ended_at,omitempty"` // by a person; nil: by nobody
	EndedBy    string            `json:"ended_by,omitempty"`
}

// What says what is silenced, in words.
func (s Silence) What() string {
	var parts []string
	if s.Credential != "" {
		parts = append(parts, "credential "+s.Credential)
	}
	if s.Provider != "" {
		parts = append(parts, "provider "+s.Provider)
	}
	if len(s.Labels) > 0 {
		parts = append(parts, "labels "+labels(s.Labels))
	}
	return strings.Join(parts, ", ")
}

// Holds reports whether it holds at now.
func (s Silence) Holds(now time.Time) bool { return s.EndedAt == nil && now.Before(s.Until) }

// fits reports whether f is silenced by s. What is about no credential and no provider is never silenced: that people are
// not told has to be told.
func (s Silence) fits(f finding.Finding) bool {
	for k, v := range s.Labels {
		if have, ok := f.About.Labels[k]; !ok || have != v {
			return false
		}
	}
	return f.Subject != finding.Subject{} && (s.Credential == "" || s.Credential == f.Subject.Credential) &&
		(s.Provider == "" || s.Provider == f.Subject.Provider)
}

// ErrNoSilence says that there is no silence of an id that holds.
var ErrNoSilence = errors.New("no such silence holds")

const silenceColumns = `id, credential, provider, labels, until, why, made_at, made_by, ended_at, ended_by`

// Silences returns those that hold, the next to end first; all: those that are over as well, the newest first, at most
// 1,000.
func (n *Notifier) Silences(ctx context.Context, all bool) ([]Silence, error) {
	rows, err := n.Pool.Query(ctx, `
		SELECT `+silenceColumns+` FROM notify_silences WHERE $1 OR ended_at IS NULL AND until > $2
		ORDER BY CASE WHEN $1 THEN -id END, until, id LIMIT 1000`, all, n.Now())
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Silence])
}

// Silence makes one, in tx, and returns it with its id. s must name something, and end in the future.
func (n *Notifier) Silence(ctx context.Context, tx pgx.Tx, s Silence) (Silence, error) {
	if s.Labels == nil {
		s.Labels = map[string]string{}
	}
	rows, err := tx.Query(ctx, `
		INSERT INTO notify_silences (credential, provider, labels, until, why, made_at, made_by)
		VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING `+silenceColumns,
		s.Credential, s.Provider, s.Labels, s.Until, s.Why, n.Now(), s.MadeBy)
	if err != nil {
		return s, err
	}
	return pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Silence])
}

// EndSilence ends one for somebody, in tx. The error is ErrNoSilence where none of that id holds.
func (n *Notifier) EndSilence(ctx context.Context, tx pgx.Tx, id int64, by string) (Silence, error) {
	rows, err := tx.Query(ctx, `
		UPDATE notify_silences SET ended_at = $2, ended_by = $3 WHERE id = $1 AND ended_at IS NULL AND until > $2
		RETURNING `+silenceColumns, id, n.Now(), by)
	if err != nil {
		return Silence{}, err
	}
	s, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Silence])
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNoSilence
	}
	return s, err
}

// silenced returns until when f is, and why; the zero time: it is not.
func silenced(f finding.Finding, silences []Silence, now time.Time) (until time.Time, why string) {
	for _, s := range silences {
		if s.Holds(now) && s.fits(f) && s.Until.After(until) {
			until, why = s.Until, "a silence of "+s.MadeBy
		}
	}
	return until, why
}
