package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Rules of the private server:
//
//  1. One process runs it, the one that holds the lock of data_dir. Commands beside a daemon
//     connect to the daemon's.
//  2. It listens on a unix socket only, in a directory that only its user can enter.
//  3. As root it runs as an unprivileged user, postgres or else nobody.
//  4. It dies with us, by the parent-death signal; one that outlived a killed daemon is stopped
//     before a new one starts.
//  5. When it dies alone it is started again.

// Private is the server in a data_dir.
type Private struct {
	url  string
	stop func()
}

// PrivateOptions says how to run it.
type PrivateOptions struct {
	DataDir string
	Daemon  bool // false: a command, which connects to a daemon's server where one runs
	// Settings are added to postgresql.conf's command line; for tests.
	Settings map[string]string
	Log      *slog.Logger
}

// InUseError says that another process has the data_dir.
type InUseError struct {
	DataDir string
	PID     int
}

func (e *InUseError) Error() string {
	return fmt.Sprintf("data_dir %s is in use by another keyrounds daemon (process %d)", e.DataDir, e.PID)
}

// Hint says what to do.
func (e *InUseError) Hint() string {
	return "stop that one, or give this one its own data_dir; replicas share a database through database.url"
}

const (
	startTimeout = 60 * time.Second
	stopTimeout  = 10 * time.Second
	database     = "keyrounds"
	superuser    = "keyrounds"
)

// StartPrivate starts the private server, or finds the one that runs already. The first start
// makes the database, which takes seconds; binaries are downloaded where the machine has none.
//
// A second daemon on the same data_dir gets an *InUseError.
func StartPrivate(ctx context.Context, o PrivateOptions) (*Private, error) {
	if err := os.MkdirAll(o.DataDir, 0o711); err != nil {
		return nil, fmt.Errorf("data_dir: %w", err)
	}
	dataDir, err := filepath.Abs(o.DataDir)
	if err != nil {
		return nil, err
	}
	s := &server{dir: filepath.Join(dataDir, "postgres"), settings: o.Settings, log: o.Log}
	if s.user, err = unprivileged(); err != nil {
		return nil, err
	}
	s.socket = socketDir(s.dir)
	lock, err := takeLock(ctx, o, s)
	if err != nil {
		return nil, err
	}
	if lock == nil { // another process runs it
		return &Private{url: s.url(), stop: func() {}}, nil
	}
	if err := s.start(ctx); err != nil {
		lock.release()
		return nil, fmt.Errorf("private Postgres in %s: %w", s.dir, err)
	}
	return &Private{url: s.url(), stop: func() {
		s.shutdown()
		lock.release()
	}}, nil
}

// URL is for Open.
func (p *Private) URL() string { return p.url }

// Stop stops the server if this process started it, in order, within 10 s.
func (p *Private) Stop() { p.stop() }

