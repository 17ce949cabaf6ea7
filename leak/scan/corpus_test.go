package scan

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"html"
	"io"
	"maps"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz/lzma"

	"github.com/keyrounds/keyrounds/test/lasting"
)

// corpusDir keeps the corpus of TestCorpus, for other tools: go test ./leak/scan -run TestCorpus -v -corpus DIR.
// With gitleaks in the PATH, it is run on the same, with a rule made for these secrets.
var corpusDir = flag.String("corpus", "", "make the corpus of TestCorpus in this directory, keep it, and run gitleaks on it")

// corpus is secrets planted in places: each its own, so that what is found says where it was.
type corpus struct {
	testing.TB
	dir     string
	near    bool // each differs from the registered one in one character
	r       *rand.Rand
	kinds   []string // of the places
	secrets []string // registered
	names   []string
}

// plant makes a secret for a place, and returns it as it is to be written there.
func (c *corpus) plant(kind, name string) string {
	alphabets := []string{alnum, inBase64, entra, alnum + "!#$%&*()<>?^{}|;:,@[]~"}
	s := "kr7Q" + text(c.r, alphabets[len(c.secrets)%len(alphabets)], 34) + "x9"
	c.kinds, c.names, c.secrets = append(c.kinds, kind), append(c.names, kind+": "+name), append(c.secrets, s)
	if c.near {
		return other(s)
	}
	return s
}

// written is a file's text with a secret.
func writtenAs(encode func(string) string, s string) []byte {
	return []byte("# settings\nclient_secret: " + encode(s) + "\nregion: eu\n")
}

type namedEncoder struct {
	name   string
	encode func(string) string
}

func quoted(s string) string { b, _ := json.Marshal(s); return string(b[1 : len(b)-1]) }

func everyChar(as string) func(string) string {
	return func(s string) string {
		var b strings.Builder
		for _, c := range []byte(s) {
			fmt.Fprintf(&b, as, c)
		}
		return b.String()
	}
}

// corpusEncoders are those of encoders.md that a Go program writes as their libraries do; TestRealEncoders runs the libraries.
func corpusEncoders() (all []namedEncoder) {
	all = []namedEncoder{
		{"plain", func(s string) string { return s }},
		{"JSON", quoted},
		{"percent", url.QueryEscape},
		{"HTML", html.EscapeString},
		{"base64", func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }},
		{"hex", func(s string) string { return hex.EncodeToString([]byte(s)) }},
		{"every character as \\u", everyChar(`\u%04x`)},
		{"every character as %XX", everyChar("%%%02X")},
		{"every character as \\x", everyChar(`\x%02x`)},
		{"every character as an entity", everyChar("&#%d;")},
		{"base64url without padding", func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte("ab" + s)) }},
		{"UTF-16 in base64", func(s string) string { return base64.StdEncoding.EncodeToString([]byte(inUTF16(s, 0))) }},
		{".dockerconfigjson", func(s string) string {
			auth := base64.StdEncoding.EncodeToString([]byte("robot:" + s))
			return base64.StdEncoding.EncodeToString([]byte(`{"auths":{"r.example.com":{"auth":"` + auth + `"}}}`))
		}},
		{"joined strings", func(s string) string { return `"` + s[:8] + `" + "` + s[8:] + `"` }},
		{"broken into lines", func(s string) string {
			return brokenInto(base64.StdEncoding.EncodeToString([]byte("front "+s+" end")), 36, "\n  ")
		}},
	}
	for _, e := range inGo {
		if e.name != "a kerned PDF text" && e.name != "YAML single quotes" {
			all = append(all, namedEncoder{e.name, e.encode})
		}
	}
	return all
}

type packer struct {
	name string
	pack func(t testing.TB, content []byte) []byte
}

