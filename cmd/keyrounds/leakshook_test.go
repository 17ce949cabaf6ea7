package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// hooked is a daemon, a git server whose pre-receive asks it, and a clone.
type hooked struct {
	*site
	daemon        *process
	server, clone string
}

func newHooked(t *testing.T) *hooked {
	t.Helper()
	s := newSite(t, 1)
	h := &hooked{site: s, daemon: s.run(), server: filepath.Join(s.dir, "server.git"), clone: filepath.Join(s.dir, "clone")}
	h.daemon.awaitReady(200)
	h.write("gitconfig", "[user]\n\tname = Dev\n\temail = dev@example.com\n[init]\n\tdefaultBranch = main\n[core]\n\tcompression = 0\n"+
		"[advice]\n\tdetachedHead = false\n")
	h.sh(s.dir, "git init -q --bare server.git && git clone -q server.git clone 2>/dev/null")
	h.hook(h.server+"/hooks", "pre-receive", "")
	h.sh(h.clone, "echo a >README && git add README && git commit -qm first && git push -q origin main")
	return h
}

// hook writes a hook, which calls keyrounds with more arguments.
func (h *hooked) hook(dir, name, more string) {
	h.t.Helper()
	h.hookFile(filepath.Join(dir, name), fmt.Sprintf("#!/bin/sh\nexec keyrounds -c %s leaks hook %s %s\n", h.config(), name, more))
}

func (h *hooked) hookFile(path, script string) {
	h.t.Helper()
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil { //nolint:gosec // a hook is run
		h.t.Fatal(err)
	}
}

// try runs a shell script in a directory, and returns what it says, and whether it succeeds. Nothing that a hook says has a secret.
func (h *hooked) try(dir, script string) (said string, ok bool) {
	h.t.Helper()
	cmd := exec.CommandContext(h.t.Context(), "sh", "-euc", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+filepath.Join(h.dir, "gitconfig"), "GIT_CONFIG_NOSYSTEM=1", "HOME="+h.dir,
		"XDG_CONFIG_HOME="+h.dir, "SECRET="+goodSecret, "KEYROUNDS_SERVER=", "KEYROUNDS_CONFIG=")
	cmd.Env = append(cmd.Env, h.env...)
	out, err := cmd.CombinedOutput()
	for line := range strings.Lines(string(out)) {
		ours := strings.HasPrefix(line, "remote:") || strings.HasPrefix(line, "keyrounds") || strings.HasPrefix(line, "  ")
		if ours && strings.Contains(line, "c4n4ry") && !strings.Contains(line, "->") { // which is git's own line about a ref
			h.t.Errorf("a hook shows a secret: %q", line)
		}
		if ours && strings.Contains(line, "c00 in ") && strings.ContainsAny(strings.TrimSuffix(line, "\x1b[K\n"), "\x07\x1b") {
			h.t.Errorf("a hook writes what a terminal obeys: %q", line)
		}
	}
	return string(out), err == nil
}

func (h *hooked) sh(dir, script string) {
	h.t.Helper()
	if said, ok := h.try(dir, script); !ok {
		h.t.Fatalf("%s\n%s", script, said)
	}
}

