package usage_test

import (
	"compress/gzip"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/test/lasting"
	"github.com/keyrounds/keyrounds/usage"
	"github.com/keyrounds/keyrounds/usage/feed"
)

// log is a log file that a program writes and logrotate turns.
type log struct {
	*desk
	path    string
	written int
	open    *os.File
}

func newLog(d *desk) *log {
	l := &log{desk: d, path: filepath.Join(d.TempDir(), "api.json")}
	l.reopen()
	return l
}

func (l *log) reopen() {
	l.Helper()
	var err error
	if l.open, err = os.OpenFile(l.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { _ = l.open.Close() })
}

func (l *log) write(n int) {
	l.Helper()
	for range n {
		l.written++
		l.text(fmt.Sprintf(`{"client_id":"a","at":%q,"event_id":"e%d","source_ip":"203.0.113.7","user_agent":"job/1"}`+"\n",
			l.now.Add(time.Duration(l.written)*time.Millisecond).Format(time.RFC3339Nano), l.written))
	}
}

func (l *log) text(s string) {
	l.Helper()
	if _, err := l.open.WriteString(s); err != nil {
		l.Fatal(err)
	}
}

// age makes a rotated file old enough to be complete.
func (l *log) age(name string) {
	l.Helper()
	if err := os.Chtimes(name, time.Time{}, l.now.Add(-time.Minute)); err != nil {
		l.Fatal(err)
	}
}

func (l *log) rename(to string) {
	l.Helper()
	if err := os.Rename(l.path, to); err != nil {
		l.Fatal(err)
	}
}

func (l *log) copyTruncate(to string) {
	l.Helper()
	b, err := os.ReadFile(l.path)
	if err == nil {
		err = errors.Join(os.WriteFile(to, b, 0o600), os.Truncate(l.path, 0))
	}
	if err != nil {
		l.Fatal(err)
	}
}

func (l *log) compress(name string) {
	l.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		l.Fatal(err)
	}
	var z strings.Builder
	w := gzip.NewWriter(&z)
	_, err1 := w.Write(b)
	if err := errors.Join(err1, w.Close(), os.WriteFile(name+".gz", []byte(z.String()), 0o600), os.Remove(name)); err != nil {
		l.Fatal(err)
	}
}

// chunks are what a process with that store finds new.
func (d *desk) chunks(s *usage.Store, f feed.Feed) ([]feed.Chunk, error) {
	d.Helper()
	known, err := s.FilePositions(d.Context(), f.Name)
	if err != nil {
		d.Fatal(err)
	}
	return feed.Chunks(f.Paths, known, d.now)
}

// follow takes in all that is new, as a process with that store does.
func (l *log) follow(s *usage.Store, f feed.Feed) {
	l.Helper()
	for range 1000 {
		chunks, err := l.chunks(s, f)
		if err != nil && !errors.Is(err, os.ErrNotExist) { // between a rename and a new file
			l.Fatal(err)
		}
		n := 0
		for _, c := range chunks {
			news, err := l.ingest(f, usage.Chunk(c))
			if err != nil {
				l.Fatal(err)
			}
			n += int(news.Counts.Records())
		}
		if n == 0 {
			return
		}
	}
	l.Fatal("it never ends")
}

func (l *log) once() {
	l.Helper()
	if n := l.uses(); n != l.written {
		l.Errorf("%d uses are kept of %d lines", n, l.written)
	}
}

