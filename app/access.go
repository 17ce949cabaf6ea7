package app

import (
	"context"
	"fmt"
	"net/http"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/config"
)

func accessSettings(c *config.Config) access.Settings {
	s := c.Access.Settings
	s.Base = c.ExternalURL
	s.Open = !s.SignIn() && (c.WebConfig == "" || config.SignIn(c.WebConfig) != nil)
	return s
}

func (a *App) recordAccess(ctx context.Context, tx pgx.Tx, actor, act, subject string, detail any) error {
	e, err := audit.NewEntry(a.Now(), actor, act, subject, detail)
	if err != nil {
		return err
	}
	return a.Audit.Append(ctx, tx, e)
}

// basicUsers says behind the toolkit's sign-in which user it has let in. The file is read again, as the toolkit does: where it has no
// users any more nobody was asked, and the name that a request brings proves nothing.
func (a *App) basicUsers(webConfig string, pages http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, _, ok := r.BasicAuth(); ok && webConfig != "" && config.BasicUser(webConfig, user) {
			r = r.WithContext(access.WithBasic(r.Context(), user))
		}
		pages.ServeHTTP(w, r)
	})
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
