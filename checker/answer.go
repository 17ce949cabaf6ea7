package checker

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Response is an answer of a token endpoint, read to its end, and what had been asked for.
type Response struct {
	Status    int
	Header    http.Header
	Body      []byte   // at most MaxBody bytes
	Requested []string // the scopes that were requested or, where none were, are declared; nil: none
}

// bodyKind says what an answer's body is.
type bodyKind int

const (
	emptyBody bodyKind = iota
	object             // a JSON object, or a form read as one
	otherJSON
	html
	text
)

// answer is a Response taken apart.
type answer struct {
	status      int
	kind        bodyKind
	members     map[string]any
	unread      error  // an expression of Provider.Response could not be run: what it would have found is not known
	code        string // the error code, lower case; "" where there is none
	subcode     string // the first of error_codes
	description string
	texts       []string // the strings of a JSON body, wherever they are, up to mostTexts
	failed      bool     // the body itself says that the request failed
	challenged  bool     // the code is of WWW-Authenticate: the body has none
}

func readAnswer(r Response, where map[string]JQ) answer {
	a := answer{status: r.Status}
	body := bytes.TrimSpace(bytes.TrimPrefix(r.Body, []byte("\ufeff")))
	mediaType, _, _ := strings.Cut(strings.ToLower(r.Header.Get("Content-Type")), ";")
	mediaType = strings.TrimSpace(mediaType)
	switch {
	case len(body) == 0:
		a.kind = emptyBody
	case body[0] == '<':
		a.kind = html
	case mediaType == "application/x-www-form-urlencoded":
		a.kind, a.members = object, formMembers(string(body))
	default:
		a.readJSON(body, mediaType)
	}
	if a.kind == object {
		a.reshape(where, body)
		a.findCode()
	}
	if a.code == "" {
		a.readChallenge(r.Header)
	}
	if a.kind == text {
		a.description = string(body[:min(len(body), 1024)])
	}
	return a
}

func (a *answer) readJSON(body []byte, mediaType string) {
	var v any
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	err := d.Decode(&v)
	if err == nil && d.More() {
		err = errTrailing
	}
	members, isObject := v.(map[string]any)
	if err == nil {
		a.texts = textsIn(v, nil, 0)
	}
	switch {
	case err == nil && isObject:
		a.kind, a.members = object, members
	case err == nil:
		a.kind = otherJSON
	case strings.Contains(mediaType, "html"):
		a.kind = html
	case body[0] == '{' || body[0] == '[' || !utf8.Valid(body):
		a.kind = otherJSON // broken JSON, or no text at all
	default:
		a.kind = text
	}
}

var errTrailing = &json.SyntaxError{}

func formMembers(body string) map[string]any {
	members := map[string]any{}
	values, _ := url.ParseQuery(body)
	for k := range values {
		members[k] = values.Get(k)
	}
	return members
}

// findCode looks where providers put an error code, in this order; the first hit wins. Numbers
// and the words of HTTP statuses are no codes.
func (a *answer) findCode() {
	m := lowerNames(a.members)
	nested, _ := m["error"].(map[string]any)
	response, _ := m["response"].(map[string]any)
	fault, _ := m["fault"].(map[string]any)
	for _, v := range []any{
		m["error"], nested["code"], nested["type"], nested["status"], m["errorcode"], m["error_code"],
		firstOf(m["errors"])["code"], firstOf(response["errors"])["code"],
		m["status"], m["code"], m["name"],
	} {
		if s, ok := v.(string); ok && isCode(s) {
			a.code = strings.ToLower(s)
			break
		}
	}
	for _, v := range []any{
		m["error_description"], m["error_descrription"], m["errordescription"], m["reason"], m["message"],
		m["errorsummary"], m["detail"], m["description"],
		m["error_message"], nested["message"], firstOf(m["errors"])["message"], firstOf(response["errors"])["message"],
		fault["faultstring"], m["error"],
	} {
		if s, ok := v.(string); ok && s != "" {
			a.description = s
			break
		}
	}
	if codes, _ := m["error_codes"].([]any); len(codes) > 0 {
		if n, ok := codes[0].(json.Number); ok {
			a.subcode = n.String()
		}
	}
	ok, isBool := m["ok"].(bool)
	success, isSuccess := m["success"].(bool)
	a.failed = a.code != "" || isBool && !ok || isSuccess && !success ||
		filled(m["error"]) || filled(m["errors"]) || filled(m["errorcode"])
	if a.code == "" && isCode(a.description) && strings.Contains(a.description, "_") {
		a.code = strings.ToLower(a.description) // {"message":"invalid_client"}
	}
}

// The texts of an answer that are looked at, and how deep.
const (
	mostTexts   = 50
	deepestText = 6
)

// lowerNames is m with the names of its members in lower case: Apigee writes ErrorCode.
func lowerNames(m map[string]any) map[string]any {
	lower := true
	for name := range m {
		lower = lower && name == strings.ToLower(name)
	}
	if lower {
		return m
	}
	all := make(map[string]any, len(m))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		all[strings.ToLower(name)] = m[name]
	}
	return all
}

// textsIn appends the strings in v that are sentences: those with a space.
func textsIn(v any, found []string, depth int) []string {
	if depth > deepestText || len(found) >= mostTexts {
		return found
	}
	switch v := v.(type) {
	case string:
		if strings.Contains(v, " ") {
			found = append(found, v[:min(len(v), 1024)])
		}
	case []any:
		for _, e := range v {
			found = textsIn(e, found, depth+1)
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) { // the same answer, the same reading
			found = textsIn(v[name], found, depth+1)
		}
	}
	return found
}

// filled reports whether a member says anything: null, false, 0, "" and empty lists do not.
func filled(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case string:
		return v != ""
	case json.Number:
		return v.String() != "0"
	case []any:
		return len(v) > 0
	case map[string]any:
		return len(v) > 0
	}
	return true
}

func firstOf(v any) map[string]any {
	list, _ := v.([]any)
	if len(list) == 0 {
		return nil
	}
	m, _ := list[0].(map[string]any)
	return m
}

var codePattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.:-]{1,63}$`)

func isCode(s string) bool {
	switch strings.ToLower(s) {
	case "unauthorized", "forbidden", "error", "fail", "failed", "failure", "ok", "success", "false", "true", "bad_request", "badrequest":
		return false // words of HTTP or of nobody
	}
	return codePattern.MatchString(s)
}

var challengeError = regexp.MustCompile(`(?i)\berror="([^"]{1,64})"`)

// readChallenge takes the error out of WWW-Authenticate where the body has none (RFC 6750 §3).
func (a *answer) readChallenge(h http.Header) {
	for _, c := range h.Values("WWW-Authenticate") {
		if m := challengeError.FindStringSubmatch(c); m != nil && isCode(m[1]) {
			a.code, a.failed, a.challenged = strings.ToLower(m[1]), true, true
			return
		}
	}
}

// token returns the access token, "" where there is none.
func (a answer) token() string {
	s, _ := a.members["access_token"].(string)
	return strings.TrimSpace(s)
}

// expiresIn reads expires_in, a number or a string of one; what makes no sense is 0.
func (a answer) expiresIn() time.Duration {
	var text string
	switch v := a.members["expires_in"].(type) {
	case json.Number:
		text = v.String()
	case string:
		text = v
	}
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil || seconds < 0 || seconds > 1e9 {
		return 0
	}
	return time.Duration(seconds) * time.Second
}
