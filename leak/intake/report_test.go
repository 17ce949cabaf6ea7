package intake

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
)

func reports(t *testing.T, format string, content []byte) (string, []Reported, error) {
	t.Helper()
	var all []Reported
	got, err := ReadReport(bytes.NewReader(content), format, func(r Reported) error { all = append(all, r); return nil })
	return got, all, err
}

// Each tool's report is known by itself, and its secret, place and date are read.
func TestReports(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct {
		format, path, commit, day string
		line                      int
	}{
		"gitleaks.json":     {"gitleaks", "config/app.env", "11e8e3f9c2b2a3a8a53cf5d7b5f6e1f6f1a2b3c4", "2026-01-02", 3},
		"trufflehog.ndjson": {"trufflehog", "keys", "fbc14303ffbf8fb1c2c1914e8dda7d0121633aca", "2026-06-16", 4},
		"gitleaks.sarif":    {"sarif", "config/app.env", "11e8e3f9c2b2a3a8a53cf5d7b5f6e1f6f1a2b3c4", "2026-01-02", 3},
	} {
		content, err := os.ReadFile(filepath.Join("testdata", "reports", name))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range [][]byte{content, append([]byte("\ufeff"), content...)} {
			format, all, err := reports(t, "", c)
			if err != nil || format != want.format || len(all) != 2 {
				t.Errorf("%s: format %q, %d findings, %v", name, format, len(all), err)
				continue
			}
			r := all[0]
			if !slices.Contains(r.Values, "SECRET-OF-THE-TEST") || r.Path != want.path || r.Commit != want.commit ||
				r.Line != want.line || r.At.Format(time.DateOnly) != want.day {
				t.Errorf("%s: values %q in %s:%d of %s, %s", name, r.Values, r.Path, r.Line, r.Commit, r.At)
			}
			if !slices.Contains(all[1].Values, "AKIAFOREIGNFOREIGNXX") {
				t.Errorf("%s: the other has %q", name, all[1].Values)
			}
		}
	}
}

// What a tool hides leaves the beginning, or nothing.
func TestHiddenValues(t *testing.T) {
	t.Parallel()
	for text, part := range map[string]string{
		"abcdefghij...": "abcdefghij", "abcdefghij…": "abcdefghij", "abcdefghij*****": "abcdefghij", "REDACTED": "", "abc...": "",
		"a...b...c...defgh": "",
	} {
		var r Reported
		r.value(text)
		if got := strings.Join(r.Parts, " "); got != part || part != "" && len(r.Values) > 0 {
			t.Errorf("%q: parts %q, values %q", text, got, r.Values)
		}
	}
}

// What is no report is refused with what and where, and never with what stands there.
func TestBadReports(t *testing.T) {
	t.Parallel()
	wide := func(s string) []byte {
		b := []byte{0xff, 0xfe}
		for _, u := range utf16.Encode([]rune(s)) {
			b = append(b, byte(u), byte(u>>8))
		}
		return b
	}
	deep := strings.Repeat(`{"a":`, 10_000) + "1" + strings.Repeat("}", 10_000)
	for name, c := range map[string]struct {
		format  string
		content []byte
		want    string
	}{
		"an error object":   {"gitleaks", []byte(`{"error":"hunter2-hunter2"}`), "a JSON list is wanted"},
		"cut":               {"gitleaks", []byte(`[{"Secret":"hunter2-hunter2"`), "element 0: it ends too early"},
		"another type":      {"gitleaks", []byte(`[{"Secret":17}]`), "element 0: the member Secret is a number"},
		"a huge number":     {"gitleaks", []byte(`[{"StartLine":1e18}]`), "element 0: the member StartLine"},
		"a member twice":    {"gitleaks", []byte(`[{"Secret":"a","Secret":"hunter2-hunter2"}]`), "element 0: a member is there twice"},
		"deep":              {"gitleaks", []byte("[" + deep + "]"), "nested deeper"},
		"deeper than JSON":  {"gitleaks", []byte("[" + strings.Repeat("[", 20_000)), "element 0"},
		"UTF-16":            {"", wide(`[{"Secret":"hunter2-hunter2"}]`), "it is UTF-16"},
		"not UTF-8":         {"gitleaks", []byte("[{\"Secret\":\"\xff\xfe\"}]"), "it is not UTF-8"},
		"a page":            {"", []byte("<html>hunter2-hunter2"), "this is no report that keyrounds knows"},
		"no runs":           {"sarif", []byte(`{"version":"2.1.0"}`), "runs: it is missing"},
		"runs twice":        {"sarif", []byte(`{"runs":[],"runs":[]}`), "it is there twice"},
		"results an object": {"sarif", []byte(`{"runs":[{"results":{}}]}`), "a list is wanted"},
		"a broken member":   {"sarif", []byte(`{"hunter2-hunter2": `), "a member: it ends too early"},
		"a broken run":      {"sarif", []byte(`{"runs":[{"hunter2-hunter2": `), "a member of a run: it ends too early"},
		"no metadata":       {"trufflehog", []byte(`{"Raw":"hunter2-hunter2"}`), "line 1: it has no SourceMetadata"},
		"a broken line":     {"trufflehog", []byte("{\"SourceMetadata\":{}}\n{\"hunter2-hunter2"), "line 2"},
		"no object":         {"trufflehog", []byte(`17`), "line 1"},
		"a long line":       {"trufflehog", append([]byte(`{"x":"`), make([]byte, maxFinding+1)...), "longer than 4 MiB"},
	} {
		_, _, err := reports(t, c.format, c.content)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, wanted %q", name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error shows what was read: %v", name, err)
		}
	}
}

