package teams_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/notify/notifytest"
	"github.com/keyrounds/keyrounds/notify/teams"
	"github.com/keyrounds/keyrounds/outbound"
	"github.com/keyrounds/keyrounds/secret"
	"github.com/keyrounds/keyrounds/test/cards"
)

const path, sig = "/workflows/c4n4ry0123/triggers/manual/paths/invoke", "c4n4ry-sig_-AZ09"

// flow stands in for a workflow whose trigger is a Teams webhook request, as learn.microsoft.com describes it: a POST with the signature
// of its URL, and a message with Adaptive Cards of at most 28 KB.
type flow struct {
	*httptest.Server
	mu     sync.Mutex
	status int // instead of taking messages; 0: none
	says   string
	cards  []json.RawMessage
	asked  []string
}

func newFlow(t *testing.T) *flow {
	f := &flow{}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

func (f *flow) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, r.Method+" "+r.URL.Path)
	body, _ := io.ReadAll(r.Body)
	var m struct {
		Type        string
		Attachments []struct {
			ContentType string
			Content     json.RawMessage
		}
	}
	err := json.Unmarshal(body, &m)
	w.Header().Set("Retry-After", notifytest.RetryAfter)
	switch {
	case f.status != 0:
		w.WriteHeader(f.status)
		_, _ = io.WriteString(w, f.says)
	case r.Method != http.MethodPost || r.URL.Path != path:
		w.WriteHeader(http.StatusNotFound)
	case r.URL.Query().Get("sig") != sig || r.URL.Query().Get("sp") != "/triggers/manual/run":
		w.WriteHeader(http.StatusUnauthorized)
	case len(body) > 28<<10:
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	case err != nil || m.Type != "message" || len(m.Attachments) != 1 || r.Header.Get("Content-Type") != "application/json" ||
		m.Attachments[0].ContentType != "application/vnd.microsoft.card.adaptive":
		w.WriteHeader(http.StatusBadRequest)
	default:
		f.cards = append(f.cards, m.Attachments[0].Content)
		w.WriteHeader(http.StatusAccepted)
	}
}

func (f *flow) url() string {
	return f.URL + path + "?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=" + sig
}

