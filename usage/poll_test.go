package usage_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/secret"
	"github.com/keyrounds/keyrounds/usage"
	"github.com/keyrounds/keyrounds/usage/feed"
)

// api is a log API in the manner of one provider.
type api struct {
	*desk
	server *httptest.Server
	asked  []string // requests, with their Authorization
	answer func(w http.ResponseWriter, r *http.Request)
}

func newAPI(d *desk, answer func(a *api, w http.ResponseWriter, r *http.Request)) *api {
	a := &api{desk: d}
	a.answer = func(w http.ResponseWriter, r *http.Request) { answer(a, w, r) }
	a.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.asked = append(a.asked, r.Header.Get("Authorization")+" "+r.URL.RequestURI())
		a.answer(w, r)
	}))
	d.Cleanup(a.server.Close)
	return a
}

func (a *api) feed(preset string) feed.Feed {
	a.Helper()
	p, err := feed.FindPreset(preset)
	if err != nil {
		a.Fatal(err)
	}
	return a.feedOf(preset, *p.Poll)
}

func (a *api) feedOf(name string, spec feed.PollSpec) feed.Feed {
	a.Helper()
	poll, err := feed.NewPoll(spec, a.server.URL, time.Minute)
	if err != nil {
		a.Fatal(err)
	}
	format := "plain"
	if _, err := feed.FindPreset(name); err == nil {
		format = name
	}
	return a.desk.feed(feed.Feed{Name: name, Type: name, Format: a.format(format), Poll: poll})
}

// poll asks everything that there is, once.
func (a *api) poll(f feed.Feed) error {
	a.Helper()
	position, err := a.store.PollPosition(a.Context(), f.Name)
	if err != nil {
		a.Fatal(err)
	}
	asker := feed.Ask(f, a.server.Client(), secret.New([]byte("c4n4ry-token")), position, a.now)
	for asker.More() {
		page, err := asker.Next(a.Context())
		if err != nil {
			return err
		}
		if _, err := a.ingest(f, usage.Page(*page)); err != nil {
			return err
		}
	}
	return nil
}

func (a *api) must(f feed.Feed) {
	a.Helper()
	if err := a.poll(f); err != nil {
		a.Fatal(err)
	}
}

func (a *api) coverage(f feed.Feed) []feed.Span {
	a.Helper()
	feeds, err := a.store.Feeds(a.Context())
	if err != nil {
		a.Fatal(err)
	}
	for _, x := range feeds {
		if x.Feed == f.Name {
			return x.Coverage
		}
	}
	return nil
}

func oktaEvent(n int, at time.Time) map[string]any {
	return map[string]any{
		"uuid": fmt.Sprint("u", n), "published": at.Format(time.RFC3339Nano),
		"eventType": "app.oauth2.as.token.grant.access_token", "outcome": map[string]any{"result": "SUCCESS"},
		"actor":        map[string]any{"id": "a"},
		"client":       map[string]any{"ipAddress": "203.0.113.7", "userAgent": map[string]any{"rawUserAgent": "job/1"}},
		"debugContext": map[string]any{"debugData": map[string]any{"grantType": "client_credentials", "requestedScopes": "jobs.read"}},
	}
}

