package report

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/postgres"
)

// AnnouncerOptions of NewAnnouncer.
type AnnouncerOptions struct {
	Maker    *Maker
	Notifier *notify.Notifier
	Log      *slog.Logger
	Now      func() time.Time
}

// Settings is the part of the configuration that a reload changes.
type Settings struct {
	Unused string // cron of the monthly report; "": none is made by itself
	Digest string // cron of the digest of low severities; "": there is none
	Zone   *time.Location
}

// Announcer makes reports and digests at their times, and has people told of them.
type Announcer struct {
	AnnouncerOptions
	settings atomic.Pointer[Settings]
	began    time.Time
}

// NewAnnouncer makes an Announcer, which from now on announces what the Maker freezes, and writes what the Notifier
// tells of reports and digests.
func NewAnnouncer(o AnnouncerOptions, s Settings) *Announcer {
	a := &Announcer{AnnouncerOptions: o, began: o.Now()}
	a.Reload(s)
	o.Maker.Frozen = a.frozen
	o.Notifier.Announce(a)
	return a
}

// Reload takes new settings.
func (a *Announcer) Reload(s Settings) { a.settings.Store(&s) }

// Tick makes the report of the last month when it is due, and the digest.
func (a *Announcer) Tick(ctx context.Context) error {
	s, now := a.settings.Load(), a.Now()
	var errs []error
	if s.Unused != "" {
		schedule, err := credential.ParseSchedule(s.Unused, s.Zone)
		if err == nil {
			var month Month
			var made bool
			if month, made, err = a.Maker.Due(ctx, schedule.Next, now); made {
				a.Log.Info("the monthly report was made", "month", month.String())
			}
		}
		errs = append(errs, err)
	}
	return errors.Join(append(errs, a.digest(ctx, s, now))...)
}

// frozen writes the hashes of a report into the record and has it told, in the transaction that freezes it.
func (a *Announcer) frozen(ctx context.Context, tx pgx.Tx, f Frozen) error {
	key := "report/" + f.Month.String()
	e, err := audit.NewEntry(
		f.MadeAt,
		cmp.Or(f.Actor, audit.Daemon),
		map[bool]string{true: "report.amended", false: "report.made"}[f.Edition > 1],
		key,
		map[string]any{"sha256": f.Sums, "summary": f.Summary, "owners": len(f.Owners), "edition": f.Edition, "why": f.Why},
	)
	if err != nil {
		return err
	}
	if err := a.Maker.Audit.Append(ctx, tx, e); err != nil {
		return err
	}
	// A month that was asked for by hand, long after, is no news for a channel.
	if MonthOf(f.MadeAt, a.settings.Load().Zone).Add(-1) != f.Month {
		return nil
	}
	if f.Edition > 1 {
		key += fmt.Sprintf("/%d", f.Edition)
	}
	if _, err := a.Notifier.EnqueueLetter(ctx, tx, key); err != nil {
		return err
	}
	for _, owner := range f.Owners {
		if _, err := a.Notifier.EnqueueForOwner(ctx, tx, ofOwner(key, owner), owner); err != nil {
			return err
		}
	}
	return nil
}

// ofOwner is the key of an owner's part of a letter.
func ofOwner(key, owner string) string { return key + ownerMark + owner }

const ownerMark = "#owner/"

// Letter writes what is told under a key: "report/MONTH", "report/MONTH/EDITION" or "digest/UNTIL/SINCE", and of an
// owner's credentials alone with "#owner/NAME" behind it.
func (a *Announcer) Letter(ctx context.Context, key string) (l notify.Letter, err error) {
	key, owner, _ := strings.Cut(key, ownerMark)
	kind, rest, _ := strings.Cut(key, "/")
	switch kind {
	case "report":
		l, err = a.reportLetter(ctx, rest, owner)
	case "digest":
		l, err = a.digestLetter(ctx, rest, owner)
	default:
		err = fmt.Errorf("no letter is known under %q", key)
	}
	return l, postgres.Plain(err)
}

func (a *Announcer) reportLetter(ctx context.Context, text, owner string) (notify.Letter, error) {
	text, number, amended := strings.Cut(text, "/")
	month, err := ParseMonth(text)
	edition := 1
	if amended {
		edition, _ = strconv.Atoi(number)
	}
	if err != nil || edition < 1 {
		return notify.Letter{}, errors.Join(err, errors.New("no report has that key"))
	}
	page, ok, err := a.Maker.Stored(ctx, month, owner, edition, HTML)
	if err == nil && !ok {
		err = fmt.Errorf("the report of %s is gone", month)
	}
	if err != nil {
		return notify.Letter{}, err
	}
	l, err := a.Maker.letter(ctx, month, owner, edition)
	l.File = &notify.File{Name: "unused-credentials-" + month.String() + ".html", Content: page}
	return l, err
}
