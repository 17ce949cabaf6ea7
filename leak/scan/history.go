package scan

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// How a history is searched:
//
//  1. git lists the objects, and gives the content of each, once, however many commits have it.
//  2. Only if something was found, one walk over the commits says which of them brought it, and where; and
//     what HEAD has.
//
// Objects that are damaged are left out, noted, and the rest is searched.

// history searches the objects of a git repository.
// asked: it is what was asked for, and not one of many in a tree.
func (s *Scanner) history(ctx context.Context, dir *os.File, named string, asked bool) error {
	g, err := openGit(ctx, dir, s)
	defer g.close()
	var no *NoGitError
	var old *OldGitError
	if errors.As(err, &no) || errors.As(err, &old) {
		return err
	}
	var odd *OddFileError
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &odd), errors.Is(err, errSilent):
		s.fail(named, GitFailed, "its history was not searched: %v", err)
		return nil
	case asked:
		s.fail(named, NoRepository, "it looks like a git repository, and git cannot open it: %v", err)
		return nil
	default: // one of many, which is no reason to give up
		s.fail(named, GitFailed, "it looks like a git repository, and git cannot open it: %v", err)
		return nil
	}
	h := &history{Scanner: s, git: g, named: named, found: map[objectID][]objectMatch{}}
	h.sayIncomplete(ctx)
	h.known = h.since(ctx)
	tips := h.tips(ctx)
	h.refNames(tips)
	ids, err := h.list(ctx)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil: // git's words name files and refs
		return errors.New(s.Mask(named + ": " + err.Error()))
	}
	group, groupCtx := errgroup.WithContext(ctx)
	parts := s.workers()
	for i := range parts {
		part := ids[len(ids)*i/parts : len(ids)*(i+1)/parts]
		group.Go(func() error { return h.search(groupCtx, part) })
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("%s: %w", s.Mask(named), err)
	}
	h.searched()
	h.remember(tips)
	if len(h.found) == 0 {
		return nil
	}
	if err := h.locate(ctx); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.fail(named, Corrupt, "not every commit could be read, so it is not known of all that was found where it stands (%v)", err)
	}
	h.tipsOf(ctx, tips)
	h.inIndex(ctx)
	h.hits()
	return nil
}

type history struct {
	*Scanner
	git   git
	named string

	partial bool         // a clone that was told to lack objects
	lacking atomic.Int64 // objects
	lacks   string       // one of those

	mu    sync.Mutex
	found map[objectID][]objectMatch
	// of those that were found
	places map[objectID][]introduced
	inHead map[objectID]bool
	inTips map[objectID][]string // names of refs and stashes, and the index

	known string // what was searched before, as lines of rev-list
}

// objectID is the name of an object: SHA-1 or SHA-256, which fills the rest.
type objectID [32]byte

type objectMatch struct {
	match
	kind   string // blob, commit, tree or tag
	name   string
	member string // of an archive
}

// introduced is a commit that brought an object, and where.
type introduced struct {
	commit string
	at     time.Time
	path   string
}

func parseID(name []byte) (id objectID, ok bool) {
	_, err := hex.Decode(id[:], name[:min(len(name), 64)])
	return id, err == nil && (len(name) == 40 || len(name) == 64)
}

// list names the objects, each as its text.
func (h *history) list(ctx context.Context) ([]objectName, error) {
	if !h.Unreachable {
		arg, in := stdin(h.known)
		ids, err := h.names(ctx, in, slices.Concat([]string{"rev-list", "--objects", "--missing=print"}, roots, arg)...)
		if err == nil || ctx.Err() != nil {
			return ids, ctx.Err()
		}
		h.fail(h.named, Corrupt, "its history is corrupt (%v); every object that can be read is searched instead", err)
	}
	ids, err := h.names(ctx, nil, "cat-file", "--batch-all-objects", "--batch-check=%(objectname)", "--unordered")
	if err != nil && ctx.Err() == nil && len(ids) > 0 {
		h.fail(h.named, GitFailed, "not every object could be listed (%v)", err)
		err = nil
	}
	return ids, err
}

// objectName is the name of an object in bytes, which takes half of its text.
type objectName struct {
	id    objectID
	long  bool
	named string // the end of a path of it, where its format is told by its name only
}

func (n objectName) String() string {
	if n.long {
		return hex.EncodeToString(n.id[:])
	}
	return hex.EncodeToString(n.id[:20])
}

func (h *history) names(ctx context.Context, in io.Reader, args ...string) (all []objectName, err error) {
	err = h.git.lines(ctx, args, in, '\n', func(line []byte) {
		if rest, is := bytes.CutPrefix(line, []byte("?")); is { // it is not there
			h.lacking.Add(1)
			if h.lacking.Load() == 1 {
				h.lacks = string(rest)
			}
			return
		}
		name, path, _ := bytes.Cut(line, []byte(" "))
		if id, ok := parseID(name); ok {
			all = append(all, objectName{id, len(name) == 64, nameless(path)})
		}
	})
	return all, err
}

