package scan

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/keyrounds/keyrounds/confine"
	"github.com/keyrounds/keyrounds/test/lasting"
)

const (
	canary   = "Canary.s3cret/with+odd~chars=77"
	canaryID = "82e4424135fe01c169165228a84e7c5c"
)

var planted = []Term{
	{Credential: "ats-sync", Kind: Secret, Value: canary, Partner: canaryID},
	{Credential: "ats-sync", Kind: ClientID, Value: canaryID},
}

// scan searches a path and returns each hit as "path:line kind encoding".
func scan(t *testing.T, o Options, paths ...string) (Found, []string) {
	t.Helper()
	s, short := NewScanner(planted, o)
	if len(short) > 0 {
		t.Fatalf("too short: %d", len(short))
	}
	for _, p := range paths {
		if err := s.Tree(context.Background(), p); err != nil {
			t.Fatal(err)
		}
	}
	f := s.Found()
	var lines []string
	for _, h := range f.Hits {
		if h.Value != "" || h.Partner != "" {
			t.Error("a hit has the secret in it")
		}
		lines = append(lines, fmt.Sprintf("%s:%d %s %s", h.Path, h.Line, h.Kind, h.Encoding))
	}
	if text := fmt.Sprint(f); strings.Contains(text, canary) {
		t.Error("what was found shows the secret")
	}
	return f, lines
}

func put(t testing.TB, dir, name string, content []byte) {
	t.Helper()
	name = filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, got []string, wanted ...string) {
	t.Helper()
	slices.Sort(got)
	slices.Sort(wanted)
	if !slices.Equal(got, wanted) {
		t.Errorf("found\n\t%s\nwanted\n\t%s", strings.Join(got, "\n\t"), strings.Join(wanted, "\n\t"))
	}
}

// inUTF16 writes ASCII, little endian, or big endian with order 1.
func inUTF16(text string, order int) string {
	var b []byte
	for _, c := range []byte(text) {
		pair := []byte{c, 0}
		b = append(b, pair[order], pair[1-order])
	}
	return string(b)
}

func gz(t testing.TB, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(content)
	_ = w.Close()
	return b.Bytes()
}

func zipped(t testing.TB, files map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, content := range files {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write(content)
	}
	_ = z.Close()
	return b.Bytes()
}

func tarred(t testing.TB, files map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, content := range files {
		_ = w.WriteHeader(&tar.Header{Name: name, Size: int64(len(content)), Mode: 0o600, Typeflag: tar.TypeReg})
		_, _ = w.Write(content)
	}
	_ = w.Close()
	return b.Bytes()
}