func FuzzReports(f *testing.F) {
	files, _ := filepath.Glob("testdata/reports/*")
	for _, name := range files {
		content, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for _, format := range append(names(), "") {
			f.Add(format, content)
		}
	}
	f.Fuzz(func(t *testing.T, format string, content []byte) {
		_, _ = ReadReport(bytes.NewReader(content), format, func(r Reported) error {
			if len(r.Values) > mostValues || len(r.Parts) > mostValues {
				t.Fatalf("%d values", len(r.Values))
			}
			return nil
		})
		for _, typ := range WebhookTypes() {
			w := Webhook{Type: typ}
			_, _ = w.Read(t.Context(), http.Header{"X-Github-Event": {"secret_scanning_alert_location"}}, content,
				func(_ context.Context, _ string, _ bool) ([]byte, error) { return content, nil })
		}
	})
}

func sign(key, body []byte) string {
	m := hmac.New(sha256.New, key)
	m.Write(body)
	return "sha256=" + hex.EncodeToString(m.Sum(nil))
}

// GitHub's own example of the partner program: the key, the body and the signature of its documentation.
func TestPartnerSignatureOfTheDocumentation(t *testing.T) {
	t.Parallel()
	keys, _ := json.Marshal(map[string]any{"public_keys": []map[string]string{{
		"key_identifier": "90a421169f0a406205f1563a953312f0be898d3c7b6c06b681aa86a874555f4a",
		"key": "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE9MJJHnMfn2+H4xL4YaPDA4RpJqUq\n" +
			"kCmRCBnYERxZanmcpzQSXs1X/AljlKkbJ8qpVIW4clayyef9gWhFbNHWAA==\n-----END PUBLIC KEY-----\n",
	}}})
	body := []byte(`[{"token":"some_token","type":"some_type","url":"some_url"}]`)
	h := http.Header{}
	h.Set("GITHUB-PUBLIC-KEY-IDENTIFIER", "90a421169f0a406205f1563a953312f0be898d3c7b6c06b681aa86a874555f4a")
	h.Set("GITHUB-PUBLIC-KEY-SIGNATURE", "MEUCIQDKZokqnCjrRtw0tni+2Ltvl/uiMJ1EGumEsp1BsNr32AIgQY1YXD2nlj+XNfGK4rBfkMJ1JDOQcYXxa2sY8FNkrKc=")
	w := Webhook{Type: GitHubPartner}
	if err := w.Verify(h, body, keys, time.Now()); err != nil {
		t.Errorf("GitHub's own example is refused: %v", err)
	}
	if err := w.Verify(h, append(body, ' '), keys, time.Now()); err == nil {
		t.Error("a changed body is accepted")
	}
}

