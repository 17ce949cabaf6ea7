package app

import (
	"time"

	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/postgres"
)

// Receivers makes the receivers of a configuration without a daemon and a database, to ask them whether they can be reached.
func Receivers(c *config.Config) ([]notify.Receiver, error) {
	a := &App{Options: Options{Now: time.Now}}
	return a.receivers(c)
}

// HasDatabase reports whether there is a database to open: one that the configuration names, or a private one that was made
// before. It makes none.
func HasDatabase(c *config.Config) bool { return !c.Database.IsZero() || postgres.Made(c.DataDir) }