// sayIncomplete notes that a clone does not have everything on purpose.
func (h *history) sayIncomplete(ctx context.Context) {
	_ = h.git.lines(ctx, []string{"rev-parse", "--is-shallow-repository"}, nil, '\n', func(line []byte) {
		if string(line) == "true" {
			h.fail(h.named, Shallow, "it is a shallow clone: the commits that it lacks were not searched")
		}
	})
	promisor := `^(extensions\.partialclone|remote\..*\.(promisor|partialclonefilter))$`
	_ = h.git.lines(ctx, []string{"config", "--local", "--get-regexp", promisor}, nil, '\n', func([]byte) { h.partial = true })
}

// searched notes what was searched, and what the repository does not have.
func (h *history) searched() {
	h.Scanner.mu.Lock()
	h.histories++
	h.Scanner.mu.Unlock()
	switch n := h.lacking.Load(); {
	case h.partial && n > 0:
		h.fail(h.named, PartialClone, "it is a partial clone: %s that its commits have is not in it", count(n, "object"))
	case h.partial:
		h.fail(h.named, PartialClone, "it is a partial clone, which may lack objects")
	case n > 0:
		h.fail(h.named, Corrupt, "it lacks %s that its commits have, such as %.12s", count(n, "object"), h.lacks)
	}
}

// search reads objects and looks into them.
func (h *history) search(ctx context.Context, ids []objectName) error {
	for len(ids) > 0 {
		done, err := h.batch(ctx, ids)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		ids = ids[done:]
		if err == nil {
			return nil
		}
		if errors.Is(err, errSilent) {
			h.fail(h.named, GitFailed, "%d objects were not searched: %v", len(ids), err)
			return nil
		}
		if len(ids) == 0 {
			return err
		}
		h.corrupt(ids[0])
		ids = ids[1:]
	}
	return nil
}

// corrupt notes an object that git cannot read.
func (h *history) corrupt(id objectName) {
	h.note(place{source: h.named, path: "object " + id.String()}, true, Corrupt, "it is corrupt: git cannot read it")
}

