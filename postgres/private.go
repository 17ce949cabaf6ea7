//go:build linux

package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"
)

// Rules of the private server:
//
//  1. One process runs it, the one that holds the lock of data_dir. Commands beside a daemon
//     connect to the daemon's.
//  2. It listens on a unix socket only, in a directory that only its user can enter, and asks for a password.
//  3. As root it runs as an unprivileged user, postgres or else nobody, in a directory of its own (place).
//  4. It dies with us, by the parent-death signal; one that outlived a killed daemon, and is proven to be it, is stopped
//     before a new one starts.
//  5. When it dies alone it is started again.

// Private is the server in a data_dir, as StartPrivate found or started it.
type Private struct {
	place  place
	stop   func()
	server *server // nil: another process runs it
}

const (
	startTimeout = 60 * time.Second
	stopTimeout  = 10 * time.Second
	database     = "keyrounds"
)

// StartPrivate starts the private server, or finds the one that a daemon runs already. The first start makes the
// database, which takes seconds. It takes the newest Postgres of this machine, 14 or later.
//
// Where a restore was cut short it returns a *CutShortError. A second daemon on the same data_dir gets an *InUseError. Where a
// command has it, it waits for that command to end. It gives up after Patience (*BusyError), and a minute of starting.
func StartPrivate(ctx context.Context, o PrivateOptions) (*Private, error) {
	where, err := findPlace(o.DataDir)
	if err != nil {
		return nil, err
	}
	s := &server{place: where, settings: o.Settings, log: o.Log}
	lock, err := takeLock(ctx, o, where)
	if err != nil {
		return nil, err
	}
	if lock == nil { // another process runs it
		return &Private{place: where, stop: func() {}}, nil
	}
	if err := where.cutShort(); err != nil {
		lock.release()
		return nil, err
	}
	if err := clearRestoring(ctx, where, o.Log); err != nil { // of a restore that was killed when all was done
		lock.release()
		return nil, fmt.Errorf("data_dir: %w", err)
	}
	if err := s.start(ctx); err != nil {
		lock.release()
		return nil, fmt.Errorf("private Postgres in %s: %w", where.servers(), err)
	}
	return &Private{place: where, server: s, stop: func() {
		s.shutdown()
		s.said.close()
		lock.release()
	}}, nil
}

func (o PrivateOptions) patience() time.Duration { return cmp.Or(o.Patience, startTimeout) }

// URL is what Open takes, in the key=value form, for the role of the application, which owns nothing. It holds no
// password, but names the file that does.
func (p *Private) URL() string { return p.place.url(appRole, database) }

// AdminURL is the same for the role that owns the schema: it migrates and keeps partitions.
func (p *Private) AdminURL() string { return p.place.url(adminRole, database) }

// Watch shows by reg whether the server runs, how often it was started again and what is free on its disk. Where
// another process runs it, nothing is shown.
func (p *Private) Watch(reg prometheus.Registerer) {
	s := p.server
	if s == nil {
		return
	}
	gauge := func(name, help string, read func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read)
	}
	reg.MustRegister(
		gauge("keyrounds_private_postgres_up", "1 if the private Postgres runs.", func() float64 {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.running {
				return 1
			}
			return 0
		}),
		prometheus.NewCounterFunc(
			prometheus.CounterOpts{
				Name: "keyrounds_private_postgres_restarts_total",
				Help: "How often the private Postgres died and was started again.",
			},
			func() float64 {
				s.mu.Lock()
				defer s.mu.Unlock()
				return float64(s.restarts)
			},
		),
		gauge("keyrounds_private_postgres_disk_free_bytes", "What is free on the disk that holds the private Postgres.", func() float64 {
			var fs unix.Statfs_t
			if unix.Statfs(s.dataDir, &fs) != nil {
				return 0
			}
			return float64(fs.Bavail) * float64(fs.Bsize)
		}),
	)
}

// Stop stops the server if this process started it, and lets go of the data_dir. It asks for a fast shutdown, then
// for an immediate one, then kills it, with 10 s between: 30 s at most.
func (p *Private) Stop() { p.stop() }

// triesOfOurs is how often a lock that this process has itself is asked for again: what it has just let go of may be held for a
// moment by a child that is being started and has not become another program yet.
const triesOfOurs = 20

// takeLock returns nil and no error where another process has the server and we may use it.
func takeLock(ctx context.Context, o PrivateOptions, p place) (*dirLock, error) {
	role := "command"
	if o.Daemon {
		role = "daemon"
	}
	limited, cancel := context.WithTimeout(ctx, o.patience())
	defer cancel()
	var lock *dirLock
	var by holder
	tries := 0
	err := waitFor(limited, func() (bool, error) {
		l, h, err := lockDir(p.dataDir, role)
		lock, by = l, h
		switch {
		case err == nil:
			return true, nil
		case !errors.Is(err, errLocked):
			return false, fmt.Errorf("data_dir: %w", err)
		case h.pid == os.Getpid() && tries < triesOfOurs:
			tries++
			return false, nil
		case h.role == "daemon" && o.Daemon:
			return false, &InUseError{o.DataDir, h.pid}
		case h.role == "daemon":
			return p.answers(limited), nil
		}
		return false, nil // a command that will end
	})
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		err = &BusyError{o.DataDir, by.role == "daemon", by.pid}
	}
	return lock, err
}