// takeLock returns nil and no error where another process has the server and we may use it.
func takeLock(ctx context.Context, o PrivateOptions, s *server) (*dirLock, error) {
	role := "command"
	if o.Daemon {
		role = "daemon"
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	var lock *dirLock
	err := waitFor(ctx, func() (bool, error) {
		l, h, err := lockDir(o.DataDir, role)
		lock = l
		switch {
		case err == nil:
			return true, nil
		case !errors.Is(err, errLocked):
			return false, fmt.Errorf("data_dir: %w", err)
		case h.role == "daemon" && o.Daemon:
			return false, &InUseError{o.DataDir, h.pid}
		case h.role == "daemon":
			return s.answers(ctx), nil
		}
		return false, nil // a command that will end
	})
	return lock, err
}

// server is one postgres process and what it needs.
type server struct {
	bin, dir, socket string
	user             *syscall.Credential // nil: as ourselves
	settings         map[string]string
	log              *slog.Logger

	mu       sync.Mutex
	cmd      *exec.Cmd
	up       bool // it answered once
	stopping bool
	gone     chan struct{} // closed when the supervisor has ended
}

func (s *server) data() string { return filepath.Join(s.dir, "data") }

func (s *server) url() string {
	return fmt.Sprintf("host=%s user=%s dbname=%s sslmode=disable", quoteDSN(s.socket), superuser, database)
}

func quoteDSN(v string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(v) + "'"
}

// socketDir is beside the data unless that path is too long for a unix socket.
func socketDir(dir string) string {
	if s := filepath.Join(dir, "run"); len(s) < 80 {
		return s
	}
	sum := sha256.Sum256([]byte(dir))
	return filepath.Join(os.TempDir(), "keyrounds-"+hex.EncodeToString(sum[:6]))
}

func (s *server) start(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if s.bin, err = findBinaries(ctx); err != nil {
		if s.bin, err = download(filepath.Join(filepath.Dir(s.dir), "postgres-binaries")); err != nil {
			return &noBinariesError{err}
		}
	}
	for _, dir := range []string{s.dir, s.socket} {
		if err := s.ownDir(dir); err != nil {
			return err
		}
	}
	if err := s.reachable(); err != nil {
		return err
	}
	if err := s.initdb(ctx); err != nil {
		return err
	}
	s.stopOrphan(ctx)
	s.gone = make(chan struct{})
	first := make(chan error, 1)
	go s.supervise(first)
	if err := <-first; err != nil {
		return err
	}
	if err := s.ready(ctx); err != nil {
		s.shutdown()
		return fmt.Errorf("it did not start: %s", s.lastWords())
	}
	s.mu.Lock()
	s.up = true
	s.mu.Unlock()
	return nil
}

type noBinariesError struct{ error }

func (noBinariesError) Hint() string {
	return "install one (Debian: apt-get install postgresql), or give database.url"
}

func (e *noBinariesError) Unwrap() error { return e.error }

func (s *server) ownDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	st, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	uid := uint32(os.Geteuid())
	if s.user != nil {
		uid = s.user.Uid
	}
	owner := st.Sys().(*syscall.Stat_t).Uid
	if !st.IsDir() || owner != uid && owner != uint32(os.Geteuid()) {
		return fmt.Errorf("%s belongs to another user", dir)
	}
	if s.user != nil {
		if err := os.Chown(dir, int(s.user.Uid), int(s.user.Gid)); err != nil {
			return err
		}
	}
	return os.Chmod(dir, 0o700)
}

// reachable: an unprivileged server needs to pass through every directory above its own.
func (s *server) reachable() error {
	if s.user == nil {
		return nil
	}
	for dir := filepath.Dir(s.dir); dir != "/"; dir = filepath.Dir(dir) {
		st, err := os.Stat(dir)
		if err != nil {
			return err
		}
		if st.Mode().Perm()&0o001 == 0 && st.Sys().(*syscall.Stat_t).Uid != s.user.Uid {
			return &unreachableError{dir}
		}
	}
	return nil
}

type unreachableError struct{ dir string }

func (e *unreachableError) Error() string {
	return fmt.Sprintf("Postgres does not run as root, and its user cannot pass through %s", e.dir)
}

func (e *unreachableError) Hint() string {
	return "put data_dir elsewhere, for example under /var/lib, or chmod o+x " + e.dir
}

// unprivileged returns the user to run as, nil when we are not root.
func unprivileged() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
			gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, errors.Join(err1, err2)
		}
	}
	return nil, errors.New("running as root, and there is no user postgres or nobody for the private Postgres")
}

// initdb makes the cluster in a directory of another name first, so that one that was cut short
// is never taken for whole.
func (s *server) initdb(ctx context.Context) error {
	if _, err := os.Stat(s.data()); err == nil {
		return nil
	}
	half := s.data() + ".new"
	if err := os.RemoveAll(half); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, "initdb"), "-D", half, "-U", superuser, "-A", "trust",
		"--no-locale", "-E", "UTF8", "--data-checksums", "--no-instructions")
	s.asUser(cmd)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, lastLine(string(out)))
	}
	return os.Rename(half, s.data())
}

// asUser keeps our environment, with its secrets, from the server.
func (s *server) asUser(cmd *exec.Cmd) {
	cmd.Dir = s.dir
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.user, Setpgid: true}
}

// stopOrphan stops a server that outlived a killed keyrounds. We hold the lock, so it is nobody's.
func (s *server) stopOrphan(ctx context.Context) {
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, "pg_ctl"), "stop", "-D", s.data(), "-m", "fast", "-w", "-t", "10")
	s.asUser(cmd)
	_ = cmd.Run() // there is none, as a rule
}

