package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/keyrounds/keyrounds/usage/feed"
)

// hecAnswer is what Splunk's HTTP Event Collector answers
// (https://docs.splunk.com/Documentation/Splunk/latest/Data/TroubleshootHTTPEventCollector).
type hecAnswer struct {
	Text  string `json:"text"`
	Code  int    `json:"code"`
	Event *int   `json:"invalid-event-number,omitempty"`
}

// What is answered, by HEC's code.
var hecTexts = map[int]string{
	0: "Success", 2: "Token is required", 3: "Invalid authorization", 4: "Invalid token", feed.HECNoData: "No data",
	feed.HECInvalid: "Invalid data format", 8: "Internal server error", 9: "Server is busy", feed.HECMissing: "Event field is required",
	feed.HECBlank: "Event field cannot be blank", 14: "ACK is disabled", 17: "HEC is healthy", 18: "HEC is unhealthy",
	27: "Request entity too large",
}

func answerHEC(w http.ResponseWriter, status, code int) {
	sendHEC(w, status, hecAnswer{Text: hecTexts[code], Code: code})
}

func sendHEC(w http.ResponseWriter, status int, a hecAnswer) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(a)
}

// hecHealth tells a sender whether it may send. Splunk asks nobody for a token here, and senders bring none.
func (s *site) hecHealth(w http.ResponseWriter, r *http.Request) {
	if err := s.Ready(r.Context()); err != nil {
		answerHEC(w, http.StatusServiceUnavailable, 18)
		return
	}
	answerHEC(w, http.StatusOK, 17)
}

// hecAck: nothing is acknowledged later. What is answered with Success is stored.
func (s *site) hecAck(w http.ResponseWriter, _ *http.Request) {
	answerHEC(w, http.StatusBadRequest, 14)
}

// hecEvents takes in events, one after the other, each in its envelope.
func (s *site) hecEvents(w http.ResponseWriter, r *http.Request) {
	s.hec(w, r, func(body []byte) (feed.Envelopes, error) { return feed.HECEvents(body) })
}

// hecRaw takes in the text as it is: the format of the feed reads it.
func (s *site) hecRaw(w http.ResponseWriter, r *http.Request) { s.hec(w, r, nil) }

// hec takes in what is sent to Splunk's HTTP Event Collector. open finds the events of a body; nil: it is read as it is.
func (s *site) hec(w http.ResponseWriter, r *http.Request, open func([]byte) (feed.Envelopes, error)) {
	ctx, cancel := context.WithTimeout(r.Context(), pushTime)
	defer cancel()
	token, scheme := hecToken(r)
	f, ok := s.feedOfToken(ctx, token)
	switch {
	case !ok && s.failures.add(hostOf(r.RemoteAddr), s.Now()) > mostFailures:
		w.Header().Set("Retry-After", "60")
		answerHEC(w, http.StatusTooManyRequests, 9)
		return
	case token == "" && scheme == "":
		answerHEC(w, http.StatusUnauthorized, 2)
		return
	case token == "":
		answerHEC(w, http.StatusUnauthorized, 3)
		return
	case !ok:
		answerHEC(w, http.StatusForbidden, 4)
		return
	}
	if err := s.takeHEC(ctx, f.Feed, w, r, open); err != nil {
		s.refuseHEC(w, f.Feed, err)
		return
	}
	answerHEC(w, http.StatusOK, 0)
}

func (s *site) takeHEC(
	ctx context.Context, f feed.Feed, w http.ResponseWriter, r *http.Request, open func([]byte) (feed.Envelopes, error),
) error {
	body, err := sent(w, r)
	if err == nil && len(bytes.TrimSpace(body)) == 0 {
		err = &feed.HECError{Code: feed.HECNoData}
	}
	if err != nil {
		return err
	}
	if open != nil {
		envelopes, wrong := open(body)
		if broken := (*feed.HECError)(nil); wrong != nil && !errors.As(wrong, &broken) {
			return wrong
		}
		if _, _, err = s.takeSent(ctx, f, envelopes.Text, true); err != nil {
			return err
		}
		return wrong
	}
	_, _, err = s.takeSent(ctx, f, body, false)
	return err
}

func (s *site) refuseHEC(w http.ResponseWriter, f feed.Feed, err error) {
	var wrong *feed.HECError
	if errors.As(err, &wrong) {
		a := hecAnswer{Text: hecTexts[wrong.Code], Code: wrong.Code}
		if wrong.Code != feed.HECNoData {
			a.Event = &wrong.Event
			s.Log.Warn("what was sent was refused", "feed", f.Name, "why", a.Text)
		}
		sendHEC(w, http.StatusBadRequest, a)
		return
	}
	status, _ := s.refusal(f, err)
	code := feed.HECInvalid
	switch status {
	case http.StatusRequestEntityTooLarge:
		code = 27
	case http.StatusServiceUnavailable:
		code = 9
		w.Header().Set("Retry-After", "10")
	case http.StatusRequestTimeout:
		code = 9
	}
	answerHEC(w, status, code)
}

// hecToken is the token of a request: Authorization: Splunk TOKEN, Basic with the token as the password, or as of every
// push. scheme is what else Authorization says.
func hecToken(r *http.Request) (token, scheme string) {
	if token = r.Header.Get("X-Feed-Token"); token != "" {
		return token, ""
	}
	if _, password, is := r.BasicAuth(); is {
		return password, "Basic"
	}
	scheme, token, _ = strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Splunk") && !strings.EqualFold(scheme, "Bearer") {
		return "", scheme
	}
	return strings.TrimSpace(token), scheme
}
