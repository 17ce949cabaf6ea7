package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/keyrounds/keyrounds/app"
	"github.com/keyrounds/keyrounds/usage"
	"github.com/keyrounds/keyrounds/usage/feed"
)

// database opens the database and looks at what is in it: the schema, the sealing key and the feeds.
func (p *patient) database(ctx context.Context) []remark {
	r := remark{Check: "database", Result: failed}
	if p.config.Database.IsZero() && noPermission(p.config.DataDir) {
		r.Message, r.Advice = "data_dir: you have no permission, as the user that you are", "be the daemon's user, or root"
		return []remark{r}
	}
	if !app.HasDatabase(p.config) {
		r.Result, r.Message = warning, fmt.Sprintf("there is no private Postgres in %s yet", p.config.DataDir)
		r.Advice = "keyrounds run makes it at its first start, and so does keyrounds check"
		return []remark{r}
	}
	began := time.Now()
	a, err := app.Open(ctx, app.Options{Config: p.config, Version: buildVersion(), Log: p.log})
	if err == nil {
		defer a.Close()
		err = a.Ping(ctx)
	}
	if err != nil {
		r.Message, r.Advice = err.Error(), "is the database running, and does database.url name it?"
		if hinted := interface{ Hint() string }(nil); errors.As(err, &hinted) && hinted.Hint() != "" {
			r.Advice = hinted.Hint()
		}
		return []remark{r}
	}
	which := "database.url"
	if p.config.Database.IsZero() {
		which = "the private Postgres in " + p.config.DataDir
	}
	r.Result, r.Message = fine, fmt.Sprintf("%s answers, after %s", which, time.Since(began).Round(time.Millisecond))
	schema := schemaOf(ctx, a)
	if schema.Result != fine {
		return []remark{r, schema}
	}
	rs := []remark{r, schema, sealingOf(ctx, a)}
	if tokens, any := tokensOf(ctx, a); any {
		rs = append(rs, tokens)
	}
	return append(rs, feedsOf(ctx, a)...)
}

// tokensOf says of the API tokens what keyrounds says of the credentials of others; any: there are some.
func tokensOf(ctx context.Context, a *app.App) (r remark, any bool) {
	inForce, unused, err := a.Access.Unused(ctx)
	r = remark{Check: "API tokens", Result: fine, Message: fmt.Sprintf("in force: %d, all used lately or new", inForce)}
	switch {
	case err != nil:
		r.Result, r.Message = failed, err.Error()
	case unused > 0:
		r.Result, r.Message = warning, fmt.Sprintf("in force: %d, of which %d were not used for 90 days", inForce, unused)
		r.Advice = "keyrounds access tokens list names them; revoke what nobody needs"
	}
	return r, err != nil || inForce > 0
}

func schemaOf(ctx context.Context, a *app.App) remark {
	r := remark{Check: "schema", Result: failed}
	v, err := a.SchemaVersion(ctx)
	switch {
	case err != nil:
		r.Message, r.Advice = err.Error(), "use the keyrounds that made it, or a newer one"
		if hinted := interface{ Hint() string }(nil); errors.As(err, &hinted) && hinted.Hint() != "" {
			r.Advice = hinted.Hint()
		}
	case v.Current == 0:
		r.Result, r.Message, r.Advice = warning, "there is none yet", "keyrounds migrate makes it, and so does the daemon when it starts"
	case v.Current < v.Target:
		r.Message = fmt.Sprintf("it is at version %d, and this keyrounds reads %d", v.Current, v.Target)
		r.Advice = "keyrounds migrate brings it up to date, and so does the daemon when it starts"
	default:
		r.Result, r.Message = fine, fmt.Sprintf("it is at version %d, as this keyrounds reads it", v.Current)
	}
	return r
}

func sealingOf(ctx context.Context, a *app.App) remark {
	r := remark{Check: "sealing key", Result: fine}
	s, err := a.Sealing.Status(ctx)
	sealed := 0
	for _, byKey := range s.Sealed {
		for _, n := range byKey {
			sealed += n
		}
	}
	switch {
	case err != nil:
		r.Result, r.Message, r.Advice = failed, err.Error(), "see keyrounds sealing status"
	case s.Problem != "":
		r.Result, r.Message, r.Advice = failed, s.Problem, "see keyrounds sealing status, and docs/backup.md"
	case len(s.InFile) == 0:
		r.Message = "there is none yet, and nothing is sealed"
	default:
		r.Message = fmt.Sprintf("%s opens all that is sealed (%d)", s.Path, sealed)
	}
	return r
}

func feedsOf(ctx context.Context, a *app.App) (rs []remark) {
	feeds, err := a.Usage.Feeds(ctx)
	if err != nil {
		return []remark{{Check: "feeds", Result: failed, Message: err.Error(), Advice: "run keyrounds doctor again"}}
	}
	for _, f := range feeds {
		if f.Configured {
			rs = append(rs, feedOf(f, a.Now()))
		}
	}
	return rs
}

func feedOf(f usage.FeedStatus, now time.Time) remark {
	r := remark{Check: "feed", Subject: f.Feed, Result: warning, Advice: "see keyrounds usage status, and docs/usage.md"}
	last := "its last event is of " + stamp(f.LastEvent)
	if f.LastEvent.IsZero() {
		last = "no event came yet"
	}
	switch {
	case f.Error != "":
		r.Result, r.Message = failed, fmt.Sprintf("%s (since %s); %s", f.Error, stamp(f.ErrorSince), last)
	case f.LastSeen.IsZero():
		r.Message = "it gave no sign of life yet"
	case f.Type != feed.TypeImport && now.Sub(f.LastSeen) > f.Silence:
		r.Message = fmt.Sprintf("it is silent since %s; %s", stamp(f.LastSeen), last)
	case f.Blind != "":
		r.Message = "it shows nobody: " + f.Blind
	default:
		r.Result, r.Message, r.Advice = fine, last, ""
	}
	return r
}
