package secret_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/keyrounds/keyrounds/secret"
)

const canary = "c4n4ry-s3cret/+&=\"x"

func TestValueCannotBePrinted(t *testing.T) {
	t.Parallel()
	v := secret.New([]byte(canary))
	type holder struct{ inner secret.Value }
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%p"} {
		fmt.Fprintf(&out, verb+"\n", v)
		fmt.Fprintf(&out, verb+"\n", &v)
		fmt.Fprintf(&out, verb+"\n", holder{v})
		fmt.Fprintf(&out, verb+"\n", []any{map[string]holder{"a": {v}}})
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "v", v, "h", holder{v})
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v, "h", holder{v})
	j, err := json.Marshal(map[string]any{"v": v, "p": &v})
	if err != nil {
		t.Fatal(err)
	}
	y, err := yaml.Marshal(map[string]any{"v": v, "p": &v})
	if err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() { fmt.Fprint(&out, recover()) }()
		panic(v)
	}()
	out.Write(j)
	out.Write(y)
	for _, form := range []string{canary, hex.EncodeToString([]byte(canary)), "c4n4ry"} {
		if strings.Contains(out.String(), form) {
			t.Errorf("the secret was printed as %q", form)
		}
	}
	if !strings.Contains(string(j), secret.Redacted) || !strings.Contains(string(y), "redacted") {
		t.Error("JSON or YAML do not say that something was redacted")
	}
	if v.Reveal() != canary {
		t.Error("Reveal does not return the secret")
	}
	v.Wipe()
	if strings.Contains(v.Reveal(), "c4n4ry") {
		t.Error("Wipe left the secret")
	}
}

func TestParseReference(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"env:A_B1", "file:/a/b", "exec:pass show x", "systemd:ats", "sealed:"} {
		r, err := secret.ParseReference(good)
		if err != nil || r.String() != good {
			t.Errorf("%q: got %q, %v", good, r, err)
		}
	}
	for _, bad := range []string{
		"", canary, "env:", "env:A-B", "env:1A", "file:relative", "exec: ", "systemd:../x", "systemd:..", "sealed:x", "vault",
		"http://x",
	} {
		_, err := secret.ParseReference(bad)
		if err == nil {
			t.Errorf("%q is accepted", bad)
		} else if len(bad) > 8 && strings.Contains(err.Error(), bad) {
			t.Errorf("the error repeats %q, which may be a secret: %v", bad, err)
		}
	}
}

func TestResolve(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Setenv("KR_GOOD", canary)
	t.Setenv("KR_EMPTY", "")
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	write("unit", canary)
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	good := map[string]string{
		"env":         "env:KR_GOOD",
		"file":        "file:" + write("plain", canary),
		"line end":    "file:" + write("lf", canary+"\n"),
		"CRLF":        "file:" + write("crlf", canary+"\r\n"),
		"byte order":  "file:" + write("bom", "\ufeff"+canary),
		"systemd":     "systemd:unit",
		"exec":        "exec:cat " + filepath.Join(dir, "lf"),
		"exec stderr": "exec:echo noise >&2; cat " + filepath.Join(dir, "lf"),
	}
	for name, ref := range good {
		v, err := secret.Resolve(t.Context(), must(t, ref))
		if err != nil || v.Reveal() != canary {
			t.Errorf("%s: not the secret (error %v)", name, err)
		}
	}
	bad := map[string]struct{ ref, want string }{
		"unset":        {"env:KR_UNSET", "not set"},
		"empty env":    {"env:KR_EMPTY", "empty"},
		"missing":      {"file:" + filepath.Join(dir, "none"), "no such file"},
		"directory":    {"file:" + dir, "not a regular file"},
		"fifo":         {"file:" + fifo, "not a regular file"},
		"empty":        {"file:" + write("empty", "\n"), "empty"},
		"NUL":          {"file:" + write("nul", canary+"\x00"), "NUL"},
		"not text":     {"file:" + write("bin", canary+"\xff\xfe"), "UTF-8"},
		"two lines":    {"file:" + write("two", canary+"\nmore"), "more than one line"},
		"10 MB":        {"file:" + write("big", strings.Repeat(canary, 600000)), "larger than 64 KiB"},
		"exec endless": {"exec:yes", "larger than 64 KiB"},
		"exec fails":   {"exec:echo '" + "c4n4ry" + "' >&2; exit 3", "exit status 3"},
		"sealed":       {"sealed:", "no secret is sealed"},
	}
	for name, c := range bad {
		_, err := secret.Resolve(t.Context(), must(t, c.ref))
		switch {
		case err == nil:
			t.Errorf("%s: no error", name)
		case !strings.Contains(err.Error(), c.want):
			t.Errorf("%s: the error %q does not say %q", name, err, c.want)
		case name != "exec fails" && strings.Contains(err.Error(), "c4n4ry"):
			t.Errorf("%s: the error holds the secret", name)
		}
	}
}

func TestSeal(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key")
	if _, err := secret.OpenSealer(path, false); err == nil {
		t.Fatal("a missing key was opened")
	}
	s, err := secret.OpenSealer(path, true)
	if err != nil {
		t.Fatal(err)
	}
	if st, _ := os.Stat(path); st.Mode().Perm() != 0o600 {
		t.Errorf("the key has mode %o", st.Mode().Perm())
	}
	sealed, err := s.Seal(secret.New([]byte(canary)), "ats-sync")
	if err != nil || strings.Contains(string(sealed), "c4n4ry") {
		t.Fatalf("sealed bytes hold the secret, or error %v", err)
	}
	again, err := secret.OpenSealer(path, true)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := again.Open(sealed, "ats-sync"); err != nil || v.Reveal() != canary {
		t.Errorf("the same key does not open it: %v", err)
	}
	if _, err := again.Open(sealed, "other"); err == nil {
		t.Error("it opens under another credential's name")
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := secret.OpenSealer(path, true); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a key that others can read: %v", err)
	}
}