// Trees as they are found: binary and UTF-16 files, one huge line, links in circles, pipes, what cannot be read,
// names that hold the secret.
func TestTree(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	line := []byte("first\nsecond " + canary + "\nthird\n")
	put(t, dir, "plain.env", line)
	put(t, dir, "binary", append(bytes.Repeat([]byte{0, 1, 2, 0xff}, 5000), canary...))
	put(t, dir, "utf16.ps1", append([]byte{0xff, 0xfe}, inUTF16("first\r\nsecond "+canary+"\r\n", 0)...))
	put(t, dir, "no-bom", []byte("a\n"+inUTF16(canary, 1)))
	put(t, dir, "huge", []byte(strings.Repeat("x", 3<<20)+canary+strings.Repeat("y", 3<<20)))
	put(t, dir, "dir/"+strings.ReplaceAll(canary, "/", "%2F"), nil)
	put(t, dir, "none", []byte(canary[:len(canary)-1]))
	if err := os.Symlink("..", filepath.Join(dir, "dir", "loop")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("plain.env", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, got := scan(t, Options{}, dir)
	want(t, got, "plain.env:2 secret plain", "binary:1 secret plain", "utf16.ps1:2 secret utf-16", "no-bom:2 secret utf-16",
		"huge:1 secret plain", "dir/*****:0 secret url")
	if len(f.Skipped) > 0 {
		t.Errorf("left out: %v", f.Skipped)
	}
	if _, got := scan(t, Options{}, filepath.Join(dir, "link")); len(got) != 1 {
		t.Errorf("a link that is named itself: %q", got)
	}
}

// A scan from the root does not read /proc, where files have no end.
func TestKernelsFiles(t *testing.T) {
	t.Parallel()
	if !isKernels("/proc") || isKernels(t.TempDir()) {
		t.Error("the kernel's file systems are not told from others")
	}
}

func TestArchives(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	line := []byte("first\n" + canary + "\n")
	inner := zipped(t, map[string][]byte{"conf/app.env": line})
	put(t, dir, "a.zip", zipped(t, map[string][]byte{"b.tar.gz": gz(t, tarred(t, map[string][]byte{"c.zip": inner, "d.txt": line}))}))
	put(t, dir, "e.gz", gz(t, line))
	var z bytes.Buffer
	w, _ := zstd.NewWriter(&z)
	_, _ = w.Write(line)
	_ = w.Close()
	put(t, dir, "f.whatever", z.Bytes())
	put(t, dir, "broken.gz", append(gz(t, line)[:20], canary...))
	put(t, dir, "not-a.zip", []byte("PK\x03\x04 "+canary))
	put(t, dir, "behind.tar", append(tarred(t, map[string][]byte{"x": []byte("y")}), canary...))
	f, got := scan(t, Options{}, dir)
	want(t, got, "a.zip!/b.tar.gz!/c.zip!/conf/app.env:2 secret plain", "a.zip!/b.tar.gz!/d.txt:2 secret plain", "e.gz:2 secret plain",
		"f.whatever:2 secret plain", "broken.gz:1 secret plain", "not-a.zip:1 secret plain", "behind.tar:1 secret plain")
	if len(f.Skipped) != 2 {
		t.Errorf("left out: %v", f.Skipped)
	}
}

// A small file that unpacks to very much ends, with what was found before, and says that it is not whole.
func TestBombs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	level := gz(t, make([]byte, 1<<20))
	files := map[string][]byte{}
	for i := range 40 {
		files[fmt.Sprintf("%02d.gz", i)] = level
	}
	put(t, dir, "bomb.zip", zipped(t, files))
	deep := []byte(canary)
	for range maxDepth + 2 {
		deep = zipped(t, map[string][]byte{"x": deep})
	}
	put(t, dir, "deep.zip", deep)
	put(t, dir, "z.env", []byte(canary))
	f, got := scan(t, Options{Unpack: 4 << 20}, dir)
	want(t, got, "z.env:1 secret plain")
	if len(f.Skipped) != 2 || f.Bytes > 5<<20 {
		t.Errorf("%d bytes were read; left out: %v", f.Bytes, f.Skipped)
	}
}

// repository is a git repository of a test, with dates of its own.
type repository struct {
	t   testing.TB
	dir string
	day int
}

func newRepository(t *testing.T) *repository {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Fatal("git is needed: apt-get install git")
	}
	r := &repository{t: t, dir: t.TempDir()}
	r.git("init", "-q", "-b", "main")
	return r
}

func (r *repository) git(args ...string) string {
	r.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = r.dir
	date := time.Date(2024, 1, 1+r.day, 12, 0, 0, 0, time.UTC).Format(time.RFC3339)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=a",
		"GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com",
		"GIT_AUTHOR_DATE="+date, "GIT_COMMITTER_DATE="+date)
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit writes a file, or removes it with nil, and returns the commit.
func (r *repository) commit(name string, content []byte) string {
	r.t.Helper()
	r.day++
	if content == nil {
		r.git("rm", "-q", "--", name)
	} else {
		put(r.t, r.dir, name, content)
		r.git("add", "-A")
	}
	r.git("commit", "-q", "-m", fmt.Sprintf("change %d", r.day))
	return r.git("rev-parse", "HEAD")
}

// found writes a hit of a history: what, where, since when.
func found(h Hit) string {
	head := "history"
	if h.InHead {
		head = "HEAD"
	}
	return fmt.Sprintf("%s:%d %s %s %.7s %s %s", h.Path, h.Line, h.Kind, h.Encoding, h.Commit, head, h.FirstSeen.Format(time.DateOnly))
}

