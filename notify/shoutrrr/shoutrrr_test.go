package shoutrrr

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/outbound"
	"github.com/keyrounds/keyrounds/secret"
)

func receiver(url string) *Receiver {
	return New(
		"pager",
		func(context.Context) (secret.Value, error) { return secret.New([]byte(url)), nil },
		outbound.Policy{AllowPrivate: true, Timeout: 5 * time.Second},
	)
}

func message(state finding.State) notify.Message {
	f := notify.Sample(finding.Revoked, time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC))
	f.State, f.About.Description = state, "@everyone <!channel> <@U1>"
	fs := []finding.Finding{f}
	return notify.Message{Key: "7-1", Findings: fs, Words: notify.DescribeAll(fs)}
}

// A webhook gets title and text, with nobody mentioned; what the server answers is an error without the
// URL's secrets.
func TestGeneric(t *testing.T) {
	t.Parallel()
	var got string
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got = string(b)
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	r := receiver(
		"generic://" + strings.TrimPrefix(
			server.URL,
			"http://",
		) + "/hooks/c4n4ry-path?disabletls=yes&template=json&@authorization=c4n4ry-header",
	)
	if _, err := r.Send(t.Context(), message(finding.Open)); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(got, `"title":"CRITICAL: sample-credential (sample-provider) is refused`) || !strings.Contains(got, "How sure:") {
		t.Errorf("it got %s", got)
	}
	for _, bad := range []string{"@everyone", "<!", "<@"} {
		if strings.Contains(strings.ReplaceAll(got, `\u003c`, "<"), bad) {
			t.Errorf("it holds %q: %s", bad, got)
		}
	}
	status = http.StatusInternalServerError
	_, err := r.Send(t.Context(), message(finding.Open))
	if err == nil || !strings.HasPrefix(err.Error(), "pager: ") || strings.Contains(err.Error(), "c4n4ry") {
		t.Errorf("error %v", err)
	}
	server.Close()
	if _, err := r.Send(t.Context(), message(finding.Open)); err == nil || strings.Contains(err.Error(), "c4n4ry") {
		t.Errorf("error %v", err)
	}
}

// A URL that is none of shoutrrr's needs a person, and is not shown.
func TestBadURLs(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"",
		"nothing",
		"gopher://c4n4ry-token@host",
		"discord://",
		"pagerduty://events.pagerduty.com/c4n4ry-key",
		"smtp://user:c4n4ry-pass@host:x/",
	} {
		_, err := receiver(url).Send(t.Context(), message(finding.Open))
		var refused *notify.RefusedError
		if !errors.As(err, &refused) || !refused.NeedsPerson || refused.Fix == "" || strings.Contains(err.Error(), "c4n4ry") {
			t.Errorf("%q: %v", url, err)
		}
	}
}

// PagerDuty and Opsgenie get the same key for the same message, and PagerDuty is told when it is over.
func TestKeys(t *testing.T) {
	t.Parallel()
	for scheme, k := range map[string][3]string{
		"pagerduty": {"dedup_key", "severity=critical", "action=resolve"},
		"opsgenie":  {"alias", "priority=P1", ""},
	} {
		open, text := compose(scheme, message(finding.Open))
		over, _ := compose(scheme, message(finding.Resolved))
		if open[k[0]] != "keyrounds-7-1" || open[k[0]] != over[k[0]] || text == "" {
			t.Errorf("%s: %v, then %v", scheme, open, over)
		}
		name, want, _ := strings.Cut(k[1], "=")
		if open[name] != want || open["action"] != "" {
			t.Errorf("%s: %v", scheme, open)
		}
		if name, want, _ := strings.Cut(k[2], "="); over[name] != want {
			t.Errorf("%s: %v", scheme, over)
		}
	}
}

// What is critical is loud on a telephone, what is over is not, and a priority of the URL's own stays.
func TestPriorities(t *testing.T) {
	t.Parallel()
	var got string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct{ Priority json.Number }
		_ = json.NewDecoder(r.Body).Decode(&body)
		got = cmp.Or(r.Header.Get("Priority"), body.Priority.String())
		_, _ = w.Write([]byte(`{"id": 1}`))
	}))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	ntfy, gotify := "ntfy://"+host+"/topic?scheme=http", "gotify://"+host+"/Ac4n4rytoken123?disabletls=yes"
	for _, c := range []struct {
		service string
		state   finding.State
		want    string
	}{
		{ntfy, finding.Open, "max"},
		{ntfy, finding.Resolved, "low"},
		{ntfy + "&priority=3", finding.Open, "default"},
		{gotify, finding.Open, "8"},
		{gotify, finding.Resolved, "2"},
		{gotify + "&Priority=4", finding.Open, "4"},
	} {
		got = ""
		if _, err := receiver(c.service).Send(t.Context(), message(c.state)); err != nil {
			t.Fatal(err)
		}
		if !strings.EqualFold(got, c.want) {
			t.Errorf("%s, %s: %q, want %q", c.service[:6], c.state, got, c.want)
		}
	}
	open, _ := compose("pushover", message(finding.Open)) // its address is fixed
	over, _ := compose("pushover", message(finding.Resolved))
	if open["priority"] != "1" || over["priority"] != "-1" {
		t.Errorf("pushover: %v, then %v", open, over)
	}
}