func receiver(t *testing.T, url string) *teams.Receiver {
	t.Helper()
	client, err := outbound.Client(outbound.Policy{AllowPrivate: true, Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return teams.New("ops", func(context.Context) (secret.Value, error) { return secret.New([]byte(url)), nil }, client)
}

const hostile = "[click](https://evil.example) **bold** <at>everyone</at> {{DATE(2026-01-01T00:00:00Z)}} <https://evil.example>\n# x"

// messages are of every kind and state, plain and hostile, short and long, and letters.
func messages() (all []notify.Message) {
	for _, k := range finding.Kinds() {
		for _, state := range []finding.State{finding.Open, finding.Acknowledged, finding.Resolved} {
			for _, long := range []int{0, 1, 300} {
				if long > 1 && k != finding.Revoked {
					continue
				}
				m := notifytest.Message(k, state, notify.Receipt{})
				m.Words.Effect += strings.Repeat(hostile, long)
				m.Words.Owner = strings.Repeat(hostile, long)
				for range long {
					m.Words.Facts = append(m.Words.Facts, notify.Fact{Label: "Used for", Text: hostile}, notify.Fact{Text: hostile})
					m.Words.Items = append(m.Words.Items, hostile)
				}
				all = append(all, m)
			}
		}
	}
	letter := &notify.Letter{Title: "The month", Lines: []string{hostile, "", "x"}, File: &notify.File{Name: "unused.html"}}
	return append(all, notify.Message{Key: "l", Letter: letter})
}

// Microsoft's library takes every card and understands all of it, and what others wrote is in no place where Markdown is read.
func TestCards(t *testing.T) {
	t.Parallel()
	f := newFlow(t)
	r := receiver(t, f.url())
	all := messages()
	for _, m := range all {
		if receipt, err := r.Send(t.Context(), m); err != nil || receipt.Channel == "" {
			t.Fatalf("%s: %v, %v", m.Words.Title, receipt, err)
		}
	}
	for i, read := range cards.Parse(t, f.cards) {
		var sent map[string]any
		if err := json.Unmarshal(f.cards[i], &sent); err != nil {
			t.Fatal(err)
		}
		delete(sent, "msteams") // is Teams' own
		delete(sent, "fallbackText")
		delete(read.Card, "fallbackText")
		if d := cmp.Diff(sent, read.Card); d != "" || len(read.Objections) > 0 {
			t.Errorf("%s: %v; sent and understood differ: %.500s", all[i].Title(), read.Objections, d)
		}
		for _, renders := range []string{"TextBlock", "FactSet", "Fact"} {
			if strings.Contains(string(f.cards[i]), `"`+renders+`"`) {
				t.Errorf("%s: Teams reads Markdown in a %s", all[i].Title(), renders)
			}
		}
	}
}

// A card says what a message says, in its order, with the page and the runbook behind buttons; what is too long says that there is more.
func TestWhatACardSays(t *testing.T) {
	t.Parallel()
	f := newFlow(t)
	r := receiver(t, f.url())
	for _, m := range messages() {
		if _, err := r.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		var card any
		_ = json.Unmarshal(f.cards[len(f.cards)-1], &card)
		said := strings.Join(texts(card), "")
		title, body := m.Plain()
		all := squeezed(title + body)
		if m.Words.Link != "" {
			for _, url := range []string{m.Words.Link, m.Words.Guide} {
				if !strings.Contains(string(f.cards[len(f.cards)-1]), `"url":"`+url) && url != "" {
					t.Errorf("%s: no button to %s", title, url)
				}
			}
			all = strings.TrimSuffix(all, squeezed(m.Words.Link))
			all = strings.TrimSuffix(all, squeezed("Runbook: "+m.Words.Guide))
		}
		got, rest, more := strings.Cut(said, "There is more than Teams takes")
		if !more && squeezed(got) != all || more && (rest == "" || !strings.HasPrefix(all, squeezed(got)) && !strings.Contains(got, "…")) {
			t.Errorf("%s: it says\n%.2000s\nwant\n%.2000s", title, squeezed(got), all)
		}
		if more != (len(body) > 20000) {
			t.Errorf("%s: of %d characters it says that there is more: %v", title, len(body), more)
		}
	}
}

// squeezed leaves out what a layout is made of.
func squeezed(s string) string {
	return strings.NewReplacer(" ", "", "\n", "", "\u2060", "", "•", "", "-", "", "What to do:", "Whattodo").Replace(s)
}

// texts are the runs of text of a card, in their order.
func texts(v any) (all []string) {
	switch v := v.(type) {
	case map[string]any:
		if text, ok := v["text"].(string); ok {
			all = append(all, text)
		}
		for _, name := range []string{"body", "items", "inlines"} {
			all = append(all, texts(v[name])...)
		}
	case []any:
		for _, each := range v {
			all = append(all, texts(each)...)
		}
	}
	return all
}

// What a workflow answers says whether it is sent again; its URL is in no error, and a connector's is not asked at all.
func TestAnswers(t *testing.T) {
	t.Parallel()
	f := newFlow(t)
	for _, c := range []struct {
		status     int
		says, want string
	}{
		{http.StatusBadRequest, `{"error":{"code":"Other","message":"c4n4ry-sig_-AZ09"}}`, notifytest.OnlyThis},
		{http.StatusBadRequest, `{"error":{"code":"WorkflowTriggerIsNotEnabled","message":"c4n4ry-sig_-AZ09"}}`, notifytest.Person},
		{http.StatusBadRequest, `{"error":{"code":"TriggerInputSchemaMismatch"}}`, notifytest.Person},
		{http.StatusRequestEntityTooLarge, "", notifytest.OnlyThis},
		{http.StatusUnauthorized, "c4n4ry-sig_-AZ09", notifytest.Person},
		{http.StatusForbidden, "", notifytest.Person},
		{http.StatusNotFound, "", notifytest.Person},
		{http.StatusFound, "", notifytest.Person},
		{http.StatusTooManyRequests, "", notifytest.Limited},
		{http.StatusBadGateway, "", notifytest.Again},
	} {
		f.status, f.says = c.status, c.says
		_, err := receiver(t, f.url()).Send(t.Context(), notifytest.Open())
		if got := notifytest.Asks(err); got != c.want || strings.Contains(err.Error(), "c4n4ry") {
			t.Errorf("HTTP %d %s: %s (%v), want %s", c.status, c.says, got, err, c.want)
		}
	}
	f.status, f.asked = 0, nil
	for _, bad := range []string{
		"", "c4n4ry", "http://teams.example.com/c4n4ry", "https://c4n4ry:x@host/", "https://contoso.webhook.office.com/webhookb2/c4n4ry",
		"https://outlook.office.com/webhook/c4n4ry", "ftp://127.0.0.1/c4n4ry", "https://%zz/c4n4ry",
	} {
		_, err := receiver(t, bad).Send(t.Context(), notifytest.Open())
		_, reached := receiver(t, bad).Reach(t.Context())
		if notifytest.Asks(err) != notifytest.Person || notifytest.Asks(reached) != notifytest.Person ||
			strings.Contains(err.Error()+reached.Error(), "c4n4ry") {
			t.Errorf("%q: %v, %v", bad, err, reached)
		}
	}
	if c, err := receiver(t, f.url()).Reach(t.Context()); err != nil || strings.Contains(c.Says, "c4n4ry") ||
		strings.Join(f.asked, ",") != "HEAD /" {
		t.Errorf("reached: %v, %v; asked %v", c, err, f.asked)
	}
	if where := receiver(t, f.url()).Where(t.Context()); strings.Contains(where, "c4n4ry") || !strings.Contains(where, "127.0.0.1") {
		t.Errorf("where: %s", where)
	}
	f.Close()
	_, err := receiver(t, f.url()).Send(t.Context(), notifytest.Open())
	if notifytest.Asks(err) != notifytest.Again || strings.Contains(err.Error(), "127.0.0.1") {
		t.Errorf("nobody there: %v", err)
	}
}