func TestHistory(t *testing.T) {
	lasting.Test(t, "it runs git many times")
	t.Parallel()
	r := newRepository(t)
	r.commit("README", []byte("hello\n"))
	first := r.commit("config/app.env", []byte("A=1\nSECRET="+canary+"\n"))
	r.commit("config/app.env", []byte("A=2\nB=3\nSECRET="+canary+"\n")) // the same leak
	r.git("mv", "config/app.env", "config/renamed.env")
	renamed := r.commit("README", []byte("hello again\n"))
	r.commit("config/renamed.env", nil)
	packed := r.commit("backup.zip", zipped(t, map[string][]byte{"etc/app.env": []byte("\n\n" + canary)}))

	r.git("checkout", "-q", "-b", "side")
	side := r.commit("side.bin", append([]byte{0, 1, 0xff}, "Basic "+base64.StdEncoding.EncodeToString([]byte(canaryID+":"+canary))...))
	r.git("checkout", "-q", "main")
	r.commit("main.txt", []byte("main\n"))
	r.git("merge", "-q", "--no-commit", "side")
	r.day++
	put(t, r.dir, "merge.txt", []byte("only the merge has "+canary))
	r.git("add", "-A")
	r.git("commit", "-q", "-m", "merge")
	merge := r.git("rev-parse", "HEAD")
	r.git("branch", "-q", "-D", "side")

	r.git("checkout", "-q", "-b", "gone")
	gone := r.commit("gone.env", []byte(canary+"\n"))
	r.git("checkout", "-q", "main")
	r.git("branch", "-q", "-D", "gone")
	r.git("gc", "-q")
	put(t, r.dir, "work.env", []byte("not committed: "+canary))

	f, _ := scan(t, Options{History: true, Workers: 2}, r.dir)
	var got []string
	for _, h := range f.Hits {
		got = append(got, found(h))
	}
	day := func(n int) string { return time.Date(2024, 1, 1+n, 0, 0, 0, 0, time.UTC).Format(time.DateOnly) }
	reachable := []string{
		"config/app.env:2 secret plain " + first[:7] + " history " + day(2),
		"config/renamed.env:3 secret plain " + renamed[:7] + " history " + day(4),
		"backup.zip!/etc/app.env:3 secret plain " + packed[:7] + " HEAD " + day(6),
		"side.bin:1 secret basic " + side[:7] + " HEAD " + day(7),
		"merge.txt:1 secret plain " + merge[:7] + " HEAD " + day(9),
		"work.env:1 secret plain  history 0001-01-01",
	}
	want(t, got, reachable...)

	f, _ = scan(t, Options{History: true, Unreachable: true}, r.dir)
	got = nil
	for _, h := range f.Hits {
		got = append(got, found(h))
	}
	want(t, got, append(reachable, "gone.env:1 secret plain "+gone[:7]+" history "+day(10))...)

	bare := filepath.Join(t.TempDir(), "mirrors", "bare.git")
	if out, err := exec.Command("git", "clone", "-q", "--bare", r.dir, bare).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	f, _ = scan(t, Options{History: true}, filepath.Dir(bare))
	if len(f.Hits) != len(reachable)-1 || f.Hits[0].Source != bare {
		t.Errorf("a bare repository below: %d hits, of %q", len(f.Hits), f.Hits[0].Source)
	}
}

// Secrets in a commit's message and in a tag's are found too.
func TestMessages(t *testing.T) {
	t.Parallel()
	r := newRepository(t)
	r.commit("README", []byte("hello\n"))
	r.git("commit", "-q", "--allow-empty", "-m", "the secret is "+canary)
	r.git("tag", "-a", "v1", "-m", "and the tag says "+canary)
	f, _ := scan(t, Options{History: true}, r.dir)
	var paths []string
	for _, h := range f.Hits {
		paths = append(paths, h.Path)
	}
	want(t, paths, "(commit message)", "(tag)", ".git/COMMIT_EDITMSG", ".git/logs/HEAD", ".git/logs/refs/heads/main")
}

