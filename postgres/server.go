package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

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
	running  bool // the process lives
	restarts int
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

// asUser keeps our environment, with its secrets, from the server.
func (s *server) asUser(cmd *exec.Cmd) {
	cmd.Dir = s.dir
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.user, Setpgid: true}
}

// stopOrphan stops a Postgres server that is still running because its keyrounds process was killed. Call it with the
// lock on the data directory held: then no living process uses that server.
func (s *server) stopOrphan(ctx context.Context) {
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, "pg_ctl"), "stop", "-D", s.data(), "-m", "fast", "-w", "-t", "10")
	s.asUser(cmd)
	_ = cmd.Run() // usually no server runs, and pg_ctl fails
}

// supervise runs the server until shutdown, and starts it again whenever it dies by itself. It stays on one
// thread, because the parent-death signal is sent when that thread ends, not the process.
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
			s.runs(true)
			_ = cmd.Wait()
			s.runs(false)
		}
		if !s.wanted() {
			return
		}
		s.log.Error("the private Postgres ended and is started again", "dir", s.dir, "last_words", s.lastWords())
		s.mu.Lock()
		s.restarts++
		s.mu.Unlock()
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

func (s *server) runs(running bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = running
}

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
			err := c.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, database).Scan(&exists)
			if err != nil || exists {
				return err
			}
			_, err = c.Exec(ctx, "CREATE DATABASE "+database)
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