// A push that brings a secret in whatever way is refused, with where it is; every other one goes through.
func TestPreReceive(t *testing.T) {
	t.Parallel()
	h := newHooked(t)
	for name, c := range map[string]struct {
		make, push string
		says       []string // none: it goes through
	}{
		"nothing":     {`echo fine >fine && git add . && git commit -qm fine`, `HEAD:refs/heads/fine`, nil},
		"nothing new": {`:`, `HEAD:refs/heads/another`, nil},
		"a file": {
			`echo "x=$SECRET" >a.env && git add . && git commit -qm a`,
			`HEAD:refs/heads/file`,
			[]string{"c00 in a.env, line 1, first in commit", "in refs/heads/file"},
		},
		"a binary": {
			`printf '\177ELF\0\0%s\0\001' "$SECRET" >tool && git add . && git commit -qm a`,
			`HEAD:refs/heads/binary`,
			[]string{"c00 in tool, line 1"},
		},
		"UTF-16": {
			`printf '\377\376' >w.txt && printf "$SECRET" | iconv -t UTF-16LE >>w.txt && git add . && git commit -qm a`,
			`HEAD:refs/heads/wide`,
			[]string{"c00 in w.txt, line 1", "as utf-16"},
		},
		"a zip": {
			`echo "x=$SECRET" >in.env && python3 -m zipfile -c a.zip in.env && rm in.env && git add . && git commit -qm a`,
			`HEAD:refs/heads/zip`,
			[]string{"c00 in a.zip!/in.env, line 1"},
		},
		"base64": {
			`printf "$SECRET" | base64 >b && git add . && git commit -qm a`,
			`HEAD:refs/heads/b64`,
			[]string{"c00 in b, line 1, as base64"},
		},
		"a commit message": {
			`git commit -q --allow-empty -m "use $SECRET"`,
			`HEAD:refs/heads/message`,
			[]string{"c00 in the message of commit"},
		},
		"a mail address": {
			`git -c "user.email=$SECRET@example.com" commit -q --allow-empty -m a`,
			`HEAD:refs/heads/mail`,
			[]string{"c00 in the author's name or mail address of commit"},
		},
		"an author": {
			`git commit -q --allow-empty -m a --author "$SECRET <a@example.com>"`,
			`HEAD:refs/heads/author`,
			[]string{"the author's name"},
		},
		"a tag's message": {
			`git tag -a v1 -m "use $SECRET"`,
			`v1`,
			[]string{"c00 in the message of tag", "in refs/tags/v1", "git tag -f -a"},
		},
		"a branch's name": {
			`:`,
			`HEAD:refs/heads/try-$SECRET`,
			[]string{"the name of the ref refs/heads/try-*****", "git branch -m"},
		},
		"a tag's name": {`git tag "t-$SECRET"`, `t-$SECRET`, []string{"the name of the ref refs/tags/t-*****"}},
		"a file's name": {
			`echo a >"$SECRET.txt" && git add . && git commit -qm a`,
			`HEAD:refs/heads/name`,
			[]string{"the name of a file or directory (git show --stat), first in commit"},
		},
		"a new file's name": {
			`echo new >"$SECRET.txt" && git add . && git commit -qm a`,
			`HEAD:refs/heads/new-name`,
			[]string{"the name of the file *****.txt"},
		},
		"a directory": {
			`mkdir "$SECRET" && echo a >"$SECRET/README" && git add . && git commit -qm a`,
			`HEAD:refs/heads/dir`,
			[]string{"c00 in the name of a file or directory (git show --stat), first in commit"},
		},
		"removed again": {
			`echo "$SECRET" >r && git add . && git commit -qm a && git rm -q r && git commit -qm b`,
			`HEAD:refs/heads/gone`,
			[]string{"c00 in r, line 1, first in commit"},
		},
		"a merge": {
			`git checkout -q -b side && echo s >s && git add . && git commit -qm s && git checkout -q main && ` +
				`git merge -q --no-ff --no-commit side && echo "$SECRET" >m && git add . && git commit -qm merge`,
			`HEAD:refs/heads/merge`,
			[]string{"c00 in m, line 1, first in commit"},
		},
		"a tag of a blob": {
			`git tag blob "$(echo "$SECRET" | git hash-object -w --stdin)"`,
			`blob`,
			[]string{"c00 in blob ", "in refs/tags/blob"},
		},
		"a note": {
			`git notes add -m "$SECRET"`,
			`refs/notes/commits`,
			[]string{"first in commit", "in refs/notes/commits"},
		},
		"odd names": {
			`printf "$SECRET" >"$(printf 'ats\n\033[31m\007-\377')" && git add . && git commit -qm a`,
			`HEAD:refs/heads/odd`,
			[]string{"c00 in ats"},
		},
		"a name of options": {
			`printf "$SECRET" >"--output=x" && git add . && git commit -qm a`,
			`HEAD:refs/heads/options`,
			[]string{"c00 in --output=x, line 1"},
		},
		"two refs": {
			`echo two >two && git add . && git commit -qm two && git branch two && echo "$SECRET" >three && git add . && ` +
				`git commit -qm three`,
			`two HEAD:refs/heads/three`,
			[]string{"in refs/heads/three\n"},
		},
		"100 MB": {
			`(head -c 104857600 /dev/zero | tr '\0' x; echo "$SECRET") >big && git add . && git commit -qm big`,
			`HEAD:refs/heads/big`,
			[]string{"c00 in big, line 1"},
		},
		"an encrypted file": {
			`printf 'age-encryption.org/v1\n-> X25519 abc\n' >a.age && git add . && git commit -qm a`,
			`HEAD:refs/heads/age`, nil,
		},
	} {
		h.sh(h.clone, "git checkout -qf main && git reset -q --hard origin/main && git clean -qfd && "+c.make)
		said, ok := h.try(h.clone, `git push origin "`+strings.ReplaceAll(c.push, " ", `" "`)+`" 2>&1`)
		if ok != (c.says == nil) {
			t.Errorf("%s: pushed: %v\n%s", name, ok, said)
		}
		for _, want := range c.says {
			if text := strings.ReplaceAll(said, "        \n", "\n"); !strings.Contains(text, want) {
				t.Errorf("%s: it says not %q:\n%s", name, want, text)
			}
		}
		if name == "an encrypted file" && !strings.Contains(said, "not searched: a.age: ") {
			t.Errorf("%s: %s", name, said)
		}
	}
	if refs, _ := h.try(h.server, "git for-each-ref"); strings.Contains(refs, "c4n4ry") || strings.Contains(refs, "/file") {
		t.Errorf("the server took:\n%s", refs)
	}
	if out, _ := h.command("findings", "list", "-o", "json"); strings.Contains(out, "leaked") {
		t.Errorf("what was refused got out: %s", out)
	}
}

