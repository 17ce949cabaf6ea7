package app_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/finding"
)

// The overview counts what waits for somebody as keyrounds status does.
func TestTheOverviewCountsWhatWaits(t *testing.T) {
	t.Parallel()
	o := newOffice(t, time.Now(), "")
	o.await("it is ready", func() bool { return o.ask(http.MethodGet, "/readyz", func(*http.Request) {}) == http.StatusOK })
	a, err := o.app.Registry.Get(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	var changes []finding.Change
	err = pgx.BeginFunc(t.Context(), o.app.Pool, func(tx pgx.Tx) error {
		changes, err = o.app.Audit.Publish(t.Context(), tx, []finding.Event{
			{
				Op: finding.OpOpen, Kind: finding.Revoked, At: time.Now(),
				Subject: finding.Subject{Credential: a.Name, CredentialID: a.ID, Provider: a.Provider},
			},
			{Op: finding.OpOpen, Kind: finding.ReloadFailed, At: time.Now()},
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	page := func() string {
		resp, err := http.Get("http://" + o.app.Addr() + "/")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		return string(text)
	}
	text := page()
	if !strings.Contains(text, "2 findings wait for somebody.") {
		t.Errorf("the page does not count what waits:\n%s", text[:min(len(text), 1500)])
	}
	if _, err := o.app.Actions.Acknowledge(t.Context(), "ann", changes[0].Finding.ID); err != nil {
		t.Fatal(err)
	}
	if text := page(); !strings.Contains(text, "1 finding waits for somebody.") {
		t.Errorf("what is acknowledged still waits:\n%s", text[:min(len(text), 1500)])
	}
}