func corpusContainers() []packer {
	compress := func(open func(io.Writer) (io.WriteCloser, error)) func(testing.TB, []byte) []byte {
		return func(t testing.TB, content []byte) []byte { return written(t, content, open) }
	}
	file := func(content []byte) map[string][]byte {
		name := "etc/app.env"
		if !slices.ContainsFunc([]string{"# settings", "MZ", "#!"}, func(p string) bool { return bytes.HasPrefix(content, []byte(p)) }) {
			name = "etc/app.br" // of brotli only the name tells
		}
		return map[string][]byte{name: content}
	}
	return []packer{
		{"zip", func(t testing.TB, b []byte) []byte { return zipped(t, file(b)) }},
		{"tar", func(t testing.TB, b []byte) []byte { return tarred(t, file(b)) }},
		{"gz", gz},
		{"xz", xzed},
		{"zlib", zlibbed},
		{"deb", func(t testing.TB, b []byte) []byte { return deb(t, file(b)) }},
		{"rpm", func(t testing.TB, b []byte) []byte { return rpm(t, "etc/app.env", b) }},
		{"pdf", pdf},
		{"png", png},
		{"iso", func(t testing.TB, b []byte) []byte { return iso(t, "app.env", b) }},
		{"br", compress(func(w io.Writer) (io.WriteCloser, error) { return brotli.NewWriter(w), nil })},
		{"zst", compress(func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) })},
		{"lzma", compress(func(w io.Writer) (io.WriteCloser, error) { return lzma.NewWriter(w) })},
		{"lzma.zip", func(t testing.TB, b []byte) []byte { return zipLZMA(t, "app.env", b) }},
		{"sfx.exe", func(t testing.TB, b []byte) []byte {
			return append([]byte("MZ"+strings.Repeat("\x90\x00", 500)), zipped(t, file(b))...)
		}},
		{"run", func(t testing.TB, b []byte) []byte {
			return append([]byte("#!/bin/sh\ntail -n +3 $0 | tar xz\nexit\n"), gz(t, tarred(t, file(b)))...)
		}},
	}
}

// build plants secrets in files, and in a repository.
func (c *corpus) build() {
	files := map[string][]byte{}
	add := func(kind, name string, content func(s string) []byte) {
		i := len(c.secrets)
		files[fmt.Sprintf("files/%03d.%s", i, name[strings.LastIndex(name, " ")+1:])] = content(c.plant(kind, name))
	}
	encoders, containers := corpusEncoders(), corpusContainers()
	for _, e := range encoders {
		add("file, by encoder", e.name+" txt", func(s string) []byte { return writtenAs(e.encode, s) })
	}
	for _, p := range containers {
		for _, e := range encoders[:10] {
			add("container, by encoder", e.name+" "+p.name, func(s string) []byte { return p.pack(c, writtenAs(e.encode, s)) })
		}
		for _, outer := range containers[:6] {
			add("container in a container", p.name+" in "+outer.name+" "+p.name+"."+outer.name, func(s string) []byte {
				return outer.pack(c, p.pack(c, writtenAs(encoders[0].encode, s)))
			})
		}
	}
	for _, outer := range encoders[1:9] {
		for _, inner := range encoders[1:6] {
			add("encoder in an encoder", inner.name+" in "+outer.name+" txt", func(s string) []byte {
				return writtenAs(func(s string) string { return outer.encode(inner.encode(s)) }, s)
			})
		}
	}
	for name, content := range files {
		put(c, c.dir, name, content)
	}
	c.repository(encoders, containers)
}

// repository plants secrets in each place of a git repository.
func (c *corpus) repository(encoders []namedEncoder, containers []packer) {
	dir := filepath.Join(c.dir, "repository")
	r := &repository{t: c, dir: dir}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		c.Fatal(err)
	}
	r.git("init", "-q", "-b", "main")
	r.commit("README", []byte("hello\n"))
	some := func(place string, n int, packed int) (names []string) {
		for _, e := range encoders[:n] {
			name := fmt.Sprintf("%s/%03d.txt", place, len(c.secrets))
			put(c, dir, name, writtenAs(e.encode, c.plant("git: "+place, e.name)))
			names = append(names, name)
		}
		for _, p := range containers[:packed] {
			name := fmt.Sprintf("%s/%03d.%s", place, len(c.secrets), p.name)
			put(c, dir, name, p.pack(c, writtenAs(encoders[0].encode, c.plant("git: "+place, p.name))))
			names = append(names, name)
		}
		return names
	}
	some("removed", 10, len(containers))
	r.git("add", "-A")
	r.git("commit", "-q", "-m", "a")
	r.git("rm", "-q", "-r", "removed")
	r.git("commit", "-q", "-m", "b")
	r.git("checkout", "-q", "-b", "release")
	some("tip", 8, 4)
	r.git("add", "-A")
	r.git("commit", "-q", "-m", "c")
	r.git("checkout", "-q", "main")
	some("reflog", 8, 2)
	r.git("add", "-A")
	r.git("commit", "-q", "-m", "d")
	r.git("reset", "-q", "--hard", "HEAD~1")
	some("stash", 8, 6)
	r.git("add", "-A")
	r.git("stash", "-q")
	put(c, dir, "other", []byte("x"))
	r.git("add", "-A")
	r.git("stash", "-q")
	for i, e := range encoders[:10] {
		put(c, c.dir, "message", writtenAs(e.encode, c.plant("git: tag's message", e.name)))
		r.git("tag", "-a", fmt.Sprint("v", i), "-F", filepath.Join(c.dir, "message"))
		put(c, c.dir, "message", writtenAs(e.encode, c.plant("git: commit's message", e.name)))
		r.git("commit", "-q", "--allow-empty", "--cleanup=verbatim", "-F", filepath.Join(c.dir, "message"))
	}
	_ = os.Remove(filepath.Join(c.dir, "message"))
	names := some("index", 8, 6)
	r.git("add", "-A")
	for _, name := range names {
		_ = os.Remove(filepath.Join(dir, filepath.FromSlash(name)))
	}
}