// Where the daemon is away, a push is refused or let through, as it is configured; a ref is deleted without asking.
func TestPreReceiveWithoutADaemon(t *testing.T) {
	t.Parallel()
	h := newHooked(t)
	h.sh(h.clone, "git push -q origin HEAD:refs/heads/old")
	h.daemon.stop()
	h.sh(h.clone, "git push -q origin :refs/heads/old && echo b >b && git add . && git commit -qm b")
	said, ok := h.try(h.clone, "git push origin main")
	refused := "this push was not searched for registered secrets, so it is refused"
	if ok || !strings.Contains(said, "no daemon runs by") || !strings.Contains(said, refused) {
		t.Errorf("%v\n%s", ok, said)
	}
	h.sh(h.server, "git config keyrounds.onFailure maybe")
	if said, ok := h.try(h.clone, "git push origin main"); ok || !strings.Contains(said, `git config keyrounds.onFailure is "maybe"`) {
		t.Errorf("%v\n%s", ok, said)
	}
	h.sh(h.server, "git config keyrounds.onFailure allow")
	h.hook(h.server+"/hooks", "pre-receive", "--on-failure refuse")
	if said, ok := h.try(h.clone, "git push origin main"); ok {
		t.Errorf("the flag does not win: %s", said)
	}
	h.hook(h.server+"/hooks", "pre-receive", "")
	if said, ok := h.try(h.clone, "git push origin main"); !ok || !strings.Contains(said, "warning: this push was not searched") {
		t.Errorf("%v\n%s", ok, said)
	}
}

