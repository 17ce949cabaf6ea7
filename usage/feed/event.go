package feed

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Kind says what a record of a feed is about.
type Kind string

// The kinds.
const (
	Exchange  Kind = "exchange"  // a client asked the authorization server for a token
	Request   Kind = "request"   // a client called an API
	LastUsed  Kind = "last_used" // all that is known is when a client was last used
	Heartbeat Kind = "heartbeat" // the feed lives
	Other     Kind = "other"     // a client is named, and it is no use of its secret: the feed shows clients
	Created   Kind = "created"   // someone made a credential, as the provider's own log says
	Changed   Kind = "changed"   // someone changed it
	Revoked   Kind = "revoked"   // someone revoked it
)

// IsUse reports whether k is about a client that did something.
func (k Kind) IsUse() bool { return k == Exchange || k == Request || k == LastUsed }

// IsLifecycle reports whether k is about what was done to a credential.
func (k Kind) IsLifecycle() bool { return k == Created || k == Changed || k == Revoked }

// Event is a record of a feed in the form that is the same for all of them. What comes from outside
// in it is cleaned when it is stored.
type Event struct {
	Kind      Kind
	ID        string // the source's own; may be empty
	ClientID  string // may be empty: the record says nothing of a client
	At        time.Time
	Address   netip.Addr // where from; not valid: not said
	UserAgent string
	Scopes    []string // nil: not said
	OK        bool     // it was not refused
	Denied    bool     // of one that is OK: the client was verified, and what it asked for was not allowed
	KeyID     string   // which of the client's keys it proved itself with; empty: not said
	TokenID   string   // the token's jti
	TokenHash []byte   // SHA-256 of the token
	Actor     string   // who did it, of a lifecycle event
	Count     int64    // so many between From and At; 0: it is one
	From      time.Time
}

// Times is how many events e stands for: Count, or 1 where that is 0.
func (e Event) Times() int64 { return max(1, e.Count) }

// Names reports whether e shows that its feed shows clients which are let in. A log of refusals alone shows none.
func (e Event) Names() bool { return e.ClientID != "" && e.OK && (e.Kind.IsUse() || e.Kind == Other) }

// The names of an event's members in the output of a format's jq.
const (
	memberKind = "kind"
	memberID   = "event_id"
)

// eventOf reads what a format's jq makes of a record: an object with the members kind (default
// request), event_id, client_id, key_id, at, source_ip, user_agent, scopes, ok (default true), allowed (default true),
// token_id, token_sha256, actor and count (how many such there were). Its errors say which member is wrong and never repeat its value.
func eventOf(v any) (Event, error) {
	m, ok := v.(map[string]any)
	if !ok {
		return Event{}, errors.New("the format's jq gives something that is no object")
	}
	e := Event{Kind: Request, OK: true}
	if k, ok := m[memberKind].(string); ok {
		e.Kind = Kind(k)
	}
	if !e.Kind.IsUse() && !e.Kind.IsLifecycle() && e.Kind != Heartbeat && e.Kind != Other {
		return e, errors.New("the format's jq gives an unknown kind")
	}
	var err error
	if e.At, err = timeOf(m["at"]); err != nil {
		return e, err
	}
	e.ID, e.ClientID = textOf(m[memberID]), strings.TrimSpace(textOf(m["client_id"]))
	if e.ClientID == "-" { // an empty variable in nginx and Envoy
		e.ClientID = ""
	}
	if len(e.ClientID) > 512 {
		return e, errors.New("client_id is longer than 512 bytes")
	}
	e.Address = addressOf(textOf(m["source_ip"]))
	e.UserAgent, e.Actor, e.TokenID = textOf(m["user_agent"]), textOf(m["actor"]), textOf(m["token_id"])
	e.Scopes = scopesOf(m["scopes"])
	e.TokenHash = hashOf(textOf(m["token_sha256"]))
	e.KeyID = textOf(m["key_id"])
	if len(e.KeyID) > 200 {
		return e, errors.New("key_id is longer than 200 bytes")
	}
	if e.Count, err = countOf(m["count"]); err != nil {
		return e, err
	}
	switch ok := m["ok"].(type) {
	case bool:
		e.OK = ok
	case nil:
	default:
		return e, errors.New("ok is neither true nor false")
	}
	switch allowed := m["allowed"].(type) {
	case bool:
		e.Denied = e.OK && !allowed
	case nil:
	default:
		return e, errors.New("allowed is neither true nor false")
	}
	return e, nil
}

// countOf rounds up: of a thing that Prometheus extrapolates there may be 0.9.
func countOf(v any) (int64, error) {
	var f float64
	switch v := v.(type) {
	case nil:
		return 0, nil
	case int:
		f = float64(v)
	case float64:
		f = v
	default:
		return 0, errors.New("count is no number")
	}
	if math.IsNaN(f) || f <= 0 || f > 1e15 {
		return 0, errors.New("count is no number of uses")
	}
	return int64(math.Ceil(f)), nil
}

