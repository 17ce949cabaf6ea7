package sim

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// Socket Mode: an app opens connections, and each press and command goes to one of them, in turn.
type socketMode struct {
	mu        sync.Mutex
	conns     []*socketConn
	next      int
	envelopes int
	acks      map[string]chan json.RawMessage
	said      []string // to single people: ephemeral answers
	views     []json.RawMessage
	forms     int // that were sent
}

type socketConn struct {
	mu   sync.Mutex
	conn *websocket.Conn
}

func (c *socketConn) send(v any) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn.WriteJSON(v)
}

// Connections returns how many are open.
func (s *Slack) Connections() int {
	s.socket.mu.Lock()
	defer s.socket.mu.Unlock()
	return len(s.socket.conns)
}

// Drop breaks every connection.
func (s *Slack) Drop() {
	s.socket.mu.Lock()
	defer s.socket.mu.Unlock()
	for _, c := range s.socket.conns {
		_ = c.conn.Close()
	}
	s.socket.conns = nil
}

// Said returns what single people were told, that nobody else sees.
func (s *Slack) Said() []string {
	s.socket.mu.Lock()
	defer s.socket.mu.Unlock()
	return append([]string(nil), s.socket.said...)
}

// socketRoutes answers what belongs to Socket Mode; false: it does not.
func (s *Slack) socketRoutes(w http.ResponseWriter, r *http.Request) bool {
	switch {
	case strings.HasSuffix(r.URL.Path, "/apps.connections.open"):
		if s.AppToken == "" || r.Header.Get("Authorization") != "Bearer "+s.AppToken {
			answer(w, http.StatusOK, map[string]any{"ok": false, "error": "invalid_auth"})
			return true
		}
		answer(w, http.StatusOK, map[string]any{"ok": true, "url": "ws://" + r.Host + "/socket"})
	case r.URL.Path == "/socket":
		s.connect(w, r)
	case strings.HasPrefix(r.URL.Path, "/response"):
		b, _ := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		var m struct{ Text string }
		_ = json.Unmarshal(b, &m)
		s.socket.mu.Lock()
		s.socket.said = append(s.socket.said, m.Text)
		s.socket.mu.Unlock()
		s.mu.Lock()
		s.calls = append(s.calls, r.URL.Path+" "+string(b))
		s.mu.Unlock()
	default:
		return false
	}
	return true
}

func (s *Slack) connect(w http.ResponseWriter, r *http.Request) {
	up := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }} // as Slack, which is no page's
	conn, err := up.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	c := &socketConn{conn: conn}
	_ = c.send(map[string]any{"type": "hello", "num_connections": 1, "connection_info": map[string]any{"app_id": "A1"}})
	s.socket.mu.Lock()
	s.socket.conns = append(s.socket.conns, c)
	s.socket.mu.Unlock()
	done := make(chan struct{})
	go c.ping(done)
	defer func() {
		close(done)
		_ = conn.Close()
		s.socket.mu.Lock()
		defer s.socket.mu.Unlock()
		for i, o := range s.socket.conns {
			if o == c {
				s.socket.conns = append(s.socket.conns[:i], s.socket.conns[i+1:]...)
				return
			}
		}
	}()
	for {
		var ack struct {
			EnvelopeID string `json:"envelope_id"`
			Payload    json.RawMessage
		}
		if conn.ReadJSON(&ack) != nil {
			return
		}
		s.socket.mu.Lock()
		if ch := s.socket.acks[ack.EnvelopeID]; ch != nil {
			delete(s.socket.acks, ack.EnvelopeID)
			ch <- ack.Payload
		}
		s.socket.mu.Unlock()
	}
}

// ping does so every few seconds: an app takes a silent connection for dead.
func (c *socketConn) ping(done <-chan struct{}) {
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
			_ = c.conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(time.Second))
		}
	}
}

// envelope sends one to the connection whose turn it is, times times, and waits 3 s for its answer, as Slack
// does.
func (s *Slack) envelope(kind string, payload any, times int) (json.RawMessage, error) {
	s.socket.mu.Lock()
	if len(s.socket.conns) == 0 {
		s.socket.mu.Unlock()
		return nil, fmt.Errorf("no app is connected")
	}
	s.socket.envelopes++
	id := fmt.Sprintf("e-%d-%d", time.Now().UnixNano(), s.socket.envelopes)
	got := make(chan json.RawMessage, 1)
	if s.socket.acks == nil {
		s.socket.acks = map[string]chan json.RawMessage{}
	}
	s.socket.acks[id] = got
	var to []*socketConn
	for range times {
		s.socket.next++
		to = append(to, s.socket.conns[s.socket.next%len(s.socket.conns)])
	}
	s.socket.mu.Unlock()
	for _, c := range to {
		envelope := map[string]any{"type": kind, "envelope_id": id, "accepts_response_payload": true, "payload": payload}
		if err := c.send(envelope); err != nil {
			return nil, err
		}
	}
	select {
	case p := <-got:
		return p, nil
	case <-time.After(3 * time.Second):
		return nil, fmt.Errorf("the app did not answer in 3 s")
	}
}

