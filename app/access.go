package app

import (
	"context"
	"fmt"
	"net"
	"net/http"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/config"
)

func accessSettings(c *config.Config) access.Settings {
	s := c.Access.Settings
	s.Base = c.ExternalURL
	return s
}

func (a *App) recordAccess(ctx context.Context, tx pgx.Tx, actor, act, subject string, detail any) error {
	e, err := audit.NewEntry(a.Now(), actor, act, subject, detail)
	if err != nil {
		return err
	}
	return a.Audit.Append(ctx, tx, e)
}

// refused notes that somebody asked the API for what his role may not.
func (a *App) refused(r *http.Request, who access.Who, why string) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	a.Log.Warn("a request was refused", "who", who.Name, "address", host, "method", r.Method, "path", r.URL.Path, "why", why)
	a.Access.Refused(r.Context(), access.Refusal{Actor: who.Name, Subject: r.Method + " " + r.URL.Path, Why: why, Address: host})
}

// inviteFirst prints a token for the first admin where people sign in and nobody can.
func (a *App) inviteFirst(ctx context.Context) error {
	c := a.config.Load()
	if !c.Access.People {
		return nil
	}
	any, err := a.Access.AnyPerson(ctx)
	if err != nil || any {
		return err
	}
	token, ends, err := a.Access.FirstRunToken(ctx, audit.Daemon)
	if err != nil {
		return err
	}
	base := c.ExternalURL
	if base == "" {
		base = "http://" + a.Addr()
	}
	_, _ = fmt.Fprintf(a.Stderr, "Nobody can sign in yet. Make an admin on %s/first-run with this token, until %s:\n%s\n",
		base, ends.UTC().Format("15:04 MST"), token.Reveal())
	a.Log.Info("nobody can sign in yet: a token for the first admin is on standard error", "ends", ends)
	return nil
}