// At least 95 of 100 of some 450 places are found, every one in git, and none of as many near misses. The table of docs/leaks.md is this
// test's, with -v.
func TestCorpus(t *testing.T) {
	lasting.Test(t, "it makes and searches a corpus")
	t.Parallel()
	top := *corpusDir
	if top == "" {
		top = t.TempDir()
	}
	real := &corpus{TB: t, dir: filepath.Join(top, "real"), r: rand.New(rand.NewPCG(25, 9))}
	near := &corpus{TB: t, dir: filepath.Join(top, "near"), near: true, r: rand.New(rand.NewPCG(25, 9))}
	real.build()
	near.build()
	var terms []Term
	for i, s := range real.secrets {
		terms = append(terms, Term{Credential: fmt.Sprint(i), Kind: Secret, Value: s, Partner: "robot"})
	}
	began := cpuTime()
	s, _ := NewScanner(terms, Options{History: true})
	if err := s.Tree(t.Context(), real.dir); err != nil {
		t.Fatal(err)
	}
	took := cpuTime() - began
	found := map[string]bool{}
	for _, h := range s.Found().Hits {
		found[h.Credential] = true
	}
	wrong, _ := NewScanner(terms, Options{History: true})
	if err := wrong.Tree(t.Context(), near.dir); err != nil {
		t.Fatal(err)
	}
	for _, h := range wrong.Found().Hits {
		t.Errorf("a near miss is found: %s (%s) in %s", real.names[atoi(h.Credential)], h.Encoding, h.Path)
	}
	total, got := map[string]int{}, map[string]int{}
	misses := 0
	for i, kind := range real.kinds {
		total[kind]++
		if found[fmt.Sprint(i)] {
			got[kind]++
			continue
		}
		misses++
		t.Logf("missed: %s", real.names[i])
		if strings.HasPrefix(kind, "git") {
			t.Errorf("missed in git: %s", real.names[i])
		}
	}
	n := len(real.secrets)
	if n < 400 || misses*100 > 5*n {
		t.Errorf("%d of %d places are missed", misses, n)
	}
	of := gitleaks(t, real)
	for _, kind := range slices.Sorted(maps.Keys(total)) {
		t.Logf("| %s | %d | %d | %d |", kind, total[kind], got[kind], of[kind])
	}
	t.Logf("%d places, %d found, %d wrong of as many near misses; %.2f s of CPU", n, n-misses, len(wrong.Found().Hits), took.Seconds())
	if skipped := s.Found().Skipped; len(skipped) > 0 {
		t.Errorf("not searched: %v", skipped)
	}
}

func atoi(text string) (n int) { _, _ = fmt.Sscan(text, &n); return n }

// cpuTime is of this process and of those that it waited for.
func cpuTime() (d time.Duration) {
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		_ = syscall.Getrusage(who, &u)
		d += time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return d
}

// gitleaks counts by kind what gitleaks finds with a rule that is made for these secrets; nothing, where it is not asked for.
func gitleaks(t *testing.T, c *corpus) map[string]int {
	t.Helper()
	counts := map[string]int{}
	if _, err := exec.LookPath("gitleaks"); err != nil || *corpusDir == "" {
		return counts
	}
	rule := filepath.Join(*corpusDir, "rule.toml")
	put(t, *corpusDir, "rule.toml", []byte("[[rules]]\nid = \"made\"\nregex = '''kr7Q[!-~]{34}x9'''\n"))
	began := cpuTime()
	var reports bytes.Buffer
	for _, args := range [][]string{
		{"dir", filepath.Join(c.dir, "files")},
		{"dir", filepath.Join(c.dir, "repository")},
		{"git", filepath.Join(c.dir, "repository")},
	} {
		report := filepath.Join(*corpusDir, "report.json")
		args = append(args, "-c", rule, "--max-archive-depth", "8", "--max-decode-depth", "6", "--exit-code", "0",
			"--report-format", "json", "--report-path", report)
		if out, err := exec.Command("gitleaks", args...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		b, _ := os.ReadFile(report)
		var all []struct{ Secret string }
		_ = json.Unmarshal(b, &all)
		for _, f := range all {
			reports.WriteString(f.Secret + "\n")
		}
	}
	n := 0
	for i, s := range c.secrets {
		if strings.Contains(reports.String(), s) {
			counts[c.kinds[i]]++
			n++
		}
	}
	t.Logf("gitleaks with a rule made for them: %d; %.2f s of CPU", n, (cpuTime() - began).Seconds())
	return counts
}