// Okta: pages by Link, which it gives for ever; records that come late are asked for again and count once; a
// poll that breaks off half way is done again; empty polls cover time.
func TestPollOkta(t *testing.T) {
	t.Parallel()
	d := newDesk(t, client(1, "a"))
	var events []map[string]any
	broken := false
	a := newAPI(d, func(a *api, w http.ResponseWriter, r *http.Request) {
		since, err1 := time.Parse(time.RFC3339Nano, r.URL.Query().Get("since"))
		until, err2 := time.Parse(time.RFC3339Nano, r.URL.Query().Get("until"))
		after, _ := strconv.Atoi(r.URL.Query().Get("after"))
		if err := errors.Join(err1, err2); err != nil || !strings.HasPrefix(r.Header.Get("Authorization"), "SSWS ") {
			http.Error(w, "bad", http.StatusBadRequest)
			return
		}
		if broken && after > 0 {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		page := []map[string]any{}
		for i, e := range events {
			at, _ := time.Parse(time.RFC3339Nano, e["published"].(string))
			if i >= after && len(page) < 3 && !at.Before(since) && at.Before(until) {
				page, after = append(page, e), i+1
			}
		}
		q := r.URL.Query()
		q.Set("after", strconv.Itoa(after))
		w.Header().Add("Link", `<`+a.server.URL+`/api/v1/logs?limit=1>; rel="self"`)
		w.Header().Add("Link", `<`+a.server.URL+`/api/v1/logs?`+q.Encode()+`>; rel="next"`)
		_ = json.NewEncoder(w).Encode(page)
	})
	f := a.feed("okta")
	for i := range 10 {
		events = append(events, oktaEvent(i, d.now.Add(time.Duration(i-20)*time.Hour)))
	}
	broken = true
	if err := a.poll(f); err == nil || !strings.Contains(err.Error(), "HTTP 502") || strings.Contains(err.Error(), "c4n4ry") {
		t.Fatalf("the API broke, and the poll says %v", err)
	}
	broken = false
	a.must(f)
	if n := d.uses(); n != 10 {
		t.Errorf("%d uses of 10", n)
	}
	d.now = d.now.Add(10 * time.Minute)
	events = append(events, oktaEvent(10, d.now.Add(-15*time.Minute))) // it came late
	a.must(f)
	for range 3 {
		d.now = d.now.Add(5 * time.Minute)
		a.must(f)
	}
	if n := d.uses(); n != 11 {
		t.Errorf("%d uses of 11", n)
	}
	spans := a.coverage(f)
	if len(spans) != 1 || !spans[0].To.Equal(d.now.Add(-2*time.Minute)) || d.now.Sub(spans[0].From) < 89*24*time.Hour {
		t.Errorf("it covers %v at %s", spans, d.now)
	}
}

// Auth0: from a checkpoint on, a hundred at a time; the first poll finds where to begin.
func TestPollAuth0(t *testing.T) {
	t.Parallel()
	d := newDesk(t, client(1, "a"))
	n := 50
	a := newAPI(d, func(_ *api, w http.ResponseWriter, r *http.Request) {
		var page []map[string]any
		from, err := strconv.Atoi(r.URL.Query().Get("from"))
		switch {
		case r.URL.Query().Get("sort") == "date:-1":
			from, err = n-1, nil
			fallthrough
		case err == nil:
			for i := from + 1; i <= n && len(page) < 100; i++ {
				page = append(page, map[string]any{
					"log_id": strconv.Itoa(i), "type": "seccft", "client_id": "a",
					"date": d.now.Add(-time.Hour).Format(time.RFC3339), "ip": "203.0.113.7", "user_agent": "job/1",
				})
			}
		}
		if page == nil {
			page = []map[string]any{}
		}
		_ = json.NewEncoder(w).Encode(page)
	})
	f := a.feed("auth0")
	a.must(f)
	n = 330
	d.now = d.now.Add(time.Minute)
	a.must(f)
	a.must(f)
	if got := d.uses(); got != 281 { // the newest at first, and all since
		t.Errorf("%d uses of 281", got)
	}
	if !slices.Contains(a.asked, "Bearer c4n4ry-token /api/v2/logs?take=100&from=250") {
		t.Errorf("asked %q", a.asked)
	}
}

// Entra and SmartRecruiters: the records are a member of the answer, and so is where the next page is.
func TestPollNextInTheBody(t *testing.T) {
	t.Parallel()
	d := newDesk(t, client(1, "a"))
	a := newAPI(d, func(a *api, w http.ResponseWriter, r *http.Request) {
		event := map[string]any{
			"id": "s" + r.URL.Query().Get("$skiptoken"), "createdDateTime": d.now.Add(-2 * time.Hour).Format(time.RFC3339),
			"appId": "a", "ipAddress": "203.0.113.7", "status": map[string]any{"errorCode": 0},
		}
		answer := map[string]any{"value": []any{event}}
		if r.URL.Query().Get("$skiptoken") == "" {
			answer["@odata.nextLink"] = a.server.URL + "/beta/auditLogs/signIns?$skiptoken=2"
		}
		_ = json.NewEncoder(w).Encode(answer)
	})
	f := a.feed("entra")
	a.must(f)
	if n := d.uses(); n != 2 {
		t.Errorf("entra: %d uses of 2", n)
	}
	b := newAPI(d, func(_ *api, w http.ResponseWriter, r *http.Request) {
		answer := map[string]any{"content": []any{map[string]any{
			"id":        "r" + r.URL.Query().Get("nextPageId"),
			"eventDate": d.now.Add(-time.Hour).Format(time.RFC3339), "eventName": "CREDENTIALS_REVOKED",
			"author": map[string]any{"email": "alice@example.com"},
		}}}
		if r.URL.Query().Get("nextPageId") == "" {
			answer["nextPageId"] = "p 2"
		}
		_ = json.NewEncoder(w).Encode(answer)
	})
	g := b.feed("smartrecruiters")
	b.must(g)
	if n := d.count(`SELECT count(*) FROM usage_lifecycle
		WHERE action = 'revoked' AND actor = 'alice@example.com' AND client_id = ''`); n != 2 {
		t.Errorf("smartrecruiters: %d revocations of 2: %q", n, b.asked)
	}
}

// What a log API answers is hostile: the token goes to no other server, nothing is followed for ever, and no
// error shows the token or the URL.
func TestHostileAPI(t *testing.T) {
	t.Parallel()
	d := newDesk(t, client(1, "a"))
	elsewhere := newAPI(d, func(_ *api, w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("[]")) })
	for name, k := range map[string]struct {
		answer func(a *api, w http.ResponseWriter, r *http.Request)
		want   string
	}{
		"another server": {func(_ *api, w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"items":[],"next":"` + elsewhere.server.URL + `/x"}`))
		}, "is on another server"},
		"itself for ever": {func(_ *api, w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte(`{"items":[],"next":` + strconv.Quote(r.URL.RequestURI()) + `}`))
		}, "the next page is this page"},
		"no JSON": {func(_ *api, w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>c4n4ry</html>")) }, "not JSON"},
		"no list": {func(_ *api, w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"items":7}`)) }, "no list of records"},
		"wait": {func(_ *api, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "70")
			w.WriteHeader(429)
		}, "asked to wait"},
		"refused": {func(_ *api, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) }, "HTTP 401"},
		"redirected": {func(_ *api, w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.server.URL, http.StatusTemporaryRedirect)
		}, "HTTP 307"},
		"broken off": {func(_ *api, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte("["))
		}, "broke off"},
	} {
		a := newAPI(d, k.answer)
		a.server.Client().CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		f := a.feedOf(strings.ReplaceAll(name, " ", "-"),
			feed.PollSpec{URL: "{base}/log?since={since}&secret=c4n4ry", Items: ".items", Next: ".next"})
		err := a.poll(f)
		if err == nil || !strings.Contains(err.Error(), k.want) || strings.Contains(err.Error(), "c4n4ry") {
			t.Errorf("%s: %v", name, err)
		}
		var wait *feed.WaitError
		if errors.As(err, &wait) != (name == "wait") || wait != nil && wait.After != 70*time.Second {
			t.Errorf("%s: it waits %v", name, wait)
		}
	}
	if len(elsewhere.asked) != 0 {
		t.Errorf("another server was asked: %q", elsewhere.asked)
	}
}

