package sim

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// SlackMessage is a message as its readers see it now.
type SlackMessage struct {
	Channel, TS string
	Text        string // of the notification
	Blocks      json.RawMessage
	Updates     int
	Files       []SlackFile // in its thread
	Replies     []SlackMessage
	Thread      string // of a reply: the TS of the message that it belongs to
	Broadcast   bool   // of a reply: it is shown in the channel as well
	Metadata    json.RawMessage
}

// SlackFile is a file that was shared.
type SlackFile struct {
	Name    string
	Content string
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
	Token     string               // that it accepts
	AppToken  string               // for Socket Mode; "": it has none
	Groups    map[string][]string  // members of user groups
	Emails    map[string]string    // ids of members by address
	NoHistory bool                 // the scopes to read channels are missing
	Scopes    string               // of the token, as auth.test says them; "": it does not
	Told      func(m SlackMessage) // called after each post and update; may be nil

	mu       sync.Mutex
	messages []SlackMessage
	calls    []string // raw bodies, for tests that look for secrets
	fail     []string // errors for the next calls
	uploads  []SlackFile
	host     string // where it is reached
	socket   socketMode
}

// FailNext makes the next calls fail with these errors; "429" (with Retry-After: 1, or "429 at once" with 0) and "500" are
// HTTP statuses, "hang" waits, "lost" does the work and drops the answer.
func (s *Slack) FailNext(errors ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = append(s.fail, errors...)
}

// Called counts the calls so far.
func (s *Slack) Called() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.calls)
}

// Mend forgets what FailNext asked for.
func (s *Slack) Mend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = nil
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
	if id, ok := strings.CutPrefix(r.URL.Path, "/upload/"); ok {
		s.upload(w, r, id)
		return
	}
	s.mu.Lock()
	s.host = r.Host
	s.mu.Unlock()
	if s.page(w, r) || s.socketRoutes(w, r) {
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
	if err := s.parse(r); err != nil {
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
		s.act(r.URL.Path, form.Get, r.Host)
		panic(http.ErrAbortHandler)
	case "hang":
		<-r.Context().Done()
		return
	case "429", "429 at once":
		w.Header().Set("Retry-After", map[string]string{"429": "1", "429 at once": "0"}[fail])
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
	if s.Scopes != "" {
		w.Header().Set("X-Oauth-Scopes", s.Scopes)
	}
	answer(w, http.StatusOK, s.act(r.URL.Path, form.Get, r.Host))
}

// parse reads a form, or JSON as one.
func (s *Slack) parse(r *http.Request) error {
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		return r.ParseForm()
	}
	var fields map[string]json.RawMessage
	if err := json.NewDecoder(r.Body).Decode(&fields); err != nil {
		return err
	}
	r.PostForm = url.Values{}
	for k, v := range fields {
		var text string
		if json.Unmarshal(v, &text) != nil {
			text = string(v)
		}
		r.PostForm.Set(k, text)
	}
	return nil
}

// upload takes a file's content, as files.getUploadURLExternal asked for.
func (s *Slack) upload(w http.ResponseWriter, r *http.Request, id string) {
	r.Body = http.MaxBytesReader(w, r.Body, 32<<20)
	f, _, err := r.FormFile("file")
	n, nerr := strconv.Atoi(id)
	if err != nil || nerr != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	content, _ := io.ReadAll(f)
	s.mu.Lock()
	defer s.mu.Unlock()
	if n < len(s.uploads) {
		s.uploads[n].Content = string(content)
		s.calls = append(s.calls, r.URL.Path+" "+string(content))
	}
	_, _ = io.WriteString(w, "OK")
}

// read answers what a bot with the scopes of history may see, two messages a page.
func (s *Slack) read(path string, field func(string) string) map[string]any {
	if s.NoHistory {
		return map[string]any{"ok": false, "error": "missing_scope", "needed": "channels:history"}
	}
	channels, list := map[string]bool{}, []SlackMessage{}
	for _, m := range s.messages {
		channels[m.Channel] = true
		switch {
		case strings.HasSuffix(path, "history") && m.Channel == field("channel"):
			list = append(list, m)
		case strings.HasSuffix(path, "replies") && m.Channel == field("channel") && m.TS == field("ts"):
			list = append(append(list, m), m.Replies...)
		}
	}
	if strings.HasSuffix(path, "list") {
		all := []map[string]any{}
		for c := range channels {
			all = append(all, map[string]any{"id": c, "name": strings.TrimPrefix(c, "C")})
		}
		return map[string]any{"ok": true, "channels": all}
	}
	if strings.HasSuffix(path, "history") {
		slices.Reverse(list) // the newest first, as Slack does
	}
	from, _ := strconv.Atoi(field("cursor"))
	page := []map[string]any{}
	for _, m := range list[min(from, len(list)):min(from+2, len(list))] {
		page = append(page, map[string]any{"type": "message", "ts": m.TS, "text": m.Text, "metadata": m.Metadata})
	}
	more := from+2 < len(list)
	answer := map[string]any{"ok": true, "messages": page, "has_more": more}
	if more {
		answer["response_metadata"] = map[string]any{"next_cursor": strconv.Itoa(from + 2)}
	}
	return answer
}