// A file is followed over everything that happens to log files, each line once.
func TestFollowAFile(t *testing.T) {
	t.Parallel()
	for name, turn := range map[string]func(l *log, f feed.Feed){
		"nothing happens":           func(*log, feed.Feed) {},
		"another process goes on":   func(l *log, _ feed.Feed) { l.store = l.another() },
		"renamed":                   func(l *log, _ feed.Feed) { l.rename(l.path + ".1"); l.reopen() },
		"renamed with lines unread": func(l *log, _ feed.Feed) { l.write(7); l.rename(l.path + "-20261124"); l.reopen() },
		"renamed, and written on": func(l *log, f feed.Feed) {
			l.rename(l.path + ".1")
			l.write(3)
			l.follow(l.store, f)
			l.write(2)
			l.reopen()
		},
		"copied and truncated":   func(l *log, _ feed.Feed) { l.write(4); l.copyTruncate(l.path + ".1") },
		"renamed and compressed": func(l *log, _ feed.Feed) { l.write(5); l.rename(l.path + ".1"); l.compress(l.path + ".1"); l.reopen() },
		"renamed twice": func(l *log, _ feed.Feed) {
			l.write(5)
			l.rename(l.path + ".2")
			l.reopen()
			l.write(6)
			l.rename(l.path + ".1")
			l.reopen()
		},
		"renamed over one that was read": func(l *log, f feed.Feed) {
			l.rename(l.path + ".1")
			l.reopen()
			l.write(20)
			l.follow(l.store, f)
			l.write(1)
			l.rename(l.path + ".1")
			l.reopen()
		},
		"a line is half written": func(l *log, f feed.Feed) {
			l.written++
			l.text(`{"client_id":"a","at":"` + l.now.Format(time.RFC3339))
			l.follow(l.store, f)
			l.text(`","event_id":"half"}` + "\n")
		},
		"the last line of a rotated file has no end": func(l *log, f feed.Feed) {
			l.written++
			l.text(`{"client_id":"a","at":"` + l.now.Format(time.RFC3339) + `"}`)
			l.rename(l.path + ".1")
			l.follow(l.store, f)
			l.age(l.path + ".1")
			l.reopen()
		},
		"a copy of it lies beside": func(l *log, _ feed.Feed) {
			b, err := os.ReadFile(l.path)
			if err == nil {
				err = os.WriteFile(l.path+".bak", b, 0o600)
			}
			if err != nil {
				l.Fatal(err)
			}
		},
		"it is gone for a while": func(l *log, f feed.Feed) {
			l.rename(l.path + ".1")
			if chunks, err := l.chunks(l.store, f); err == nil || len(chunks) != 0 ||
				!strings.Contains(err.Error(), "api.json: file does not exist") {
				l.Errorf("%d chunks, error %v", len(chunks), err)
			}
			l.reopen()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, client(1, "a"))
			l := newLog(d)
			f := d.feed(feed.Feed{Name: "nginx", Type: feed.TypeFile, Paths: []string{l.path}})
			l.write(50)
			l.follow(d.store, f)
			l.once()
			turn(l, f)
			l.follow(d.store, f)
			l.write(60)
			l.follow(d.store, f)
			l.once()
			// Old neighbours that were never followed stay unread.
			if err := os.WriteFile(l.path+".9", []byte(`{"client_id":"a","at":"2026-01-01T00:00:00Z"}`+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(l.path+".9", time.Time{}, d.now.AddDate(0, 0, -9)); err != nil {
				t.Fatal(err)
			}
			l.follow(d.store, f)
			l.once()
		})
	}
}

// Whatever comes when: lines, rotations of every kind, restarts, transactions that fail, and two processes
// that follow the same file. Each line is taken in once.
func TestFollowExactlyOnce(t *testing.T) {
	lasting.Test(t, "it stops and goes on at random")
	t.Parallel()
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, client(1, "a"))
			l := newLog(d)
			f := d.feed(feed.Feed{Name: "nginx", Type: feed.TypeFile, Paths: []string{l.path}})
			r := rand.New(rand.NewPCG(seed, 7))
			other, rotated, stale := d.another(), 0, []feed.Chunk(nil)
			for range 120 {
				switch r.IntN(9) {
				case 0:
					rotated++
					l.rename(fmt.Sprintf("%s.%d", l.path, rotated))
					if r.IntN(2) == 0 {
						l.compress(fmt.Sprintf("%s.%d", l.path, rotated))
					}
					l.reopen()
				case 1:
					if r.IntN(2) == 0 {
						rotated++
						l.copyTruncate(fmt.Sprintf("%s.%d", l.path, rotated))
					}
				case 2: // read, and not committed
					chunks, err := d.chunks(d.store, f)
					if err != nil {
						t.Fatal(err)
					}
					stale = chunks
					for _, c := range chunks {
						_ = pgx.BeginFunc(t.Context(), d.pool, func(tx pgx.Tx) error {
							if _, err := d.store.Ingest(t.Context(), tx, f, usage.Chunk(c), d.now); err != nil {
								return err
							}
							return errors.New("killed")
						})
					}
				case 3: // what was read long ago, by a process that slept
					for _, c := range stale {
						_, err := d.ingest(f, usage.Chunk(c))
						if err != nil && !errors.Is(err, usage.ErrMoved) {
							t.Fatal(err)
						}
					}
				case 4:
					l.follow(other, f)
				case 5:
					d.store = d.another()
					l.follow(d.store, f)
				default:
					l.write(1 + r.IntN(40))
				}
				// A rotated file is found by what it begins with: it must have been seen once before.
				if r.IntN(3) > 0 {
					l.follow(d.store, f)
				} else if l.count(`SELECT count(*) FROM usage_files`) == 0 {
					l.follow(d.store, f)
				}
			}
			l.write(3)
			l.follow(d.store, f)
			l.once()
		})
	}
}