// A commit of what is staged is refused where that has a secret, whatever the work tree has; without a daemon it is let through.
func TestPreCommit(t *testing.T) {
	t.Parallel()
	h := newHooked(t)
	h.sh(h.dir, "git init -q fresh")
	fresh := filepath.Join(h.dir, "fresh")
	h.hook(filepath.Join(fresh, ".git/hooks"), "pre-commit", "")
	for _, c := range []struct{ name, do, says string }{
		{"the first commit", `echo "$SECRET" >a && git add a && git commit -qm a`, "this commit has the secret of c00"},
		{"staged, and gone from the work tree", `echo fine >a && git commit -qm a`, "c00 in a, line 1"},
		{"not staged", `git add a && echo "$SECRET" >b && git commit -qm a`, ""},
		{"nothing staged", `git commit -q --allow-empty -m b`, ""},
		{"by -a", `echo "$SECRET" >>a && git commit -qam b`, "c00 in a, line 2"},
		{"of one file", `git checkout -q a && git add -N b && git commit -qm b b`, "c00 in b, line 1"},
		{
			"a file's name", `git reset -q && rm b && mkdir -p d && echo x >"d/$SECRET" && git add d && git commit -qm b`,
			"the name of the file d/*****",
		},
		{"renamed", `git rm -rqf --cached d && git mv a "x-$SECRET" && git commit -qm b`, "the name of the file x-*****"},
		{
			"an author", `git mv x-$SECRET a && git commit -q --allow-empty -m b --author "$SECRET <a@example.com>"`,
			"the author's name or mail address",
		},
		{"a branch", `git checkout -q -b "b-$SECRET" && git commit -q --allow-empty -m b`, "the name of the ref refs/heads/b-*****"},
		{"deleted", `git checkout -q -b fine && git rm -q a && git commit -qm b`, ""},
	} {
		said, ok := h.try(fresh, c.do)
		if ok != (c.says == "") || !strings.Contains(said, c.says) {
			t.Errorf("%s: %v, and it says not %q:\n%s", c.name, ok, c.says, said)
		}
	}
	h.sh(h.dir, "git init -q --object-format=sha256 other")
	other := filepath.Join(h.dir, "other")
	h.hook(filepath.Join(other, ".git/hooks"), "pre-commit", "")
	if said, ok := h.try(other, `echo "$SECRET" >a && git add a && git commit -qm a`); ok || !strings.Contains(said, "c00 in a, line 1") {
		t.Errorf("objects of SHA-256: %v\n%s", ok, said)
	}
	h.daemon.stop()
	said, ok := h.try(fresh, `echo x >x && git add x && git commit -qm x`)
	if !ok || !strings.Contains(said, "warning: this commit was not searched") {
		t.Errorf("without a daemon: %v\n%s", ok, said)
	}
	h.sh(fresh, "git config keyrounds.onFailure refuse")
	if said, ok := h.try(fresh, `echo y >y && git add y && git commit -qm y`); ok || !strings.Contains(said, "so it is refused") {
		t.Errorf("without a daemon, refused: %s", said)
	}
}

// A push from a developer's machine asks a daemon elsewhere, with a token that opens nothing else.
func TestPrePush(t *testing.T) {
	t.Parallel()
	h := newHooked(t)
	h.sh(h.server, "rm hooks/pre-receive")
	token, code := h.command("access", "tokens", "add", "git", "--role", "scanner")
	if code != 0 {
		t.Fatal(token)
	}
	token = token[strings.LastIndex(strings.TrimSpace(token), "\n")+1:]
	file := h.write("token", token)
	script := fmt.Sprintf("#!/bin/sh\nexec keyrounds --server %s leaks hook pre-push --token-file %s \"$@\"\n", h.daemon.url, file)
	h.hookFile(filepath.Join(h.clone, ".git/hooks/pre-push"), script)
	h.sh(h.clone, "echo b >b && git add . && git commit -qm b && git push -q origin main")
	h.sh(h.clone, "git push -q origin HEAD:refs/heads/same && git push -q origin :same")
	h.sh(h.clone, `echo "$SECRET" >c && git add . && git commit -qm c && git rm -q c && git commit -qm d`)
	said, ok := h.try(h.clone, `git push origin main`)
	if ok || !strings.Contains(said, "this push has the secret of c00") || !strings.Contains(said, "c00 in c, line 1, first in commit") {
		t.Errorf("%v\n%s", ok, said)
	}
	for what, c := range map[string]struct{ do, says string }{
		"the token opens nothing else": {
			"KEYROUNDS_TOKEN=$(cat ../token) keyrounds --server " + h.daemon.url + " credentials list",
			"has the role scanner, which may not look at this",
		},
		"a token that everybody reads": {"chmod 644 ../token; git push origin main", "everybody can read it"},
		"a wrong token": {
			"chmod 600 ../token; echo kr_x >../token; git push origin main",
			"nobody is signed in there by this token",
		},
		"no such file": {"rm ../token; git push origin main", "no such file"},
	} {
		if said, ok := h.try(h.clone, c.do); ok || !strings.Contains(said, c.says) {
			t.Errorf("%s: %v\n%s", what, ok, said)
		}
		_ = os.WriteFile(file, []byte(token), 0o600)
	}
	h.write("clone/keyrounds.yaml", "data_dir: /nonexistent\n") // what lies in a repository is not read
	if said, ok := h.try(h.clone, "keyrounds leaks hook pre-commit --on-failure refuse"); ok || strings.Contains(said, "keyrounds.yaml") {
		t.Errorf("it read the configuration of the repository: %v %s", ok, said)
	}
}
