package rounds

import (
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/finding"
)

// When no provider can be reached, that is one finding of keyrounds itself, and it ends with the first answer. No
// status changes (docs/promises.md#our-own-network-is-told-from-a-provider).
func TestNoProviderCanBeReached(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 2, nil)
	h.exec(`UPDATE credentials SET provider = 'other' WHERE name = 'c0001'`)
	h.exec(`UPDATE credential_state SET provider = 'other' WHERE credential = 'c0001'`)
	closed := httptest.NewServer(nil)
	closed.Close()
	idp := h.settings.Providers["idp"]
	away := idp
	away.TokenURL = closed.URL
	h.settings.Providers["idp"] = away
	away.Name = "other"
	h.settings.Providers["other"] = away
	h.settings.Policy.Incident.Within = time.Nanosecond
	r := h.replica(h.pool)
	round := func(provider string) {
		t.Helper()
		creds, err := r.Registry.List(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		creds = slices.DeleteFunc(creds, func(c credential.Credential) bool { return c.Provider != provider })
		order := Order{Purpose: scheduled, Provider: provider, Credentials: creds}
		if _, err := r.work(t.Context(), order); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		round("idp")
		round("other")
	}
	fs := h.findings()
	if len(fs) != 1 || fs[0].Subject != (finding.Subject{}) || fs[0].Kind != finding.Unverifiable || fs[0].State != finding.Open {
		t.Fatalf("%+v", fs)
	}
	h.settings.Providers["idp"] = idp
	r.Reload(h.settings)
	round("idp")
	if fs := h.findings(); len(fs) != 1 || fs[0].State != finding.Resolved {
		t.Errorf("%+v", fs)
	}
	if n := h.count(`SELECT count(*) FROM credential_state WHERE status IN ('suspect', 'revoked')`); n != 0 {
		t.Errorf("%d credentials were blamed", n)
	}
}
