package authserver

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// oldestNode is what the lockfiles were chosen for: Debian 12 has it.
const oldestNode = 18

var errNode = fmt.Errorf("it needs node and npm, Node.js %d or newer: test/setup.sh installs them (on Debian: apt-get install nodejs npm)",
	oldestNode)

// Packages puts what the lockfile of dir names below into, once for each lockfile, and returns in which directory. A directory
// there is complete: it is made under another name, and the first of several processes wins.
func Packages(dir, into string) (home string, err error) {
	if err := findNode(); err != nil {
		return "", err
	}
	lock, err := os.ReadFile(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(lock)
	home = filepath.Join(into, fmt.Sprintf("%s-%x", filepath.Base(dir), sum[:6]))
	if _, err := os.Stat(home); errors.Is(err, os.ErrNotExist) {
		if err := fetch(dir, into, home); err != nil {
			return "", err
		}
	}
	return home, nil
}

// install is Packages with a program, and returns how to call it.
func install(dir, into string) ([]string, error) {
	home, err := Packages(dir, into)
	if err != nil {
		return nil, err
	}
	// A module is found from where the program is. The program may have changed since.
	program := filepath.Join(home, "main.js")
	mine := program + "-" + strconv.Itoa(os.Getpid())
	if err := copyFile(filepath.Join(dir, "main.js"), mine); err != nil {
		return nil, err
	}
	return []string{"node", program}, os.Rename(mine, program)
}

func findNode() error {
	out, err := exec.Command("node", "--version").Output()
	if err != nil {
		return errNode
	}
	version := strings.TrimSpace(string(out))
	major, _, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	if n, _ := strconv.Atoi(major); n < oldestNode {
		return fmt.Errorf("%w; this is %s", errNode, version)
	}
	if _, err := exec.LookPath("npm"); err != nil {
		return errNode
	}
	return nil
}

// fetch runs npm ci in a directory of its own, which becomes home.
func fetch(dir, into, home string) error {
	if err := os.MkdirAll(into, 0o755); err != nil {
		return err
	}
	mine, err := os.MkdirTemp(into, "installing-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(mine)
	for _, name := range []string{"package.json", "package-lock.json"} {
		if err := copyFile(filepath.Join(dir, name), filepath.Join(mine, name)); err != nil {
			return err
		}
	}
	cmd := exec.Command("npm", "ci", "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund", "--loglevel=error")
	cmd.Dir = mine
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("npm ci: %w: %s", err, out)
	}
	err = os.Rename(mine, home)
	if _, there := os.Stat(home); there == nil {
		return nil // ours, or another process's
	}
	return err
}

func copyFile(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o644)
}
