//go:build linux

package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const oldestMajor = 14

var usualPlaces = []string{
	"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin", "/usr/local/bin",
	"/opt/homebrew/opt/postgresql@*/bin", "/usr/local/opt/postgresql@*/bin", "/usr/libexec/postgresql*",
}

// findBinaries returns the directory with initdb and postgres: from PATH, from pg_config, or from
// the usual places, the newest that is 14 or later.
func findBinaries(ctx context.Context) (string, error) {
	var dirs []string
	if p, err := exec.LookPath("initdb"); err == nil {
		if p, err = filepath.EvalSymlinks(p); err == nil {
			dirs = append(dirs, filepath.Dir(p))
		}
	}
	if out, err := output(ctx, "pg_config", "--bindir"); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(out)))
	}
	for _, place := range usualPlaces {
		found, _ := filepath.Glob(place)
		dirs = append(dirs, found...)
	}
	var old []string
	best, bestMajor := "", 0
	for _, dir := range dirs {
		major, err := majorOf(ctx, dir)
		switch {
		case err != nil:
		case major < oldestMajor:
			old = append(old, dir)
		case major > bestMajor:
			best, bestMajor = dir, major
		}
	}
	if best == "" && len(old) > 0 {
		return "", fmt.Errorf("%w (too old: %s)", errNoBinaries, strings.Join(slices.Compact(old), ", "))
	}
	if best == "" {
		return "", errNoBinaries
	}
	return best, nil
}

// output runs a program without our environment, which has secrets in it.
func output(ctx context.Context, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"}
	return cmd.Output()
}

var errNoBinaries = errors.New("no Postgres 14 or later was found on this machine")

var versionPattern = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

func majorOf(ctx context.Context, dir string) (int, error) {
	if _, err := os.Stat(filepath.Join(dir, "initdb")); err != nil {
		return 0, err
	}
	out, err := output(ctx, filepath.Join(dir, "postgres"), "--version")
	if err != nil {
		return 0, err
	}
	m := versionPattern.FindSubmatch(out)
	if m == nil {
		return 0, errNoBinaries
	}
	return strconv.Atoi(string(m[1]))
}
