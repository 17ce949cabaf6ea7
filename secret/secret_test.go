package secret_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
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
	for _, good := range []string{
		"env:A_B1", "file:/a/b", "exec:pass show x", "systemd:ats",
		"vault:kv/a/b#c", "vault:team%2Fkv/a b#c d", "sealed:",
	} {
		r, err := secret.ParseReference(good)
		if err != nil || r.String() != good {
			t.Errorf("%q: got %q, %v", good, r, err)
		}
	}
	for _, bad := range []string{
		"", canary, "env:", "env:A-B", "env:1A", "file:relative", "exec: ", "systemd:../x", "systemd:..", "sealed:x", "vault",
		"http://x", "vault:", "vault:kv/a", "vault:kv#c", "vault:/a#c", "vault:kv/#c", "vault:kv/a#", "vault:kv/../a#c", "vault:kv/a/./b#c",
		"vault:kv%2F..%2Fsys/a#c", "vault:kv/a\n#c", "vault:kv%zz/a#c",
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
		"missing":      {"file:" + filepath.Join(dir, "none"), "there is no such file"},
		"directory":    {"file:" + dir, "a directory, whose tls.crt: there is no such file"},
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

// A vault reference is read by what the process was given for it, and its value is kept as that of others is.
func TestVaultReferences(t *testing.T) {
	ref := must(t, "vault:team%2Fkv/ats/x#value")
	_, err := secret.Resolve(t.Context(), ref)
	if !errors.Is(err, secret.ErrUnreadable) || !strings.Contains(err.Error(), "set VAULT_ADDR") {
		t.Errorf("without a Vault: %v", err)
	}
	var asked secret.VaultPlace
	secret.ReadVaultBy(func(_ context.Context, p secret.VaultPlace) ([]byte, error) {
		asked = p
		return []byte(canary + "\n"), nil
	})
	defer secret.ReadVaultBy(nil)
	v, err := secret.Resolve(t.Context(), ref)
	want := secret.VaultPlace{Mount: "team/kv", Path: "ats/x", Field: "value"}
	if err != nil || v.Reveal() != canary || asked != want {
		t.Errorf("%+v, %v", asked, err)
	}
	t.Setenv("VAULT_ADDR", "https://vault.example")
	t.Setenv("VAULT_TOKEN", canary)
	t.Setenv("BAO_NAMESPACE", "b")
	t.Setenv("VAULT_NAMESPACE", "v")
	e := secret.ReadVaultEnv()
	if e.Address != "https://vault.example" || e.Namespace != "b" || e.Token.String() != "env:VAULT_TOKEN" {
		t.Errorf("%+v", e)
	}
	t.Setenv("VAULT_TOKEN_FILE", "/run/token")
	if e := (secret.VaultEnv{Address: "https://other.example"}).Or(secret.ReadVaultEnv()); e.Address != "https://other.example" ||
		e.Token.String() != "file:/run/token" {
		t.Errorf("%+v", e)
	}
}

func TestSeal(t *testing.T) {
	t.Parallel()
	file := secret.KeyFile{Path: filepath.Join(t.TempDir(), "key")}
	if _, err := file.Read(t.Context()); !secret.Missing(err) {
		t.Fatalf("a missing key: %v", err)
	}
	if err := file.Make(t.Context()); err != nil {
		t.Fatal(err)
	}
	if st, _ := os.Stat(file.Path); st.Mode().Perm() != 0o600 {
		t.Errorf("the key has mode %o", st.Mode().Perm())
	}
	if err := file.Make(t.Context()); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second key in the place of the first: %v", err)
	}
	s := sealerOf(t, file, "")
	sealed, err := s.Seal(secret.New([]byte(canary)), "ats-sync")
	if err != nil || strings.Contains(string(sealed), "c4n4ry") {
		t.Fatalf("sealed bytes hold the secret, or error %v", err)
	}
	if got := secret.SealedWith(sealed); got != s.ID() || len(got) != 8 {
		t.Errorf("sealed with %q, the key is %q", got, s.ID())
	}
	again := sealerOf(t, file, "")
	if v, err := again.Open(sealed, "ats-sync"); err != nil || v.Reveal() != canary {
		t.Errorf("the same key does not open it: %v", err)
	}
	if _, err := again.Open(sealed, "other"); err == nil {
		t.Error("it opens under another credential's name")
	}
	if err := os.Chmod(file.Path, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = file.Read(t.Context())
	if err == nil || !strings.Contains(err.Error(), "mode 0644 lets others read it: chmod 600 "+file.Path) {
		t.Errorf("a key that others can read: %v", err)
	}
}

// sealerOf returns the key of that id, or else the primary one.
func sealerOf(t *testing.T, file secret.KeyFile, id string) *secret.Sealer {
	t.Helper()
	keys, err := file.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if id == "" {
		id = keys.Primary()
	}
	s := keys.Sealer(id)
	if s == nil {
		t.Fatalf("no key %s among %v", id, keys.IDs())
	}
	return s
}

// A key is added and taken out; what it sealed meanwhile opens as long as it is there. A link is not replaced by a file.
func TestReplaceTheKey(t *testing.T) {
	t.Parallel()
	file := secret.KeyFile{Path: filepath.Join(t.TempDir(), "key")}
	if err := file.Make(t.Context()); err != nil {
		t.Fatal(err)
	}
	old := sealerOf(t, file, "")
	replace := func(change func(*secret.Keyset) (*secret.Keyset, error)) error {
		keys, err := file.Read(t.Context())
		if err == nil {
			keys, err = change(keys)
		}
		if err != nil {
			t.Fatal(err)
		}
		return file.Replace(t.Context(), keys)
	}
	if err := replace((*secret.Keyset).WithNew); err != nil {
		t.Fatal(err)
	}
	fresh := sealerOf(t, file, "")
	sealed, err := sealerOf(t, file, old.ID()).Seal(secret.New([]byte(canary)), "x")
	if err != nil || fresh.ID() == old.ID() || secret.SealedWith(sealed) != old.ID() {
		t.Fatalf("%s and %s: %v", old.ID(), fresh.ID(), err)
	}
	if v, err := old.Open(sealed, "x"); err != nil || v.Reveal() != canary {
		t.Error(err)
	}
	if _, err := fresh.Open(sealed, "x"); err == nil {
		t.Error("the new key opens what the old one sealed")
	}
	link := secret.KeyFile{Path: file.Path + "-link"}
	if err := os.Symlink(file.Path, link.Path); err != nil {
		t.Fatal(err)
	}
	keys, err := link.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := link.Replace(t.Context(), keys); err == nil {
		t.Error("a link was replaced")
	}
	if err := replace(func(k *secret.Keyset) (*secret.Keyset, error) { return k.Only(fresh.ID()) }); err != nil {
		t.Fatal(err)
	}
	keys, err = file.Read(t.Context())
	if err != nil || !slices.Equal(keys.IDs(), []string{fresh.ID()}) {
		t.Errorf("%v, %v", keys, err)
	}
	if st, _ := os.Stat(file.Path); st.Mode().Perm() != 0o600 {
		t.Errorf("the key has mode %o", st.Mode().Perm())
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(file.Path), ".key-*")); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
	if err := os.WriteFile(file.Path, []byte(canary), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := file.Read(t.Context()); err == nil || strings.Contains(err.Error(), "c4n4ry") {
		t.Errorf("no keyset: %v", err)
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