func textOf(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case int:
		return strconv.Itoa(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case json.Number: // what gojq's fromjson makes
		return v.String()
	}
	return ""
}

var errTime = errors.New("at is missing, or no time: RFC 3339, or seconds or milliseconds since 1970, is expected")

// The layouts of time beside RFC 3339, the commonest first.
var layouts = []string{
	"02/Jan/2006:15:04:05 -0700", // nginx and Apache $time_local
	time.RFC3339Nano,             // of what something stood around
	"2006-01-02T15:04:05.999999999-0700",
	"2006-01-02 15:04:05.999999999Z07:00",
	"2006-01-02T15:04:05.999999999", // without a zone: UTC
	"2006-01-02 15:04:05.999999999",
	"2006-01-02 15:04:05,999",
	"2006-01-02 15:04:05.999999999 -0700",
	"2006-01-02 15:04:05.999999999 -07:00",
	"2006-01-02T15:04:05,999Z07:00",
	"2006-01-02T15:04:05,999-0700",
	"02/Jan/2006:15:04:05",
	"Mon, 02 Jan 2006 15:04:05", // HTTP dates (RFC 9110 §5.6.7)
	"Mon, 2 Jan 2006 15:04:05 -0700",
	"Monday, 02-Jan-06 15:04:05",
	"Mon Jan _2 15:04:05 2006",
	"2 Jan 2006 15:04:05",
	"2 Jan 2006 15:04:05 -0700",
	"2006-01-02T15:04Z07:00",
	"20060102T150405Z",
	"1/2/2006 3:04:05 PM", // Azure; without AM or PM nobody knows whose order it is
	"1/2/2006 3:04:05 PM -07:00",
}

// utc are names of UTC that times end with. Other names of zones are not read: EST may be three of them.
var utc = []string{" UTC", " GMT", " Z", "UTC"}

func timeOf(v any) (time.Time, error) {
	switch v := v.(type) {
	case string:
		if t, err := time.Parse(time.RFC3339Nano, v); err == nil {
			return t.UTC(), nil
		}
		v = strings.TrimSuffix(strings.Trim(v, " []"), "[UTC")
		for _, name := range utc {
			v = strings.TrimSuffix(v, name)
		}
		for _, l := range layouts {
			if t, err := time.Parse(l, v); err == nil {
				return t.UTC(), nil
			}
		}
		if f, err := strconv.ParseFloat(v, 64); err == nil {
			return unix(f)
		}
	case int:
		return unix(float64(v))
	case float64:
		return unix(v)
	case json.Number:
		if f, err := v.Float64(); err == nil {
			return unix(f)
		}
	}
	return time.Time{}, errTime
}

// unix reads seconds, milliseconds, microseconds or nanoseconds since 1970 by their size: until the
// year 5138 seconds have at most 11 digits.
func unix(f float64) (time.Time, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) || f <= 0 {
		return time.Time{}, errTime
	}
	for f >= 1e11 {
		f /= 1000
	}
	return time.UnixMicro(int64(math.Round(f * 1e6))).UTC(), nil
}

// addressOf reads an address, with or without a port or brackets. Of a list, as in X-Forwarded-For,
// it takes none: which entry can be believed is the format's to say.
func addressOf(s string) netip.Addr {
	if s == "" {
		return netip.Addr{}
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		ap, perr := netip.ParseAddrPort(s)
		if a = ap.Addr(); perr != nil {
			if a, err = netip.ParseAddr(strings.Trim(s, "[]")); err != nil {
				return netip.Addr{}
			}
		}
	}
	return a.Unmap().WithZone("")
}

const maxScopes = 200

func scopesOf(v any) []string {
	var list []string
	switch v := v.(type) {
	case string:
		if v == "" || v == "-" {
			return nil
		}
		list = strings.FieldsFunc(v, func(r rune) bool { return r == ' ' || r == ',' })
	case []any:
		for _, e := range v {
			if s, ok := e.(string); ok && s != "" {
				list = append(list, s)
			}
		}
	}
	return list[:min(len(list), maxScopes)]
}

// hashOf reads a SHA-256 in hexadecimal or base64.
func hashOf(s string) []byte {
	if s == "" {
		return nil
	}
	for _, decode := range []func(string) ([]byte, error){
		hex.DecodeString, base64.StdEncoding.DecodeString, base64.RawURLEncoding.DecodeString,
	} {
		if b, err := decode(s); err == nil && len(b) == sha256.Size {
			return b
		}
	}
	return nil
}
