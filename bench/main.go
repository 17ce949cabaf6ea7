// Command bench measures keyrounds against the least that must be done, the floor, in one run on one machine, and
// prints a table of ratios. Absolute numbers say little: machines differ, and are noisy.
//
//	go run ./bench [-checks N] [-results N] [-only NAME,…] [-profile FILE] [-gatus PATH] [-blackbox PATH]
//
// It builds and starts everything that it measures: a token endpoint, a private Postgres, the daemon. CPU time is user and
// system; that of the token endpoint is not counted.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/keyrounds/keyrounds/postgres"
)

func main() {
	var b bed
	flag.IntVar(&b.checks, "checks", 60_000, "exchanges of a measurement")
	flag.IntVar(&b.history, "results", 20_000_000, "results of the measurement history")
	flag.StringVar(&b.profile, "profile", "",
		"write a CPU profile of keyrounds while its cost is measured to this file (go tool pprof), and its SQL statements to FILE.sql")
	flag.StringVar(&b.gatus, "gatus", "", "path of gatus, to measure it as well")
	flag.StringVar(&b.blackbox, "blackbox", "", "path of blackbox_exporter, likewise")
	only := flag.String("only", "", "the measurements to make, by name, separated by commas; default all")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := b.table(ctx, os.Stdout, *only); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// A row of the table.
type result struct {
	name   string
	value  string
	ratio  string // to the floor, or to what is ideal
	goal   string
	detail string
}

type measurement struct {
	name string
	do   func(context.Context, *bed) ([]result, error)
}

var measurements = []measurement{
	{"cost", cost},
	{"peers", peers},
	{"slow", slow},
	{"replicas", replicas},
	{"scale", scale},
	{"history", history},
	{"usage", usage},
}

// table makes the measurements and prints what came of them.
func (b *bed) table(ctx context.Context, out io.Writer, only string) error {
	defer b.close()
	if err := b.make(ctx); err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 1, ' ', 0)
	fmt.Fprintln(w, "| what\t | measured\t | ratio\t | goal\t | of which\t |")
	fmt.Fprintln(w, "| ---\t | ---\t | ---\t | ---\t | ---\t |")
	defer w.Flush()
	for _, m := range measurements {
		if only != "" && !slices.Contains(strings.Split(only, ","), m.name) {
			continue
		}
		rs, err := m.do(ctx, b)
		if err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		for _, r := range rs {
			fmt.Fprintf(w, "| %s\t | %s\t | %s\t | %s\t | %s\t |\n", r.name, r.value, r.ratio, r.goal, r.detail)
		}
	}
	return nil
}

// bed is what measurements work in: built programs and a Postgres.
type bed struct {
	dir                    string
	keyrounds, stub, floor string
	database               *postgres.Private
	postmaster             int
	checks                 int
	profile                string
	history                int     // results
	gatus, blackbox        string  // their binaries; "": not measured
	least                  float64 // µs of CPU of an exchange of the floor, once measured
}

// make builds the programs and starts the Postgres.
func (b *bed) make(ctx context.Context) (err error) {
	if b.dir, err = os.MkdirTemp("", "keyrounds-bench-"); err != nil {
		return err
	}
	if err = os.Chmod(b.dir, 0o711); err != nil { // as root, Postgres runs as another user
		return err
	}
	for path, pkg := range map[*string]string{&b.keyrounds: "./cmd/keyrounds", &b.stub: "./bench/stub", &b.floor: "./bench/floor"} {
		if *path, err = build(ctx, b.dir, pkg); err != nil {
			return err
		}
	}
	b.database, err = postgres.StartPrivate(ctx, postgres.PrivateOptions{
		DataDir:  b.dir,
		Log:      slog.New(slog.DiscardHandler),
		Settings: map[string]string{"max_connections": "200", "shared_preload_libraries": "pg_stat_statements"},
	})
	if err != nil {
		return err
	}
	pid, err := os.ReadFile(filepath.Join(b.dir, "postgres", "data", "postmaster.pid"))
	if err != nil {
		return err
	}
	first, _, _ := strings.Cut(string(pid), "\n")
	b.postmaster, err = strconv.Atoi(first)
	return err
}

func (b *bed) close() {
	if b.database != nil {
		b.database.Stop()
	}
	_ = os.RemoveAll(b.dir)
}

// perCheck is a CPU time in microseconds of one of n.
func perCheck(d time.Duration, n int) float64 { return float64(d.Microseconds()) / float64(n) }