// A damaged object is told, and everything else is searched.
func TestDamagedObjects(t *testing.T) {
	lasting.Test(t, "it runs git many times")
	t.Parallel()
	for _, damaged := range []string{"blob", "tree"} {
		r := newRepository(t)
		r.commit("before.env", []byte(canary+"\n"))
		r.commit("bad/file", []byte(strings.Repeat("much text ", 1000)))
		r.commit("after.env", []byte("x\n"+canary+"\n"))
		id := r.git("rev-parse", "HEAD:bad/file")
		if damaged == "tree" {
			id = r.git("rev-parse", "HEAD:bad")
		}
		name := filepath.Join(r.dir, ".git", "objects", id[:2], id[2:])
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		copy(content[len(content)/2:], "damage")
		if err := os.Chmod(name, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, n := range []string{"before.env", "after.env"} {
			_ = os.Remove(filepath.Join(r.dir, n))
		}
		f, _ := scan(t, Options{History: true, Workers: 1}, r.dir)
		if n := len(f.Hits); n != 2 {
			t.Errorf("a damaged %s: %d of 2 secrets were found", damaged, n)
		}
		if !slices.ContainsFunc(f.Skipped, func(s Skipped) bool {
			return strings.Contains(s.Path+s.Why, id[:12]) || strings.Contains(s.Why, "damaged")
		}) {
			t.Errorf("a damaged %s is not told: %v", damaged, f.Skipped)
		}
	}
}

// A repository's configuration runs nothing here.
func TestHostileRepository(t *testing.T) {
	t.Parallel()
	r := newRepository(t)
	r.commit("app.env", []byte(canary))
	ran := filepath.Join(t.TempDir(), "ran")
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, []byte("#!/bin/sh\ntouch "+ran+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{
		"core.fsmonitor", "core.pager", "diff.external", "gpg.program", "core.sshCommand", "diff.x.textconv",
		"core.alternateRefsCommand", "uploadpack.packObjectsHook", "core.editor",
	} {
		r.git("config", key, program)
	}
	r.git("config", "log.showSignature", "true")
	// A repository that is not whole says how to fetch the rest, and that it may.
	r.git("config", "core.repositoryformatversion", "1")
	r.git("config", "extensions.partialclone", "origin")
	r.git("config", "remote.origin.promisor", "true")
	r.git("config", "remote.origin.url", "ext::"+program)
	for _, transport := range []string{"ext", "file", "git", "http", "https", "ssh"} {
		r.git("config", "protocol."+transport+".allow", "always")
	}
	r.git("config", "protocol.allow", "always")
	put(t, r.dir, ".git/refs/heads/lacking", []byte(strings.Repeat("1", 40)+"\n"))
	put(t, r.dir, ".gitattributes", []byte("* diff=x\n"))
	_, got := scan(t, Options{History: true, Unreachable: true}, r.dir)
	if !slices.Contains(got, "app.env:1 secret plain") {
		t.Errorf("found %q", got)
	}
	if _, err := os.Stat(ran); err == nil {
		t.Error("a program that the repository names was run")
	}
}

// A pipe in the place of a file of git's does not hold up the scan, and is told.
func TestPipesInRepositories(t *testing.T) {
	lasting.Test(t, "it waits for git")
	t.Parallel()
	for _, name := range []string{
		"config", "packed-refs", "HEAD", "refs/heads/pipe", "info/grafts", "shallow", "objects/info/alternates", "objects/pack/pack-1.idx",
	} {
		t.Run(strings.ReplaceAll(name, "/", "-"), func(t *testing.T) {
			t.Parallel()
			r := newRepository(t)
			r.commit("gone.env", []byte(canary))
			r.commit("gone.env", nil)
			put(t, r.dir, "app.env", []byte(canary))
			pipe := filepath.Join(r.dir, ".git", filepath.FromSlash(name))
			_ = os.Remove(pipe)
			if err := errors.Join(os.MkdirAll(filepath.Dir(pipe), 0o755), syscall.Mkfifo(pipe, 0o666)); err != nil {
				t.Fatal(err)
			}
			s, _ := NewScanner(planted, Options{History: true})
			s.patience = time.Second
			if err := s.Tree(t.Context(), r.dir); err != nil && !strings.Contains(err.Error(), errSilent.Error()) {
				t.Fatal(err)
			}
			f := s.Found()
			if !slices.ContainsFunc(f.Hits, func(h Hit) bool { return h.Path == "app.env" }) {
				t.Errorf("the files were not searched: %v", f.Hits)
			}
			if !slices.ContainsFunc(f.Hits, func(h Hit) bool { return h.Commit != "" }) && len(f.Skipped) == 0 {
				t.Error("nothing says that the history was not searched")
			}
		})
	}
}

// partsIn are the names of the parts of a repository.
func partsIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	p := partsOf(f)
	defer p.close()
	for _, d := range p.dirs {
		name, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", d.Fd()))
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	return names
}

// A repository that was named and not searched is no "nothing found".
func TestARepositoryThatWasNotSearched(t *testing.T) {
	lasting.Test(t, "it runs git")
	t.Parallel()
	for name, spoil := range map[string]func(git string) error{
		"a link to it": func(git string) error { return errors.Join(os.Rename(git, git+"2"), os.Symlink(git+"2", git)) },
		"a pipe":       func(git string) error { return syscall.Mkfifo(filepath.Join(git, "packed-refs"), 0o600) },
		"a bad include": func(git string) error {
			return os.WriteFile(filepath.Join(git, "config"), []byte("[include"), 0o600)
		},
	} {
		r := newRepository(t)
		r.commit("app.env", []byte(canary))
		r.commit("app.env", nil)
		_ = os.Remove(filepath.Join(r.dir, "app.env"))
		if err := spoil(filepath.Join(r.dir, ".git")); err != nil {
			t.Fatal(err)
		}
		f, _ := scan(t, Options{History: true}, r.dir)
		if err := f.Partial(); err == nil || len(f.Skipped) == 0 {
			t.Errorf("%s: %v, skipped %v", name, err, f.Skipped)
		}
	}
}

// What a repository borrows is searched, also of one that borrows itself, and where its objects are a link.
func TestBorrowedObjects(t *testing.T) {
	lasting.Test(t, "it runs git many times")
	t.Parallel()
	r := newRepository(t)
	r.commit("app.env", []byte(canary))
	r.commit("app.env", nil)
	above := t.TempDir()
	at := func(name string) string { return filepath.Join(above, name) }
	r.git("clone", "-q", "--shared", "--bare", r.dir, at("first"))
	r.git("clone", "-q", "--shared", "--bare", at("first"), at("second"))
	r.git("clone", "-q", "--shared", at("second"), at("third"))
	r.git("clone", "-q", at("third"), at("linked"))
	objects := filepath.Join(at("linked"), ".git", "objects")
	if err := errors.Join(os.Rename(objects, at("objects")), os.Symlink(at("objects"), objects)); err != nil {
		t.Fatal(err)
	}
	for dir, wants := range map[string][]string{
		"first":  {filepath.Join(r.dir, ".git", "objects")},
		"third":  {at("second/objects"), at("first/objects"), filepath.Join(r.dir, ".git", "objects")},
		"linked": {at("objects")},
	} {
		parts := partsIn(t, at(dir))
		for _, part := range wants {
			if !slices.Contains(parts, part) {
				t.Errorf("%s: %s is no part of it: %v", dir, part, parts)
			}
		}
		f, _ := scan(t, Options{History: true}, at(dir))
		if !slices.ContainsFunc(f.Hits, func(h Hit) bool { return h.Commit != "" }) {
			t.Errorf("%s: nothing was found in its history: %v", dir, f.Skipped)
		}
	}
	put(t, at("second"), "objects/info/alternates", []byte(strings.Repeat("../../second/objects\n", 1000)))
	if n := len(partsIn(t, at("third"))); n > mostParts+1 {
		t.Errorf("one that borrows of itself has %d parts", n)
	}
}

// nosy tries to open a file whenever it is read.
type nosy struct {
	io.Reader
	could *atomic.Int64
	tried *atomic.Int64
}

func (n nosy) Read(b []byte) (int, error) {
	n.tried.Add(1)
	if _, err := os.ReadFile("/etc/passwd"); err == nil {
		n.could.Add(1)
	}
	return n.Reader.Read(b)
}

// An archive is read where nothing can be opened.
func TestArchivesAreReadApart(t *testing.T) {
	t.Parallel()
	if confine.Landlock() == 0 {
		t.Skip("this kernel has no Landlock")
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	random := make([]byte, 100<<10)
	_, _ = rand.Read(random)
	_, _ = w.Write(random)
	_ = w.Close()
	var could, tried atomic.Int64
	s, _ := NewScanner(planted, Options{})
	if err := s.Reader(t.Context(), "-", nosy{&packed, &could, &tried}); err != nil {
		t.Fatal(err)
	}
	if could.Load() != 1 || tried.Load() < 5 { // the first time, to see what it is
		t.Errorf("of %d readings %d could open another file", tried.Load(), could.Load())
	}
}

// A git that would fetch what a repository lacks is not run on one.
func TestOldGit(t *testing.T) {
	r := newRepository(t)
	r.commit("app.env", []byte(canary))
	bin := t.TempDir()
	for version, ok := range map[string]bool{
		"2.39.3": false, "2.39.4": true, "2.39.5": true, "2.44.0": false, "2.44.1": true, "2.45.0": true, "3.0.0": true, "2.30.2": false,
		"2.51.GIT": true, "2.39.5 (Apple Git-154)": true, "2.45.1.windows.1": true, "unknown": false,
	} {
		script := "#!/bin/sh\ntest \"$1\" = version && echo git version " + strings.ReplaceAll(
			strings.ReplaceAll(version, "(", `\(`),
			")",
			`\)`,
		) + "\n"
		if err := os.WriteFile(filepath.Join(bin, "git"), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
		t.Setenv("PATH", bin)
		var old *OldGitError
		if err := checkGit(t.Context()); ok != (err == nil) || !ok && (!errors.As(err, &old) || old.Hint() == "") {
			t.Errorf("git %s: %v", version, err)
		}
	}
}

// Whatever is read, the scan ends, without a panic and without an error but that of its bounds.
func FuzzArchives(f *testing.F) {
	f.Add([]byte("PK\x03\x04"))
	f.Add([]byte("\x1f\x8b\x08"))
	f.Add([]byte("BZh91AY&SY"))
	f.Add([]byte("\x28\xb5\x2f\xfd"))
	f.Add(tarredSeed())
	f.Add([]byte{0xff, 0xfe, 0, 0xd8})
	for _, e := range corpusEncoders() {
		f.Add(writtenAs(e.encode, canary))
	}
	for _, seed := range [][]byte{
		xzed(f, []byte("text")), zlibbed(f, []byte("text")), deb(f, map[string][]byte{"x": nil}),
		rpm(f, "x", []byte("text")), pdf(f, []byte("text")), png(f, []byte("text")), sevenZipped(f), zipLZMA(f, "x", []byte("text")),
		[]byte("# v2 git bundle\n\nPACK\x00\x00\x00\x02\x00\x00\x00\x01\x70"),
	} {
		f.Add(seed)
	}
	s, _ := NewScanner(planted, Options{})
	f.Fuzz(func(t *testing.T, content []byte) {
		err := s.Reader(context.Background(), "-", io.MultiReader(bytes.NewReader(content), strings.NewReader(canary)))
		if err != nil && !strings.Contains(err.Error(), "searched") {
			t.Fatal(err)
		}
	})
}

func tarredSeed() []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	_ = w.WriteHeader(&tar.Header{Name: "x", Size: 3, Typeflag: tar.TypeReg})
	_, _ = w.Write([]byte("abc"))
	_ = w.Close()
	return b.Bytes()
}
