package sim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// SlackMessage is a message as its readers see it now.
type SlackMessage struct {
	Channel, TS string
	Text        string // of the notification
	Blocks      json.RawMessage
	Updates     int
}

// Lines returns the text of the blocks, a line each.
func (m SlackMessage) Lines() []string {
	var blocks []struct {
		Text     struct{ Text string }
		Elements []struct{ Text string }
	}
	_ = json.Unmarshal(m.Blocks, &blocks)
	var lines []string
	for _, b := range blocks {
		lines = append(lines, strings.Split(strings.TrimRight(b.Text.Text, "\n"), "\n")...)
		for _, e := range b.Elements {
			lines = append(lines, e.Text)
		}
	}
	return slices.DeleteFunc(lines, func(l string) bool { return l == "" })
}

// Slack is a simulated Slack: chat.postMessage and chat.update. It is safe for concurrent use.
type Slack struct {
	Token string               // that it accepts
	Told  func(m SlackMessage) // called after each post and update; may be nil

	mu       sync.Mutex
	messages []SlackMessage
	calls    []string // raw bodies, for tests that look for secrets
	fail     []string // errors for the next calls
}

// FailNext makes the next calls fail with these errors; "429" and "500" are HTTP statuses, "hang"
// waits, "lost" does the work and drops the answer.
func (s *Slack) FailNext(errors ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = append(s.fail, errors...)
}

// Messages returns the messages as they stand.
func (s *Slack) Messages() []SlackMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.messages)
}

// Calls returns the raw body of every call.
func (s *Slack) Calls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

func (s *Slack) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
	if err := r.ParseForm(); err != nil {
		answer(w, http.StatusBadRequest, map[string]any{"ok": false, "error": "invalid_form_data"})
		return
	}
	form := r.PostForm
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	if token == "" {
		token = form.Get("token")
	}
	form.Del("token")
	s.mu.Lock()
	s.calls = append(s.calls, r.URL.Path+" "+form.Encode())
	fail := ""
	if len(s.fail) > 0 {
		fail, s.fail = s.fail[0], s.fail[1:]
	}
	s.mu.Unlock()
	switch fail {
	case "":
	case "lost":
		s.act(r.URL.Path, form.Get)
		panic(http.ErrAbortHandler)
	case "hang":
		<-r.Context().Done()
		return
	case "429":
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
		return
	case "500":
		w.WriteHeader(http.StatusInternalServerError)
		return
	default:
		answer(w, http.StatusOK, map[string]any{"ok": false, "error": fail})
		return
	}
	if token != s.Token {
		answer(w, http.StatusOK, map[string]any{"ok": false, "error": "invalid_auth"})
		return
	}
	answer(w, http.StatusOK, s.act(r.URL.Path, form.Get))
}

func (s *Slack) act(path string, field func(string) string) map[string]any {
	s.mu.Lock()
	var m *SlackMessage
	switch {
	case strings.HasSuffix(path, "/chat.postMessage"):
		s.messages = append(s.messages, SlackMessage{Channel: "C" + strings.TrimLeft(field("channel"), "#C"), TS: fmt.Sprintf("1790000000.%06d", len(s.messages)+1)})
		m = &s.messages[len(s.messages)-1]
	case strings.HasSuffix(path, "/chat.update"):
		i := slices.IndexFunc(s.messages, func(m SlackMessage) bool { return m.TS == field("ts") && m.Channel == field("channel") })
		if i < 0 {
			s.mu.Unlock()
			return map[string]any{"ok": false, "error": "message_not_found"}
		}
		m = &s.messages[i]
		m.Updates++
	default:
		s.mu.Unlock()
		return map[string]any{"ok": false, "error": "unknown_method"}
	}
	m.Text, m.Blocks = field("text"), json.RawMessage(field("blocks"))
	told := *m
	s.mu.Unlock()
	if s.Told != nil {
		s.Told(told)
	}
	return map[string]any{"ok": true, "channel": told.Channel, "ts": told.TS, "text": told.Text}
}