// batch reads objects until the end, or until git gives up at one, and says how many it read.
func (h *history) batch(ctx context.Context, ids []objectName) (done int, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	cmd := h.git.command(ctx, "cat-file", "--batch", "--buffer")
	in, err := cmd.StdinPipe()
	if err != nil {
		return 0, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer func() {
		cancel(nil)
		_ = cmd.Wait()
	}()
	go func() {
		defer in.Close()
		w := bufio.NewWriterSize(in, 64<<10)
		for _, id := range ids {
			if _, err := w.WriteString(id.String() + "\n"); err != nil {
				return
			}
		}
		_ = w.Flush()
	}()
	r := bufio.NewReaderSize(watched{out, h.git.patience, cancel}, 1<<20)
	for ; done < len(ids); done++ {
		err := h.object(ctx, r, ids[done])
		if errors.Is(context.Cause(ctx), errSilent) {
			return done, errSilent
		}
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

func (h *history) object(ctx context.Context, r *bufio.Reader, id objectName) error {
	head, err := r.ReadString('\n')
	if err != nil {
		return err
	}
	fields := strings.Fields(head)
	if len(fields) == 2 && fields[1] == "missing" { // a partial clone, which is not asked for the rest
		if h.lacking.Add(1) == 1 {
			h.lacks = id.String()
		}
		return nil
	}
	if len(fields) != 3 || fields[0] != id.String() {
		return errors.New("git said something else")
	}
	size, err := strconv.ParseInt(fields[2], 10, 64)
	if err != nil {
		return err
	}
	at := place{source: h.named, path: "object " + fields[0] + id.named}
	h.objects.Add(1)
	content := &io.LimitedReader{R: r, N: size}
	err = h.one(ctx, at, content, nil, func(in place, m match) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.found[id.id] = append(h.found[id.id], objectMatch{m, fields[1], fields[0], strings.TrimPrefix(in.path, at.path)})
	})
	if err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, content); err != nil {
		return err
	}
	if content.N > 0 {
		return io.ErrUnexpectedEOF
	}
	_, err = r.Discard(1)
	return err
}

// locate finds the commits that brought what was found, and what HEAD has.
func (h *history) locate(ctx context.Context) error {
	h.places, h.inHead = map[objectID][]introduced{}, map[objectID]bool{}
	// Without a HEAD, or with a damaged one, nothing is known to be in it.
	_ = h.git.lines(ctx, []string{"ls-tree", "-r", "-z", "--full-tree", "HEAD"}, nil, 0, func(line []byte) {
		if fields := bytes.Fields(line[:max(0, bytes.IndexByte(line, '\t'))]); len(fields) == 3 {
			if id, ok := parseID(fields[2]); ok && h.found[id] != nil {
				h.inHead[id] = true
			}
		}
	})
	args := []string{
		"log", "--all", "--reflog", "-z", "--raw", "-c", "--root", "--no-abbrev", "--no-renames", "--no-ext-diff", "--no-textconv",
		"--no-show-signature", "--no-mailmap", "--no-notes", "--no-decorate", "--format=%x01%H %at",
	}
	known := h.known
	if h.Unreachable {
		commits, err := h.commits(ctx)
		if err != nil {
			return err
		}
		known = commits
	}
	arg, in := stdin(known)
	return h.git.lines(ctx, append(args, arg...), in, 0, (&rawLog{history: h}).token)
}

// rawLog reads `git log --raw -z`: \x01, commit and time; then for each change :modes, objects and letters, and behind
// that its path. Of a merge, with -c, only what differs from all parents, with a colon and a mode for each.
type rawLog struct {
	*history
	commit introduced
	path   bool // the next token is a path
	brings *objectID
}

func (l *rawLog) token(t []byte) {
	if l.path {
		if l.brings != nil {
			l.commit.path = string(t)
			l.brought(*l.brings, l.commit)
		}
		l.path, l.brings = false, nil
		return
	}
	t = bytes.TrimLeft(t, "\n")
	switch {
	case bytes.HasPrefix(t, []byte{1}):
		hash, seconds, _ := strings.Cut(string(t[1:]), " ")
		unix, _ := strconv.ParseInt(strings.TrimSpace(seconds), 10, 64)
		l.commit = introduced{commit: hash, at: time.Unix(unix, 0).UTC()}
		if id, ok := parseID([]byte(hash)); ok && l.found[id] != nil { // its message
			l.brought(id, l.commit)
		}
	case bytes.HasPrefix(t, []byte{':'}):
		l.path = true
		parents := len(t) - len(bytes.TrimLeft(t, ":"))
		if fields := bytes.Fields(t); len(fields) > 2*parents+1 {
			if id, ok := parseID(fields[2*parents+1]); ok && l.found[id] != nil {
				l.brings = &id
			}
		}
	}
}

// commits names every commit there is.
func (h *history) commits(ctx context.Context) (string, error) {
	var b strings.Builder
	args := []string{"cat-file", "--batch-all-objects", "--batch-check=%(objecttype) %(objectname)", "--unordered"}
	err := h.git.lines(ctx, args, nil, '\n', func(line []byte) {
		if name, is := bytes.CutPrefix(line, []byte("commit ")); is {
			b.Write(name)
			b.WriteByte('\n')
		}
	})
	return b.String(), err
}

const mostPaths = 50 // of one object

// brought keeps the first commit of each path.
func (h *history) brought(id objectID, by introduced) {
	all := h.places[id]
	i := slices.IndexFunc(all, func(in introduced) bool { return in.path == by.path })
	switch {
	case i >= 0 && by.at.Before(all[i].at):
		all[i] = by
	case i < 0 && len(all) < mostPaths:
		h.places[id] = append(all, by)
	}
}

// hits makes hits of what was found: one a term, encoding and path, of the commit that was first.
func (h *history) hits() {
	first := map[same]Hit{}
	for id, matches := range h.found {
		places := h.places[id]
		if len(places) == 0 {
			places = []introduced{{}} // no commit has it
		}
		for _, m := range matches {
			for _, by := range places {
				hit := h.hit(id, m, by, h.inHead[id])
				key := hit.same(0)
				if hit.Path == "" {
					key.path = hit.Object
				}
				old, known := first[key]
				if known && !earlier(hit, old) {
					hit, old = old, hit
				}
				hit.InHead = hit.InHead || known && old.InHead
				for _, name := range old.Tips {
					if known && !slices.Contains(hit.Tips, name) {
						hit.Tips = append(hit.Tips, name)
					}
				}
				first[key] = hit
			}
		}
	}
	for _, hit := range first {
		h.add(hit)
	}
}

// earlier orders by time, then so that the answer is the same each time; what is in no commit is last.
func earlier(a, b Hit) bool {
	switch {
	case (a.Commit == "") != (b.Commit == ""):
		return a.Commit != ""
	case !a.FirstSeen.Equal(b.FirstSeen):
		return a.FirstSeen.Before(b.FirstSeen)
	case a.Commit != b.Commit:
		return a.Commit < b.Commit
	case a.Object != b.Object:
		return a.Object < b.Object
	}
	return a.Line < b.Line
}

func (h *history) masked(names []string) (all []string) {
	for _, name := range names {
		all = append(all, h.Mask(name))
	}
	return all
}

func (h *history) hit(id objectID, m objectMatch, by introduced, inHead bool) Hit {
	p := by.path + m.member
	if by.path == "" && m.kind != "blob" {
		p = map[string]string{"commit": "(commit message)", "tag": "(tag)", "tree": "(name of a file)"}[m.kind]
	}
	return Hit{
		Term: h.terms[m.term], Encoding: m.encoding, Source: h.Mask(h.named), Path: h.Mask(p), Line: m.line,
		Commit: by.commit, Object: m.name, InHead: inHead, FirstSeen: by.at, Tips: h.masked(h.inTips[id]),
	}.bare()
}
