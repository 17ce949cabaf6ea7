package main

import (
	"strings"
	"testing"

	"github.com/keyrounds/keyrounds/checker"
)

// An answer is read as curl -i prints it.
func TestRawAnswers(t *testing.T) {
	t.Parallel()
	const json, html = "Content-Type: application/json\r\n\r\n", "Content-Type: text/html\r\n\r\n"
	refused := `{"error":"invalid_client","error_description":"Bad client credentials"}`
	for what, c := range map[string]struct{ text, provider, want string }{
		"HTTP/2": {"HTTP/2 401 \r\ncontent-type: application/json\r\n\r\n" + refused, "generic", "rejected"},
		"after 100 Continue, chunked": {
			"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: chunked\r\n" + json + refused,
			"smartrecruiters", "rejected",
		},
		"lines of Unix": {"HTTP/1.0 401 x\nContent-Type: application/json\n\n" + refused, "generic", "rejected"},
		"a token": {
			"HTTP/1.1 200 OK\r\n" + json + `{"access_token":"c4n4ry-token","token_type":"bearer","expires_in":1799}`,
			"generic", "ok",
		},
		"a redirect, followed": {
			"HTTP/1.1 302 Found\r\nLocation: https://x/\r\n\r\nHTTP/1.1 200 OK\r\n" + html + "<html>sign in</html>",
			"generic", "intercepted",
		},
		"no headers":   {"HTTP/1.1 503 x\r\n\r\n", "generic", "provider_error"},
		"no body":      {"HTTP/1.1 429 x\r\nRetry-After: 5", "generic", "rate_limited"},
		"not a status": {"HTTP/1.1 99 x\r\n\r\n", "generic", "!is no status line"},
		"no line":      {"HTTP/1.1", "generic", "!is no status line"},
		"no such":      {"HTTP/1.1 200 OK\r\n\r\n", "okt", "!neither a provider"},
		"bad headers":  {"HTTP/1.1 200 OK\r\nno colon here\r\n\r\n", "generic", "!are no headers"},
	} {
		var b strings.Builder
		err := explainRaw(strings.NewReader(c.text), &b, output{format: "table"}, map[string]checker.Provider{}, c.provider, nil)
		if wrong, isError := strings.CutPrefix(c.want, "!"); isError {
			if err == nil || !strings.Contains(err.Error(), wrong) {
				t.Errorf("%s: %v\n%s", what, err, b.String())
			}
			continue
		}
		if err != nil || !strings.Contains(b.String(), "Outcome    "+c.want+"\n") {
			t.Errorf("%s: %v\n%s", what, err, b.String())
		}
		if strings.Contains(b.String(), "c4n4ry") {
			t.Errorf("%s: the token is shown", what)
		}
	}
}

func FuzzRawAnswers(f *testing.F) {
	f.Add([]byte("HTTP/2 401 \r\ncontent-type: application/json\r\n\r\n{}"))
	f.Add([]byte("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200\n\n"))
	f.Fuzz(func(_ *testing.T, text []byte) { _, _ = rawAnswer(text) })
}
