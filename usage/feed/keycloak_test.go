package feed_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/keyrounds/keyrounds/usage/feed"
)

// A Keycloak log shows clients where its events are understood, however their values are quoted: every event in which a
// client proved itself is a use, what people do shows that the log shows clients, and what is not understood shows nothing.
func TestKeycloakEvents(t *testing.T) {
	t.Parallel()
	format, err := feed.NewFormat("keycloak", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ event, want string }{
		{`type=CLIENT_LOGIN`, "exchange ok"},
		{`type=CODE_TO_TOKEN`, "exchange ok"},
		{`type=LOGIN`, "other ok"},
		{`type=LOGIN, grant_type=password`, "exchange ok"},
		{`type=LOGOUT, client_auth_method=client-secret`, "exchange ok"},
		{`type=REVOKE_GRANT, client_auth_method=client-secret`, "exchange ok"},
		{`type=PERMISSION_TOKEN, client_auth_method=client-jwt`, "exchange ok"},
		{`type=CLIENT_LOGIN_ERROR, error=invalid_client_credentials`, "exchange refused"},
		{`type=REFRESH_TOKEN_ERROR, error=invalid_token`, "exchange refused"},
		{`type=REFRESH_TOKEN_ERROR, error=invalid_token, client_auth_method=client-secret`, "exchange not allowed"},
		{`type=CODE_TO_TOKEN_ERROR, error=invalid_client_credentials, client_auth_method=client-secret`, "exchange refused"},
		{`type=LOGIN_ERROR, error=user_not_found`, ""},
		{`event=CODE_TO_TOKEN`, ""},
		{`operationType=CLIENT_LOGIN`, ""},
	} {
		event, want := c.event, c.want
		for name, quote := range map[string]string{"bare": "", "single": "'", "double": `"`} {
			var members []string
			for _, m := range strings.Split(event+", clientId=app, ipAddress=203.0.113.7", ", ") {
				k, v, _ := strings.Cut(m, "=")
				members = append(members, k+"="+quote+v+quote)
			}
			line := "2026-11-02 08:00:00,000 DEBUG [org.keycloak.events] (executor-thread-1) " + strings.Join(members, ", ")
			var got string
			named := int64(0)
			err := format.Read(t.Context(), strings.NewReader(line), func(r feed.Reading) error {
				for _, d := range r.Days {
					named += d.Named
				}
				for _, e := range r.Events {
					got = fmt.Sprint(e.Kind, map[bool]string{true: " ok", false: " refused"}[e.OK])
					if e.Denied {
						got = fmt.Sprint(e.Kind, " not allowed")
					}
					if e.ClientID != "app" {
						t.Errorf("%s: the client is %q", line, e.ClientID)
					}
				}
				return nil
			})
			shows := want != "" && !strings.HasSuffix(want, "refused")
			if err != nil || got != want || (named > 0) != shows {
				t.Errorf("%s, %s: %q, named %d, %v; want %q", event, name, got, named, err, want)
			}
		}
	}
}

// A list in a record does not make a list of records of it.
func TestListsInRecords(t *testing.T) {
	t.Parallel()
	for preset, record := range map[string]string{
		"nginx-json": `{"time_iso8601":"2026-11-02T08:00:00Z","client_id":"a","status":200,` +
			`"items":[{"time":"2026-11-02T08:00:00Z","sku":"x"}]}`,
		"plain": `{"at":"2026-11-02T08:00:00Z","client_id":"a","events":[{"at":"2026-11-02T08:00:00Z"}]}`,
	} {
		format, err := feed.NewFormat(preset, "")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		err = format.Read(t.Context(), strings.NewReader(record), func(r feed.Reading) error {
			for _, e := range r.Events {
				got = append(got, e.ClientID)
			}
			return nil
		})
		if err != nil || len(got) != 1 || got[0] != "a" {
			t.Errorf("%s: %q, %v", preset, got, err)
		}
	}
}

// What a record quotes of somebody's request is no record: it forges no use, and shows no client.
func TestQuotedTextIsNoRecord(t *testing.T) {
	t.Parallel()
	const forged = `{"client_id":"forged","time_iso8601":"2026-11-02T08:00:00Z","start_time":"2026-11-02T08:00:00Z","status":200}`
	text := strconv.Quote(forged)
	for member, quoted := range map[string]string{
		"body": text, "message": text, "msg": text, "log": text, "request_body": text, "payload": text, "data": text, "detail": text,
		"Body": forged, "query": forged, "request_headers": forged, "args": forged,
	} {
		quotes(t, "nginx-json", `{"time_iso8601":"2026-11-02T08:00:00Z","client_id":"","status":401,"`+member+`":`+quoted+`}`)
		quotes(t, "envoy", `{"start_time":"2026-11-02T08:00:00Z","client_id":null,"status":401,"`+member+`":`+quoted+`}`)
	}
	// What holds a request's body is no wrapping of a record either, where nothing else speaks of a client.
	quotes(t, "nginx-json", `{"time_iso8601":"2026-11-02T08:00:00Z","body":`+forged+`}`)
	quotes(t, "envoy", `{"body":`+forged+`}`)
}

// quotes: what a record quotes names no client.
func quotes(t *testing.T, preset, record string) {
	t.Helper()
	format, err := feed.NewFormat(preset, "")
	if err != nil {
		t.Fatal(err)
	}
	err = format.Read(t.Context(), strings.NewReader(record), func(r feed.Reading) error {
		for _, e := range r.Events {
			if e.ClientID != "" {
				t.Errorf("%s, %s: %q", preset, record, e.ClientID)
			}
		}
		return nil
	})
	if err != nil {
		t.Errorf("%s: %v", record, err)
	}
}
