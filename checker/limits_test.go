package checker_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/sim"
)

func bomb(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	chunk := bytes.Repeat([]byte(" "), 1<<20)
	for range 64 {
		if _, err := z.Write(chunk); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestLimitsOfAnAnswer(t *testing.T) {
	t.Parallel()
	token, packed := `{"access_token":"t","token_type":"bearer","expires_in":1799}`, bomb(t)
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write([]byte(token))
	_ = z.Close()
	for _, c := range []struct {
		name    string
		answer  func(http.ResponseWriter)
		outcome checker.Outcome
		reason  checker.Reason
	}{
		{"just small enough", func(w http.ResponseWriter) {
			fmt.Fprint(w, token+strings.Repeat(" ", checker.MaxBody-len(token)))
		}, checker.OK, ""},
		{"one byte too large", func(w http.ResponseWriter) {
			fmt.Fprint(w, token+strings.Repeat(" ", checker.MaxBody-len(token)+1))
		}, checker.Malformed, checker.TooLarge},
		{"gzip", func(w http.ResponseWriter) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(zipped.Bytes())
		}, checker.OK, ""},
		{"gzip bomb", func(w http.ResponseWriter) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(packed)
		}, checker.Malformed, checker.TooLarge},
		{"broken gzip", func(w http.ResponseWriter) {
			w.Header().Set("Content-Encoding", "gzip")
			fmt.Fprint(w, token)
		}, checker.Malformed, ""},
		{"headers too large", func(w http.ResponseWriter) {
			for i := range 200 {
				w.Header().Set(fmt.Sprintf("X-Filler-%d", i), strings.Repeat("a", 1000))
			}
			fmt.Fprint(w, token)
		}, checker.Malformed, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { c.answer(w) }), nil)
			r := checker.New(checker.Options{}).Check(t.Context(), p, target("c", "s3cretvalue"))
			if r.Outcome != c.outcome || r.Reason != c.reason {
				t.Errorf("%s %q, want %s %q: %s", r.Outcome, r.Reason, c.outcome, c.reason, r.Message)
			}
		})
	}
}

// A check says for what it waited: the rate, or those before it.
func TestWaits(t *testing.T) {
	t.Parallel()
	idp := sim.NewProvider(sim.Client{ID: "c", Secret: "s3cretvalue"})
	three := []checker.Target{target("c", "s3cretvalue"), target("c", "s3cretvalue"), target("c", "s3cretvalue")}
	rated := serve(t, idp, func(p *checker.Provider) { p.Rate, p.Concurrency = 10, 8 })
	rs := checker.New(checker.Options{}).CheckAll(t.Context(), nil, rated, three)
	if len(rs) != 3 || rs[1].Waits.Rate < 50*time.Millisecond || rs[1].Waits.Pause >= rs[1].Waits.Rate {
		t.Errorf("at ten a second: %+v", rs)
	}
	slow := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(100 * time.Millisecond) // what is waited for is the wait itself
		idp.ServeHTTP(w, r)
	}), func(p *checker.Provider) { p.Rate, p.Concurrency = 1000, 1 })
	rs = checker.New(checker.Options{}).CheckAll(t.Context(), nil, slow, three)
	if len(rs) != 3 || rs[2].Waits.Concurrency < 50*time.Millisecond || rs[2].Waits.Pause >= rs[2].Waits.Concurrency {
		t.Errorf("one at a time: %+v", rs)
	}
}

func TestNotHTTPAtAll(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{
		"SSH-2.0-OpenSSH_9.2\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
	} {
		t.Run(answer[:3], func(t *testing.T) {
			t.Parallel()
			p := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				conn, buf, err := w.(http.Hijacker).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				_, _ = buf.WriteString(answer)
				_ = buf.Flush()
			}), nil)
			r := checker.New(checker.Options{}).Check(t.Context(), p, target("c", "s3cretvalue"))
			if r.Outcome != checker.Malformed {
				t.Errorf("%+v", r)
			}
		})
	}
}

// Whatever a provider sends back of the secret or the token, in whatever encoding and wherever, a result does not
// hold it (docs/promises.md#a-result-never-holds-the-secret-or-the-token).
func TestEchoesAreScrubbed(t *testing.T) {
	t.Parallel()
	const canary = "c4n4ry+s3cret/väl \"ue\"=="
	encodings := map[string]string{
		"plain":     canary, // JSON-escaped by the places that answer JSON
		"url query": url.QueryEscape(canary),
		"url path":  url.PathEscape(canary),
		"base64":    base64.StdEncoding.EncodeToString([]byte(canary)),
		"base64url": base64.RawURLEncoding.EncodeToString([]byte(canary)),
		"hex":       hex.EncodeToString([]byte(canary)),
		"HEX":       strings.ToUpper(hex.EncodeToString([]byte(canary))),
		"basic":     base64.StdEncoding.EncodeToString([]byte("c%40x:" + url.QueryEscape(canary))),
		"basic raw": base64.StdEncoding.EncodeToString([]byte("c@x:" + canary)),
	}
	places := map[string]func(w http.ResponseWriter, text string){
		"description": func(w http.ResponseWriter, text string) {
			w.WriteHeader(http.StatusUnauthorized)
			_ = json.NewEncoder(w).Encode(map[string]string{"error": "invalid_client", "error_description": "you sent " + text})
		},
		"code": func(w http.ResponseWriter, text string) {
			w.WriteHeader(http.StatusBadRequest)
			_ = json.NewEncoder(w).Encode(map[string]string{"error": text})
		},
		"header": func(w http.ResponseWriter, text string) {
			w.Header().Set(
				"WWW-Authenticate",
				`Bearer error="invalid_client", error_description="`+url.PathEscape(text)+` `+strings.ReplaceAll(text, `"`, `\"`)+`"`,
			)
			w.Header().Set("Content-Type", "application/json; echo="+url.PathEscape(text))
			w.WriteHeader(http.StatusUnauthorized)
		},
		"scope": func(w http.ResponseWriter, text string) {
			answer := map[string]any{"access_token": "t0kenc4n4ry", "token_type": "bearer", "scope": []string{text, "t0kenc4n4ry"}}
			_ = json.NewEncoder(w).Encode(answer)
		},
		"form": func(w http.ResponseWriter, text string) {
			w.Header().Set("Content-Type", "application/x-www-form-urlencoded")
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, url.Values{"error": {"invalid_client"}, "error_description": {text}}.Encode())
		},
	}
	for encoding, text := range encodings {
		for place, answer := range places {
			t.Run(encoding+" in "+place, func(t *testing.T) {
				t.Parallel()
				s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(w, text) }))
				t.Cleanup(s.Close)
				r := checker.New(checker.Options{}).Check(t.Context(), at(t, s.URL, nil), target("c@x", canary, "read"))
				all := strings.ToLower(fmt.Sprintf("%+v", r))
				for name, form := range encodings {
					if strings.Contains(all, strings.ToLower(form)) {
						t.Errorf("the result shows the secret (%s): %s", name, all)
					}
				}
				if strings.Contains(all, "c4n4ry") {
					t.Errorf("the result shows a canary: %s", all)
				}
			})
		}
	}
}