func TestScrub(t *testing.T) {
	t.Parallel()
	s := secret.NewScrubber(secret.New([]byte(canary)))
	b64 := base64.StdEncoding
	esc, _ := json.Marshal(canary)
	for name, text := range map[string]string{
		"plain":     canary,
		"base64":    b64.EncodeToString([]byte(canary)),
		"base64 +1": b64.EncodeToString([]byte("a" + canary + "b")),
		"base64 +2": b64.EncodeToString([]byte("id:" + "ab" + canary + "bc")),
		"basic":     "Basic " + b64.EncodeToString([]byte("82e4:"+canary)),
		"base64url": base64.RawURLEncoding.EncodeToString([]byte(canary)),
		"hex":       hex.EncodeToString([]byte(canary)),
		"HEX":       strings.ToUpper(hex.EncodeToString([]byte(canary))),
		"hEx":       mixedCase(hex.EncodeToString([]byte(canary))),
		"qUery":     mixedPercent(url.QueryEscape(canary)),
		"pErcent":   mixedPercent(percentAll(canary)),
		"jSon":      strings.ReplaceAll(string(esc), `\u003c`, `\u003C`),
		"query":     url.QueryEscape(canary),
		"path":      url.PathEscape(canary),
		"json":      string(esc),
		"split":     canary[:5] + "\u200b" + canary[5:],
		"NUL split": canary[:5] + "\x00" + canary[5:],
	} {
		got := s.Clean("before "+text+" after", 500)
		if !strings.Contains(got, secret.Redacted) {
			t.Errorf("%s: the secret is still in %q", name, got)
		}
	}
	for in, want := range map[string]string{
		"a\x00b\x1b[31mc":       "ab[31mc",
		"bad\xff":               "bad\ufffd",
		"\u202eevil\u2066":      "evil",
		"one\r\ntwo\u2028three": "one  two three",
		"":                      "",
	} {
		if got := s.Clean(in, 100); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
	if got := s.Clean(strings.Repeat("é", 50), 10); got != "ééééééééé…" {
		t.Errorf("cut: %q", got)
	}
	cut := s.Clean(strings.Repeat("x", 95)+canary, 100)
	if strings.Contains(cut, "c4n") {
		t.Errorf("part of a secret at the cut: %q", cut)
	}
}

// mixedCase changes the case from letter to letter.
func mixedCase(s string) string {
	b := []byte(strings.ToLower(s))
	for i, up := 0, false; i < len(b); i++ {
		if 'a' <= b[i] && b[i] <= 'f' {
			if up {
				b[i] -= 'a' - 'A'
			}
			up = !up
		}
	}
	return string(b)
}

// mixedPercent changes the case of every second percent-encoded byte.
func mixedPercent(s string) string {
	parts := strings.Split(s, "%")
	for i := range parts {
		if i > 0 && i%2 == 0 {
			parts[i] = strings.ToLower(parts[i][:2]) + parts[i][2:]
		}
	}
	return strings.Join(parts, "%")
}

func percentAll(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, "%%%02X", s[i])
	}
	return b.String()
}

// A command of an exec reference sees what it needs of our environment, and no secret of others.
func TestExecSeesNoOtherSecrets(t *testing.T) {
	t.Setenv("KR_OTHER_SECRET", canary)
	t.Setenv("VAULT_ADDR", "https://vault.example")
	t.Setenv("LANG", "C.UTF-8")
	see := func() string {
		t.Helper()
		ref, err := secret.ParseReference(`exec:env | sort | tr '\n' ';'`)
		if err != nil {
			t.Fatal(err)
		}
		v, err := secret.Resolve(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		return v.Reveal()
	}
	got := see()
	if strings.Contains(got, canary) || strings.Contains(got, "VAULT") || !strings.Contains(got, "PATH=") ||
		!strings.Contains(got, "LANG=C.UTF-8") {
		t.Errorf("it sees %s", strings.ReplaceAll(got, canary, "another secret"))
	}
	secret.KeepInExec([]string{"VAULT_ADDR", "KR_NOT_SET"})
	defer secret.KeepInExec(nil)
	if got := see(); strings.Contains(got, canary) || !strings.Contains(got, "VAULT_ADDR=https://vault.example;") ||
		strings.Contains(got, "NOT_SET") {
		t.Errorf("with VAULT_ADDR it sees %s", strings.ReplaceAll(got, canary, "another secret"))
	}
}

func FuzzScrub(f *testing.F) {
	s := secret.NewScrubber(secret.New([]byte(canary)))
	f.Add(canary)
	f.Add("a" + canary + canary)
	f.Fuzz(func(t *testing.T, text string) {
		got := s.Clean(text, 200)
		if strings.Contains(got, canary) || strings.ContainsAny(got, "\x00\x1b\n\u202e") {
			t.Errorf("Clean(%q) = %q", text, got)
		}
	})
}

func must(t *testing.T, ref string) secret.Reference {
	t.Helper()
	r, err := secret.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