// Mail is mail: a subject, and the text.
func TestMail(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	mails := make(chan string, 1)
	go postOffice(l, mails)
	r := receiver(fmt.Sprintf("smtp://%s/?from=keyrounds@example.com&to=ann@example.com&encryption=None&auth=None", l.Addr()))
	if _, err := r.Send(t.Context(), message(finding.Open)); err != nil {
		t.Fatal(err)
	}
	mail := <-mails
	if !strings.Contains(mail, "Subject: CRITICAL: sample-credential (sample-provider) is refused") ||
		!strings.Contains(mail, "What to do:") {
		t.Errorf("the mail:\n%s", mail)
	}
}

// postOffice takes one mail (RFC 5321).
func postOffice(l net.Listener, mails chan<- string) {
	conn, err := l.Accept()
	if err != nil {
		return
	}
	defer conn.Close()
	in := bufio.NewScanner(conn)
	say := func(s string) { fmt.Fprintf(conn, "%s\r\n", s) }
	say("220 office")
	for in.Scan() {
		switch line := strings.ToUpper(in.Text()); {
		case strings.HasPrefix(line, "DATA"):
			say("354 go on")
			var mail strings.Builder
			for in.Scan() && in.Text() != "." {
				mail.WriteString(in.Text() + "\n")
			}
			mails <- mail.String()
			say("250 taken")
		case strings.HasPrefix(line, "QUIT"):
			say("221 bye")
			return
		default:
			say("250 fine")
		}
	}
}

// What a server answers is named once, with what cures it; a limit is no failure.
func TestCures(t *testing.T) {
	t.Parallel()
	status := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	for _, service := range []string{
		"generic://" + host + "/hooks/c4n4ry-path?disabletls=yes",
		"gotify://" + host + "/Ac4n4rytoken123?disabletls=yes",
		"mattermost://" + host + "/c4n4rytoken?disabletls=yes",
		"ntfy://" + host + "/topic?scheme=http",
	} {
		for status = range map[int]bool{401: true, 403: true, 404: true, 410: true, 429: true, 503: true} {
			_, err := receiver(service).Send(t.Context(), message(finding.Open))
			var refused *notify.RefusedError
			var retry *notify.RetryError
			isRefused, isRetry := errors.As(err, &refused), errors.As(err, &retry)
			var cure string
			if isRefused {
				cure = refused.Fix
			}
			switch {
			case status < 429 && (!isRefused || !refused.NeedsPerson || !strings.Contains(cure, "store its URL")):
			case status == 429 && !isRetry:
			case status == 503 && (isRefused || isRetry || !strings.Contains(err.Error(), "that server is in trouble")):
			case strings.Count(err.Error(), "pager: ") != 1 || strings.Contains(err.Error(), "c4n4ry"):
			default:
				continue
			}
			t.Errorf("%s, HTTP %d: %v; cure %q", service[:8], status, err, cure)
		}
	}
}

// Why nobody answers is said in words of ours, without the URL.
func TestNobodyAnswers(t *testing.T) {
	t.Parallel()
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(plain.Close)
	sealed := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(sealed.Close)
	for url, want := range map[string]string{
		"generic://127.0.0.1:1/c4n4ry?disabletls=yes":                         "pager: nobody listens at its address",
		"generic://no-such-host.invalid/c4n4ry":                               "pager: the host name of its address ",
		"generic://" + strings.TrimPrefix(plain.URL, "http://") + "/c4n4ry":   "pager: it answers in plain http",
		"generic://" + strings.TrimPrefix(sealed.URL, "https://") + "/c4n4ry": "pager: its certificate is not trusted",
		"ntfy://127.0.0.1:1/c4n4ry?scheme=http":                               "pager: nobody listens at its address",
	} {
		_, err := receiver(url).Send(t.Context(), message(finding.Open))
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "c4n4ry") {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
	}
}

// Where a receiver posts is said without what can be a secret.
func TestWhere(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"generic+https://hooks.example.com/c4n4ry":                   "generic at hooks.example.com",
		"smtp://user:c4n4ry@mail.example.com:587/?from=a@b.c&to=d@e": "smtp at mail.example.com:587",
		"discord://c4n4ry-token@12345":                               "discord",
		"pushbullet://o.c4n4ry":                                      "pushbullet",
		"pagerduty:///c4n4ry":                                        "pagerduty",
	} {
		if got := receiver(url).Where(t.Context()); got != want {
			t.Errorf("%s: %q, want %q", url, got, want)
		}
	}
}