// Press is what a user does with an element of a message.
type Press struct {
	User, Name string
	Message    SlackMessage
	Action     string // action_id of a button, or of a select
	Option     string // of a select: the beginning of the option's value
	Value      string // instead of the one that the message has now: a stale or forged one
	Twice      bool   // Slack sends the envelope two times
}

// Press presses, and returns once the app has answered.
func (s *Slack) Press(p Press) error {
	var blocks []block
	_ = json.Unmarshal(p.Message.Blocks, &blocks)
	action := map[string]any{"action_id": p.Action, "block_id": "b1", "type": "button", "value": p.Value}
	found := p.Value != ""
	for _, b := range blocks {
		for _, e := range b.Elements {
			if e.ActionID != p.Action || found {
				continue
			}
			found = true
			action["value"] = e.Value
			for _, o := range e.Options {
				if strings.HasPrefix(o.Value, p.Option+" ") {
					action["type"], action["selected_option"] = "static_select", map[string]any{"value": o.Value}
				}
			}
		}
	}
	if !found {
		return fmt.Errorf("the message has no %q", p.Action)
	}
	times := 1
	if p.Twice {
		times = 2
	}
	_, err := s.envelope("interactive", map[string]any{
		"type":         "block_actions",
		"user":         map[string]any{"id": p.User, "name": p.Name, "username": p.Name},
		"trigger_id":   "t1",
		"response_url": s.responseURL(),
		"container":    map[string]any{"type": "message", "message_ts": p.Message.TS, "channel_id": p.Message.Channel},
		"actions":      []any{action},
	}, times)
	return err
}

// Submit sends the form that was opened last, with a text in its only field of text; a day stays as it was shown.
func (s *Slack) Submit(user, name, text string) error {
	s.socket.mu.Lock()
	if len(s.socket.views) == 0 {
		s.socket.mu.Unlock()
		return fmt.Errorf("no form is open")
	}
	var view map[string]any
	_ = json.Unmarshal(s.socket.views[len(s.socket.views)-1], &view)
	s.socket.mu.Unlock()
	s.socket.mu.Lock()
	s.socket.forms++
	s.socket.mu.Unlock()
	view["state"] = map[string]any{"values": filledIn(view, text)}
	_, err := s.envelope(
		"interactive",
		map[string]any{"type": "view_submission", "user": map[string]any{"id": user, "name": name}, "view": view},
		1,
	)
	return err
}

// filledIn are the values of a form.
func filledIn(view map[string]any, text string) map[string]any {
	values := map[string]any{}
	blocks, _ := view["blocks"].([]any)
	for _, b := range blocks {
		block, _ := b.(map[string]any)
		element, is := block["element"].(map[string]any)
		if !is {
			continue
		}
		value := map[string]any{"type": element["type"], "value": text}
		if element["type"] == "datepicker" {
			value = map[string]any{"type": "datepicker", "selected_date": element["initial_date"]}
		}
		values[fmt.Sprint(block["block_id"])] = map[string]any{fmt.Sprint(element["action_id"]): value}
	}
	return values
}

// Views counts the forms that were opened.
func (s *Slack) Views() int {
	s.socket.mu.Lock()
	defer s.socket.mu.Unlock()
	return len(s.socket.views)
}

func (s *Slack) submitted() int {
	s.socket.mu.Lock()
	defer s.socket.mu.Unlock()
	return s.socket.forms
}

// Command types a slash command, and returns what is answered at once.
func (s *Slack) Command(user, name, text string) (string, error) {
	p, err := s.envelope("slash_commands", map[string]any{
		"command": "/keyrounds", "text": text, "user_id": user, "user_name": name, "response_url": s.responseURL(),
	}, 1)
	var m struct{ Text string }
	_ = json.Unmarshal(p, &m)
	return m.Text, err
}

func (s *Slack) responseURL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return "http://" + s.host + "/response/" + strconv.Itoa(len(s.calls))
}
