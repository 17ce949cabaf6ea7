//go:build linux

package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// server is one postgres process and what it needs.
type server struct {
	place
	bin      string
	settings map[string]string
	log      *slog.Logger
	said     *serverLog

	mu       sync.Mutex
	cmd      *exec.Cmd
	up       bool // it answered once
	stopping bool
	running  bool // the process lives
	restarts int
	gone     chan struct{} // closed when the supervisor has ended
}

// url of a database of the server, for one of its roles. It holds no password; the file that it names does.
func (p place) url(role, database string) string {
	return fmt.Sprintf("host=%s user=%s dbname=%s passfile=%s sslmode=disable", quoteDSN(p.socket), role, database, quoteDSN(p.passwords()))
}

func quoteDSN(v string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(v) + "'"
}

func (s *server) start(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if s.bin, err = findBinaries(ctx); err != nil {
		return &noBinariesError{err}
	}
	if err := s.reachable(); err != nil {
		return err
	}
	if err := s.handOver(); err != nil {
		return err
	}
	if err := s.makeSocketDir(ctx); err != nil {
		return err
	}
	if err := s.initdb(ctx); err != nil {
		return err
	}
	if err := s.stopOrphan(ctx); err != nil {
		return err
	}
	if s.said, err = openServerLog(s.place.log()); err != nil {
		return err
	}
	known, err := s.haveRoles()
	if err != nil {
		return err
	}
	if err := s.allow(known); err != nil {
		return err
	}
	s.gone = make(chan struct{})
	first := make(chan error, 1)
	go s.supervise(first)
	if err := <-first; err != nil {
		return err
	}
	if err := s.ready(ctx, known); err != nil {
		s.shutdown()
		return fmt.Errorf("it did not start: %w", s.said.trouble(s.dataDir, err))
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
		s.log.Error("the private Postgres ended and is started again", "dir", s.dataDir, "last_words", s.said.last(), "log", s.place.log())
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
		"listen_addresses": "", "hba_file": s.hba(), "unix_socket_directories": s.socket, "unix_socket_permissions": "0700",
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
	cmd := exec.Command(filepath.Join(s.bin, "postgres"), args...)
	s.dress(cmd)
	cmd.SysProcAttr.Pdeathsig = syscall.SIGINT // fast shutdown
	s.said.begins()
	cmd.Stdout, cmd.Stderr = s.said, s.said
	cmd.WaitDelay = stopTimeout // a backend that outlives the server holds the pipe
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

var errEnded = errors.New("it ended")

// ready waits for the server, and makes the database and its roles. known: the roles have passwords already.
func (s *server) ready(ctx context.Context, known bool) (err error) {
	var last error
	err = waitFor(ctx, func() (bool, error) {
		select {
		case <-s.gone:
			return false, errEnded
		default:
		}
		last = s.withConn(ctx, adminRole, "postgres", func(c *pgx.Conn) error { return s.furnish(ctx, c, known) })
		if refused := (*pgconn.PgError)(nil); known && errors.As(last, &refused) && refused.Code == "28P01" { // invalid_password
			return false, &passwordsError{s.passwords(), "the private Postgres takes none of its passwords"}
		}
		if lost(last) {
			return false, &troubleError{Plain(last).Error(), strings.ReplaceAll(damaged, "DIR", s.dataDir)}
		}
		return last == nil, nil
	})
	if err != nil && last != nil && ctx.Err() != nil {
		return Plain(last)
	}
	return err
}

// lost reports whether a server that answers says that files of its own are missing or damaged: waiting does not mend that.
func lost(err error) bool {
	var said *pgconn.PgError
	return errors.As(err, &said) && (said.Code == "58P01" || said.Code == "XX001" || said.Code == "XX002") // undefined_file, corrupted
}

// passwordsError says that the passwords of the roles are not those of this cluster.
type passwordsError struct{ file, why string }

func (e *passwordsError) Error() string { return e.file + ": " + e.why }

func (e *passwordsError) Hint() string {
	return "it comes from another data_dir, or is older than the database: remove it, and the next start makes new ones"
}

func (p place) answers(ctx context.Context) bool {
	return p.withConn(ctx, appRole, database, func(c *pgx.Conn) error { return c.Ping(ctx) }) == nil
}

func (p place) withConn(ctx context.Context, role, db string, f func(*pgx.Conn) error) error {
	c, err := pgx.Connect(ctx, p.url(role, db))
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	return f(c)
}