// Two processes that poll the same feed, one of which slept: what the second brings is dropped.
func TestPollIsDroppedWhereAnotherWentOn(t *testing.T) {
	t.Parallel()
	d := newDesk(t, client(1, "a"))
	a := newAPI(d, func(_ *api, w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode([]any{map[string]any{
			"client_id": "a", "at": d.now.Add(-time.Minute).Format(time.RFC3339),
			"event_id": "1",
		}})
	})
	f := a.feedOf("http", feed.PollSpec{URL: "{base}/log?since={since}"})
	asker := feed.Ask(f, a.server.Client(), secret.Value{}, feed.PollPosition{}, d.now)
	slow, err := asker.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	d.now = d.now.Add(time.Minute)
	a.must(f)
	if _, err := a.ingest(f, usage.Page(*slow)); !errors.Is(err, usage.ErrMoved) {
		t.Errorf("the slow one: %v", err)
	}
	if n := d.uses(); n != 1 {
		t.Errorf("%d uses of 1", n)
	}
}

// A log API that answers with text is read by a format of text: lines, and CSV whose first line names the columns, page by page.
func TestPollText(t *testing.T) {
	t.Parallel()
	for name, k := range map[string]struct{ format, first, second, bad string }{
		"lines": {"input: logfmt\n", "at=%s client_id=a\n", "at=%s client_id=a\nat=%[1]s client_id=b\n", ""},
		"CSV": {
			"input: csv\n", "at,client_id\n%s,a\n",
			"client_id,at\na,%s\n\"b\",%[1]s\nc\n", "it does not have a value for each of 2 columns",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, client(1, "a"), client(2, "b"))
			answers := []string{k.first, k.second}
			a := newAPI(d, func(a *api, w http.ResponseWriter, _ *http.Request) {
				fmt.Fprintf(w, answers[min(len(a.asked), len(answers))-1], a.now.Add(-time.Minute).Format(time.RFC3339))
			})
			f := a.feedOf("http", feed.PollSpec{URL: a.server.URL + "/logs?since={since}"})
			f.Format = d.formatIn(k.format)
			a.must(f)
			a.now = a.now.Add(time.Hour)
			a.must(f)
			feeds, err := d.store.Feeds(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			bad := ""
			for _, b := range feeds[0].Samples {
				bad += b.Reason
			}
			if n := a.uses(); n != 3 || bad != k.bad {
				t.Errorf("%d uses, want 3, and %q is bad, want %q: %v", n, bad, k.bad, a.asked)
			}
		})
	}
}

// What a partial format brings shows uses, and no silence: its import covers nothing.
func TestImportOfAPartialFormatCoversNothing(t *testing.T) {
	t.Parallel()
	for _, partial := range []bool{false, true} {
		d := newDesk(t, client(1, "a"))
		f := feed.OfImports("p", d.formatIn(fmt.Sprintf("input: logfmt\npartial: %v\n", partial)))
		d.feed(f)
		text := ""
		for _, ago := range []time.Duration{time.Hour, time.Minute} {
			text += fmt.Sprintf("at=%s client_id=a\n", d.now.Add(-ago).Format(time.RFC3339))
		}
		if _, err := d.ingest(f, d.importOf(text)); err != nil {
			t.Fatal(err)
		}
		covered := len((&api{desk: d}).coverage(f)) > 0
		if uses := d.uses(); uses != 2 || covered == partial {
			t.Errorf("partial %v: %d uses, covered %v", partial, uses, covered)
		}
	}
}
