package postgres

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Times after which a database that does not answer counts as away.
const (
	connectTimeout = 5 * time.Second
	// A connection whose peer vanished is given up after this long, instead of the kernel's 15 minutes.
	deadPeerAfter = 10 * time.Second
)

const maxConns = 20

// Open makes a pool for url, a postgres:// URL or key=value string, of up to 20 connections, or more where url or the
// number of processors says so. It does not wait for the database to answer; Ping does. The caller closes the pool.
//
// Unless url says otherwise, each connection has a statement timeout of 30 s, the same for an idle transaction, and the
// time zone UTC, and where the server is part of a failover pair the one that takes writes is chosen. Errors never
// show the password.
func Open(ctx context.Context, url string) (*pgxpool.Pool, error) {
	return OpenWatched(ctx, url, nil)
}

// OpenWatched is Open for a pool that m watches; nil: none does. A Metrics watches one pool.
func OpenWatched(ctx context.Context, url string, m *Metrics) (*pgxpool.Pool, error) {
	c, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, errors.New("the database URL cannot be read: postgres://user:password@host/database is expected")
	}
	c.MaxConns = max(c.MaxConns, maxConns)
	c.ConnConfig.ConnectTimeout = connectTimeout
	dialer := &net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: deadPeerAfter, Interval: 5 * time.Second, Count: 2},
		Control:         giveUpOnDeadPeers,
	}
	c.ConnConfig.DialFunc = dialer.DialContext
	params := c.ConnConfig.RuntimeParams
	setDefault(params, "application_name", "keyrounds")
	setDefault(params, "statement_timeout", "30s")
	setDefault(params, "idle_in_transaction_session_timeout", "30s") // less than a lease: a process that sleeps holds no lock for longer
	setDefault(params, "timezone", "UTC")
	if c.ConnConfig.ValidateConnect == nil {
		c.ConnConfig.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	c.HealthCheckPeriod = 15 * time.Second
	if m == nil {
		return pgxpool.NewWithConfig(ctx, c)
	}
	c.ConnConfig.Tracer = m
	pool, err := pgxpool.NewWithConfig(ctx, c)
	if err == nil {
		m.watch(pool)
	}
	return pool, err
}

func setDefault(m map[string]string, k, v string) {
	if _, ok := m[k]; !ok {
		m[k] = v
	}
}

// Ping asks the database for an answer, for at most 2 s. Its error is plain (Plain).
func Ping(ctx context.Context, pool *pgxpool.Pool) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return Plain(pool.Ping(ctx))
}