// supervise runs the server until shutdown, again whenever it dies by itself. It stays on one
// thread, because the parent-death signal is that of the thread.
func (s *server) supervise(first chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(s.gone)
	for wait := firstWait; ; wait = min(2*wait, maxWait) {
		began := time.Now()
		cmd, err := s.launch()
		if first != nil {
			first <- err
			first = nil
		}
		if err == nil {
			_ = cmd.Wait()
		}
		if !s.wanted() {
			return
		}
		s.log.Error("the private Postgres ended and is started again", "dir", s.dir, "last_words", s.lastWords())
		if time.Since(began) > time.Minute {
			wait = firstWait
		}
		time.Sleep(wait)
	}
}

const (
	firstWait = 200 * time.Millisecond
	maxWait   = 10 * time.Second
)

// wanted: it was up once, and nobody asked it to stop.
func (s *server) wanted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.up && !s.stopping
}

func (s *server) launch() (*exec.Cmd, error) {
	settings := map[string]string{
		"listen_addresses": "", "unix_socket_directories": s.socket, "unix_socket_permissions": "0700",
		"max_connections": "60", "shared_buffers": "64MB", "log_timezone": "UTC", "timezone": "UTC",
		"log_min_messages": "warning", "log_min_error_statement": "panic", "log_line_prefix": "%m ", "jit": "off",
	}
	for k, v := range s.settings {
		settings[k] = v
	}
	args := []string{"-D", s.data()}
	for k, v := range settings {
		args = append(args, "-c", k+"="+v)
	}
	logFile, err := openLog(s.logPath())
	if err != nil {
		return nil, err
	}
	defer logFile.Close()
	cmd := exec.Command(filepath.Join(s.bin, "postgres"), args...)
	s.asUser(cmd)
	cmd.SysProcAttr.Pdeathsig = syscall.SIGINT // fast shutdown
	cmd.Stdout, cmd.Stderr = logFile, logFile
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return nil, errors.New("stopping")
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s.cmd = cmd
	return cmd, nil
}

func (s *server) logPath() string { return filepath.Join(s.dir, "postgres.log") }

const maxLog = 4 << 20

// openLog begins a new log when the old one is large, and keeps one old one.
func openLog(path string) (*os.File, error) {
	if st, err := os.Stat(path); err == nil && st.Size() > maxLog {
		_ = os.Rename(path, path+".old")
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
}

func (s *server) lastWords() string {
	f, err := os.Open(s.logPath())
	if err != nil {
		return "no log"
	}
	defer f.Close()
	if st, err := f.Stat(); err == nil && st.Size() > 4096 {
		_, _ = f.Seek(-4096, io.SeekEnd)
	}
	b, _ := io.ReadAll(f)
	return lastLine(string(b))
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

// ready waits for the server and makes the database.
func (s *server) ready(ctx context.Context) error {
	return waitFor(ctx, func() (bool, error) {
		select {
		case <-s.gone:
			return false, errors.New("it ended")
		default:
		}
		return s.withConn(ctx, "postgres", func(c *pgx.Conn) error {
			var exists bool
			if err := c.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, database).Scan(&exists); err != nil || exists {
				return err
			}
			_, err := c.Exec(ctx, "CREATE DATABASE "+database)
			return err
		}) == nil, nil
	})
}

func (s *server) answers(ctx context.Context) bool {
	return s.withConn(ctx, database, func(c *pgx.Conn) error { return c.Ping(ctx) }) == nil
}

func (s *server) withConn(ctx context.Context, db string, f func(*pgx.Conn) error) error {
	c, err := pgx.Connect(ctx, fmt.Sprintf("host=%s user=%s dbname=%s sslmode=disable", quoteDSN(s.socket), superuser, db))
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	return f(c)
}

// shutdown asks for a fast shutdown, then an immediate one.
func (s *server) shutdown() {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGKILL} {
		s.mu.Lock()
		s.stopping = true
		cmd := s.cmd
		s.mu.Unlock()
		if cmd == nil {
			return
		}
		_ = cmd.Process.Signal(sig)
		select {
		case <-s.gone:
			return
		case <-time.After(stopTimeout):
		}
	}
}