// share puts uploaded files into the thread of a message.
func (s *Slack) share(field func(string) string) (*SlackMessage, map[string]any) {
	var files []struct{ ID string }
	_ = json.Unmarshal([]byte(field("files")), &files)
	i := slices.IndexFunc(s.messages, func(m SlackMessage) bool { return m.TS == field("thread_ts") && m.Channel == field("channel_id") })
	if i < 0 {
		return nil, map[string]any{"ok": false, "error": "channel_not_found"}
	}
	for _, f := range files {
		if n, err := strconv.Atoi(f.ID); err == nil && n < len(s.uploads) {
			s.messages[i].Files = append(s.messages[i].Files, s.uploads[n])
		}
	}
	return &s.messages[i], map[string]any{"ok": true, "files": files}
}

func (s *Slack) act(path string, field func(string) string, host string) map[string]any {
	s.mu.Lock()
	var m *SlackMessage
	switch {
	case strings.HasSuffix(path, "/chat.postMessage") && field("thread_ts") != "":
		i := slices.IndexFunc(s.messages, func(m SlackMessage) bool { return m.TS == field("thread_ts") && m.Channel == field("channel") })
		if i < 0 {
			s.mu.Unlock()
			return map[string]any{"ok": false, "error": "thread_not_found"}
		}
		parent := &s.messages[i]
		reply := SlackMessage{
			Channel: parent.Channel, TS: fmt.Sprintf("%s%03d", parent.TS, len(parent.Replies)+1), Text: field("text"),
			Metadata: json.RawMessage(field("metadata")), Thread: parent.TS, Broadcast: field("reply_broadcast") == "true",
		}
		parent.Replies = append(parent.Replies, reply)
		s.mu.Unlock()
		if s.Told != nil {
			s.Told(reply)
		}
		return map[string]any{"ok": true, "channel": reply.Channel, "ts": reply.TS}
	case strings.HasSuffix(path, "/conversations.list"),
		strings.HasSuffix(path, "/conversations.history"),
		strings.HasSuffix(path, "/conversations.replies"):
		defer s.mu.Unlock()
		return s.read(path, field)
	case strings.HasSuffix(path, "/chat.postMessage"):
		s.messages = append(
			s.messages,
			SlackMessage{Channel: "C" + strings.TrimLeft(field("channel"), "#C"), TS: fmt.Sprintf("1790000000.%06d", len(s.messages)+1)},
		)
		m = &s.messages[len(s.messages)-1]
	case strings.HasSuffix(path, "/chat.update"):
		i := slices.IndexFunc(s.messages, func(m SlackMessage) bool { return m.TS == field("ts") && m.Channel == field("channel") })
		if i < 0 {
			s.mu.Unlock()
			return map[string]any{"ok": false, "error": "message_not_found"}
		}
		m = &s.messages[i]
		m.Updates++
	case strings.HasSuffix(path, "/files.getUploadURLExternal"):
		defer s.mu.Unlock()
		s.uploads = append(s.uploads, SlackFile{Name: field("filename")})
		id := strconv.Itoa(len(s.uploads) - 1)
		return map[string]any{"ok": true, "file_id": id, "upload_url": "http://" + host + "/upload/" + id}
	case strings.HasSuffix(path, "/files.completeUploadExternal"):
		m, said := s.share(field)
		s.mu.Unlock()
		if m != nil && s.Told != nil {
			s.Told(*m)
		}
		return said
	case strings.HasSuffix(path, "/auth.test"):
		s.mu.Unlock()
		return map[string]any{"ok": true, "team": "sim", "user": "keyrounds"}
	case strings.HasSuffix(path, "/usergroups.users.list"):
		defer s.mu.Unlock()
		members, ok := s.Groups[field("usergroup")]
		if !ok {
			return map[string]any{"ok": false, "error": "no_such_subteam"}
		}
		return map[string]any{"ok": true, "users": members}
	case strings.HasSuffix(path, "/users.lookupByEmail"):
		defer s.mu.Unlock()
		id, ok := s.Emails[field("email")]
		if !ok {
			return map[string]any{"ok": false, "error": "users_not_found"}
		}
		return map[string]any{"ok": true, "user": map[string]any{"id": id}}
	case strings.HasSuffix(path, "/views.open"):
		s.mu.Unlock()
		s.socket.mu.Lock()
		s.socket.views = append(s.socket.views, json.RawMessage(field("view")))
		s.socket.mu.Unlock()
		return map[string]any{"ok": true, "view": map[string]any{"id": "V1"}}
	default:
		s.mu.Unlock()
		return map[string]any{"ok": false, "error": "unknown_method"}
	}
	m.Text, m.Blocks, m.Metadata = field("text"), json.RawMessage(field("blocks")), json.RawMessage(field("metadata"))
	told := *m
	s.mu.Unlock()
	if s.Told != nil {
		s.Told(told)
	}
	return map[string]any{"ok": true, "channel": told.Channel, "ts": told.TS, "text": told.Text}
}