// S21: a missing, wrong, old or foreign signature, or one of another algorithm, is refused.
func TestWebhookSignatures(t *testing.T) {
	t.Parallel()
	now := time.Now()
	body, key := []byte(`{"action":"created"}`), []byte("the webhook's key")
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, _ := x509.MarshalPKIXPublicKey(&private.PublicKey)
	keys, _ := json.Marshal(map[string]any{"public_keys": []map[string]string{{
		"key_identifier": "k1", "key": string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
	}}})
	sum := sha256.Sum256(body)
	der, _ = ecdsa.SignASN1(rand.Reader, private, sum[:])
	signature := base64.StdEncoding.EncodeToString(der)
	stamp := fmt.Sprint(now.Unix())
	old := fmt.Sprint(now.Add(-time.Hour).Unix())
	for name, c := range map[string]struct {
		typ    string
		header map[string]string
		key    []byte
		ok     bool
	}{
		"github":              {GitHub, map[string]string{"X-Hub-Signature-256": sign(key, body)}, key, true},
		"github, none":        {GitHub, nil, key, false},
		"github, another key": {GitHub, map[string]string{"X-Hub-Signature-256": sign([]byte("x"), body)}, key, false},
		"github, SHA-1":       {GitHub, map[string]string{"X-Hub-Signature": "sha1=abc", "X-Hub-Signature-256": "sha1=abc"}, key, false},
		"github, no key":      {GitHub, map[string]string{"X-Hub-Signature-256": sign(nil, body)}, nil, false},
		"github, not hex":     {GitHub, map[string]string{"X-Hub-Signature-256": "sha256=zz"}, key, false},
		"gitguardian": {
			GitGuardian,
			map[string]string{"Timestamp": stamp, "Gitguardian-Signature": sign(append([]byte(stamp), key...), body)},
			key, true,
		},
		"gitguardian, old": {
			GitGuardian,
			map[string]string{"Timestamp": old, "Gitguardian-Signature": sign(append([]byte(old), key...), body)},
			key, false,
		},
		"gitguardian, moved": {
			GitGuardian,
			map[string]string{"Timestamp": stamp, "Gitguardian-Signature": sign(append([]byte(old), key...), body)},
			key, false,
		},
		"gitguardian, no time": {GitGuardian, map[string]string{"Gitguardian-Signature": sign(key, body)}, key, false},
		"partner": {
			GitHubPartner,
			map[string]string{"Github-Public-Key-Identifier": "k1", "Github-Public-Key-Signature": signature},
			keys, true,
		},
		"partner, unknown key": {
			GitHubPartner,
			map[string]string{"Github-Public-Key-Identifier": "k2", "Github-Public-Key-Signature": signature},
			keys, false,
		},
		"partner, no signature": {GitHubPartner, map[string]string{"Github-Public-Key-Identifier": "k1"}, keys, false},
		"partner, an HMAC": {
			GitHubPartner,
			map[string]string{"Github-Public-Key-Identifier": "k1", "Github-Public-Key-Signature": sign(key, body)},
			keys, false,
		},
	} {
		h := http.Header{}
		for k, v := range c.header {
			h.Set(k, v)
		}
		err := Webhook{Type: c.typ}.Verify(h, body, c.key, now)
		var refused *RefusedError
		if c.ok && err != nil || !c.ok && !errors.As(err, &refused) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What GitHub's API does not say now it may say later, whatever came instead.
func TestAnAlertThatCannotBeRead(t *testing.T) {
	t.Parallel()
	h := http.Header{"X-Github-Event": {"secret_scanning_alert"}}
	body := []byte(`{"action":"created","alert":{"number":7},"repository":{"full_name":"acme/x"}}`)
	for answer, why := range map[string]string{
		"<html>": "no JSON at byte 1", `{"secret":7}`: "the member Secret is a number", "": "no JSON at byte 0",
	} {
		_, err := Webhook{Type: GitHub}.Read(t.Context(), h, body,
			func(context.Context, string, bool) ([]byte, error) { return []byte(answer), nil })
		var fetch *FetchError
		if !errors.As(err, &fetch) || fetch.Why != "the alert 7 of acme/x could not be fetched: "+why {
			t.Errorf("%q: %v", answer, err)
		}
	}
}