// A directory is followed as the files in it: new ones as they come, no compressed, hidden or strange ones.
func TestFollowADirectory(t *testing.T) {
	t.Parallel()
	d := newDesk(t, client(1, "a"))
	l := newLog(d)
	dir := filepath.Dir(l.path)
	f := d.feed(feed.Feed{Name: "nginx", Type: feed.TypeFile, Paths: []string{dir}})
	l.write(10)
	for _, name := range []string{".hidden", "old.gz"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(`{"client_id":"a","at":"2026-01-01T00:00:00Z"}`+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "sub"), 0o700), os.Symlink(dir, filepath.Join(dir, "loop"))); err != nil {
		t.Fatal(err)
	}
	l.follow(d.store, f)
	l.rename(filepath.Join(dir, "worker-2.json"))
	l.reopen()
	l.write(10)
	l.follow(d.store, f)
	l.once()
}

// Bad records are counted and shown, cleaned, and cost nothing but themselves; a line without end is one of
// them.
func TestBadRecords(t *testing.T) {
	t.Parallel()
	d := newDesk(t, client(1, "a"))
	l := newLog(d)
	f := d.feed(feed.Feed{Name: "nginx", Type: feed.TypeFile, Paths: []string{l.path}})
	l.write(5)
	l.text("\x00\xff\x1b[31m not json, client_secret=c4n4ry-s3cret-value token: c4n4ry\n")
	l.text(`{"client_id":"a"}` + "\n")
	l.text(`{"client_id":"a","at":"2099-01-01T00:00:00Z"}` + "\n")
	l.text(`{"client_id":["a"],"at":1793606401,"kind":"nonsense"}` + "\n")
	l.text(`[1,2` + strings.Repeat("[", 5000) + "\n")
	l.text(`{"at":"` + strings.Repeat("c4n4ry", 400_000) + "\"}\n")
	l.text(`"a string"` + "\n")
	l.write(5)
	l.follow(d.store, f)
	l.once()
	feeds, err := d.store.Feeds(t.Context())
	if err != nil || len(feeds) != 1 {
		t.Fatalf("%d feeds, error %v", len(feeds), err)
	}
	if n := feeds[0].Counts[usage.ResultBad]; n < 7 || len(feeds[0].Samples) == 0 || len(feeds[0].Samples) > 5 {
		t.Errorf("bad: %d, samples %+v", n, feeds[0].Samples)
	}
	if f := feeds[0]; f.Week.Bad < 7 || len(f.Coverage) == 0 || len(f.Watched) != 0 {
		t.Errorf("it read %+v in a week, lived %v, and watched %v, want not at all: too much was bad", f.Week, f.Coverage, f.Watched)
	}
	if text := fmt.Sprintf("%+v", feeds[0].Samples); strings.Contains(text, "c4n4ry") || strings.ContainsAny(text, "\x00\x1b") {
		t.Errorf("the samples show what they must not: %s", text)
	}
	if d.count(`SELECT count(*) FROM usage_days WHERE last_at > now() + interval '1 day'`) != 0 {
		t.Error("a record of the future is kept")
	}
}

// A directory of large files is read in turns, so that memory is bounded.
func TestFollowLargeFiles(t *testing.T) {
	lasting.Test(t, "its files are large")
	t.Parallel()
	d := newDesk(t, client(1, "a"))
	dir, pad, written := d.TempDir(), strings.Repeat("x", 100_000), 0
	for i := range 12 {
		var b strings.Builder
		for j := range 50 {
			written++
			fmt.Fprintf(&b, `{"client_id":"a","at":%q,"event_id":"%d-%d","pad":%q}`+"\n", d.now.Format(time.RFC3339), i, j, pad)
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%02d.json", i)), []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f := d.feed(feed.Feed{Name: "nginx", Type: feed.TypeFile, Paths: []string{dir}})
	chunks, err := d.chunks(d.store, f)
	if err != nil || len(chunks) > 9 || !chunks[len(chunks)-1].Full {
		t.Errorf("%d chunks at once, error %v", len(chunks), err)
	}
	l := &log{desk: d, written: written}
	l.follow(d.store, f)
	l.once()
}
