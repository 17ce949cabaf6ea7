package scan

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/keyrounds/keyrounds/test/lasting"
)

// Stashes, the index and reflogs are searched by default, and a hit names what has it.
func TestRoots(t *testing.T) {
	lasting.Test(t, "it runs git many times")
	t.Parallel()
	for name, c := range map[string]struct {
		plant func(r *repository)
		tips  []string
	}{
		"a tip": {func(r *repository) {
			r.git("checkout", "-q", "-b", "release")
			r.commit("again.env", []byte(canary))
			r.git("checkout", "-q", "main")
		}, []string{"release"}},
		"a tag": {func(r *repository) {
			r.commit("again.env", []byte(canary))
			r.git("tag", "-a", "v1", "-m", "v1")
			r.commit("again.env", nil)
		}, []string{"tag v1"}},
		"the last stash but one": {func(r *repository) {
			put(r.t, r.dir, "w.env", []byte(canary))
			r.git("add", "w.env")
			r.git("stash", "-q")
			put(r.t, r.dir, "x", []byte("x"))
			r.git("add", "x")
			r.git("stash", "-q")
		}, []string{"stash@{1}"}},
		"files that are not followed, in a stash": {func(r *repository) {
			put(r.t, r.dir, "w.env", []byte(canary))
			r.git("stash", "-q", "-u")
		}, []string{"stash@{0}"}},
		"the index": {func(r *repository) {
			put(r.t, r.dir, "i.env", []byte(canary))
			r.git("add", "i.env")
			_ = os.Remove(filepath.Join(r.dir, "i.env"))
		}, []string{"the index"}},
		"a reflog": {func(r *repository) {
			r.commit("gone.env", []byte(canary))
			r.git("reset", "-q", "--hard", "HEAD~1")
		}, nil},
		"history": {func(r *repository) {
			r.commit("gone.env", []byte(canary))
			r.commit("gone.env", nil)
		}, nil},
	} {
		r := newRepository(t)
		r.commit("README", []byte("hello\n"))
		c.plant(r)
		f, _ := scan(t, Options{History: true}, r.dir)
		if len(f.Hits) != 1 || !slices.Equal(f.Hits[0].Tips, c.tips) || !strings.HasSuffix(f.Hits[0].Path, ".env") || f.Hits[0].InHead {
			t.Errorf("%s: %+v, not searched %v", name, f.Hits, f.Skipped)
		}
	}
}

// The names of branches are searched.
func TestRefNames(t *testing.T) {
	t.Parallel()
	r := newRepository(t)
	r.commit("README", []byte("hello\n"))
	r.git("branch", canaryID)
	f, _ := scan(t, Options{History: true}, r.dir)
	if !slices.ContainsFunc(f.Hits, func(h Hit) bool { return h.Path == "(name of a ref)" }) {
		t.Errorf("found %+v", f.Hits)
	}
}

// A second scan searches only what is new, and everything again where nothing is known of the first.
func TestSince(t *testing.T) {
	lasting.Test(t, "it runs git many times")
	t.Parallel()
	r := newRepository(t)
	r.commit("old.env", []byte("old "+canary))
	r.commit("old.env", nil)
	f, _ := scan(t, Options{History: true}, r.dir)
	if len(f.Hits) != 1 || len(f.Tips) != 1 {
		t.Fatalf("found %+v, tips %v", f.Hits, f.Tips)
	}
	all := f.Sources[0].Objects
	r.commit("new.env", []byte("new "+canary))
	r.commit("new.env", nil)
	g, _ := scan(t, Options{History: true, Since: f.Tips}, r.dir)
	if len(g.Hits) != 1 || g.Hits[0].Path != "new.env" || g.Hits[0].Commit == "" || g.Sources[0].Objects >= all {
		t.Errorf("found %+v in %d objects", g.Hits, g.Sources[0].Objects)
	}
	h, _ := scan(t, Options{History: true, Since: g.Tips}, r.dir)
	if len(h.Hits) != 0 || h.Sources[0].Objects > 1 {
		t.Errorf("found %+v in %d objects", h.Hits, h.Sources[0].Objects)
	}
	// What was remembered is gone.
	odd := map[string][]string{r.dir: {strings.Repeat("1", 40)}}
	if i, _ := scan(t, Options{History: true, Since: odd}, r.dir); len(i.Hits) != 2 {
		t.Errorf("found %+v", i.Hits)
	}
}
