package postgres

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts what goes wrong between this process and its database, by a class of errors; OpenWatched also has it
// show how the pool stands. It is safe for concurrent use.
type Metrics struct {
	reg    prometheus.Registerer
	errors *prometheus.CounterVec
	full   atomic.Pointer[refusal]
}

// refusal is that the server took something no more.
type refusal struct {
	at  time.Time
	err error
}

// The codes with which a server answers that takes no writes: disk_full and read_only_sql_transaction.
var takesNoWrites = []string{"53100", "25006"}

// TakesNoWrites returns why some statement of the last while was refused that any other would be as well: a disk that is full, a
// database that can only be read; nil: none was. What is small may still find room where that is so.
func (m *Metrics) TakesNoWrites(while time.Duration) error {
	if r := m.full.Load(); r != nil && time.Since(r.at) < while {
		return Plain(r.err)
	}
	return nil
}

// The classes of errors, a closed list.
const (
	classConnection = "connection" // none could be had, or it broke
	classResources  = "resources"  // disk full, too many connections, out of memory
	classConflict   = "conflict"   // a deadlock, or a serialization failure
	classTimeout    = "timeout"    // a statement or a lock took too long
	classOther      = "other"
)

// NewMetrics makes Metrics that are shown by reg. It panics where reg has them already: make one a registry.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{reg: reg, errors: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "keyrounds_database_errors_total",
		Help: "Errors of the database that this process met, by class (connection, resources, conflict, timeout, other).",
	}, []string{"class"})}
	for _, class := range []string{classConnection, classResources, classConflict, classTimeout, classOther} {
		m.errors.WithLabelValues(class)
	}
	reg.MustRegister(m.errors)
	return m
}

// TraceQueryStart implements pgx.QueryTracer.
func (m *Metrics) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

// TraceQueryEnd implements pgx.QueryTracer.
func (m *Metrics) TraceQueryEnd(_ context.Context, _ *pgx.Conn, d pgx.TraceQueryEndData) {
	m.count(d.Err)
}

// TraceConnectStart implements pgx.ConnectTracer.
func (m *Metrics) TraceConnectStart(ctx context.Context, _ pgx.TraceConnectStartData) context.Context {
	return ctx
}

// TraceConnectEnd implements pgx.ConnectTracer.
func (m *Metrics) TraceConnectEnd(_ context.Context, d pgx.TraceConnectEndData) { m.count(d.Err) }

func (m *Metrics) count(err error) {
	var pe *pgconn.PgError
	if errors.As(err, &pe) && slices.Contains(takesNoWrites, pe.Code) {
		m.full.Store(&refusal{time.Now(), err})
	}
	if class := classOf(err); class != "" {
		m.errors.WithLabelValues(class).Inc()
	}
}

// classOf returns "" for what is no error of the database: a caller that gave up, or one that asks for a lock
// and can do without it (55P03).
func classOf(err error) string {
	var pe *pgconn.PgError
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, pgx.ErrNoRows):
		return ""
	case !errors.As(err, &pe):
		if errors.Is(err, context.DeadlineExceeded) {
			return classTimeout
		}
		return classConnection
	case pe.Code == "55P03":
		return ""
	case pe.Code == "57014": // query_canceled
		return classTimeout
	case strings.HasPrefix(pe.Code, "08"),
		strings.HasPrefix(pe.Code, "57P"),
		strings.HasPrefix(pe.Code, "28"),
		strings.HasPrefix(pe.Code, "25P03"):
		return classConnection
	case strings.HasPrefix(pe.Code, "53"), strings.HasPrefix(pe.Code, "54"), strings.HasPrefix(pe.Code, "58"):
		return classResources
	case strings.HasPrefix(pe.Code, "40"):
		return classConflict
	}
	return classOther
}

// watch shows how pool stands.
func (m *Metrics) watch(pool *pgxpool.Pool) {
	stat := func(kind prometheus.ValueType, name, help string, read func(*pgxpool.Stat) float64) poolStat {
		return poolStat{prometheus.NewDesc(name, help, nil, nil), kind, read}
	}
	m.reg.MustRegister(&poolCollector{
		pool,
		[]poolStat{
			stat(
				prometheus.GaugeValue,
				"keyrounds_database_connections_max",
				"Connections that this process may have.",
				func(s *pgxpool.Stat) float64 { return float64(s.MaxConns()) },
			),
			stat(
				prometheus.GaugeValue,
				"keyrounds_database_connections_in_use",
				"Connections that are being used.",
				func(s *pgxpool.Stat) float64 { return float64(s.AcquiredConns()) },
			),
			stat(
				prometheus.GaugeValue,
				"keyrounds_database_connections_idle",
				"Connections that wait for use.",
				func(s *pgxpool.Stat) float64 { return float64(s.IdleConns()) },
			),
			stat(
				prometheus.CounterValue,
				"keyrounds_database_acquires_total",
				"How often a connection was asked for.",
				func(s *pgxpool.Stat) float64 { return float64(s.AcquireCount()) },
			),
			stat(
				prometheus.CounterValue,
				"keyrounds_database_acquires_waited_total",
				"How often a connection had to be waited for.",
				func(s *pgxpool.Stat) float64 { return float64(s.EmptyAcquireCount()) },
			),
			stat(
				prometheus.CounterValue,
				"keyrounds_database_acquire_wait_seconds_total",
				"How long connections were waited for.",
				func(s *pgxpool.Stat) float64 { return s.EmptyAcquireWaitTime().Seconds() },
			),
		},
	})
}

type poolStat struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	read func(*pgxpool.Stat) float64
}

type poolCollector struct {
	pool  *pgxpool.Pool
	stats []poolStat
}

// Describe implements prometheus.Collector.
func (c *poolCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, s := range c.stats {
		ch <- s.desc
	}
}

// Collect implements prometheus.Collector.
func (c *poolCollector) Collect(ch chan<- prometheus.Metric) {
	now := c.pool.Stat()
	for _, s := range c.stats {
		ch <- prometheus.MustNewConstMetric(s.desc, s.kind, s.read(now))
	}
}
