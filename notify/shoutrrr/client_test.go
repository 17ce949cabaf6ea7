package shoutrrr

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/keyrounds/keyrounds/finding"
)

// The services that are said to be guarded follow no redirect; of each that can be pointed at a server of ours
// that is shown.
func TestGuardedServicesFollowNoRedirect(t *testing.T) {
	t.Parallel()
	var followed, asked atomic.Int64
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Add(1) }))
	t.Cleanup(inside.Close)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		http.Redirect(w, r, inside.URL, http.StatusTemporaryRedirect)
	}))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	for scheme, url := range map[string]string{
		"ntfy":       "ntfy://" + host + "/topic?disabletls=yes",
		"gotify":     "gotify://" + host + "/Aaaaaaaaaaaaaaa?disabletls=yes",
		"mattermost": "mattermost://" + host + "/token12345?disabletls=yes",
	} {
		if !slices.Contains(Guarded(), scheme) {
			t.Errorf("%s is not said to be guarded", scheme)
		}
		before := asked.Load()
		_, err := receiver(url).Send(t.Context(), message(finding.Open))
		if asked.Load() == before {
			t.Errorf("%s did not ask the server: %v", scheme, err)
		}
	}
	if n := followed.Load(); n != 0 {
		t.Errorf("%d redirects were followed", n)
	}
}
