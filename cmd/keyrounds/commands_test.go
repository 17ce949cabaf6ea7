package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

var update = flag.Bool("update", false, "write what is generated anew")

// The reference of the commands is what --help says of each.
func TestCommandReference(t *testing.T) {
	t.Parallel()
	root := newRoot()
	root.DisableAutoGenTag = true
	var b bytes.Buffer
	b.WriteString("# Commands\n\nMade from `--help` by a test (`go test ./cmd/keyrounds -run CommandReference -update`). Exit codes: ")
	b.WriteString("0 fine, 1 something was\nfound, 2 the call or the configuration is wrong or it could not be done, 130 interrupted.\n\n")
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Hidden || c.Name() == "help" || c.Name() == "completion" || c.HasParent() && c.Parent().Name() == "completion" {
			return
		}
		if c.HasParent() {
			fmt.Fprintf(&b, "- [%s](#%s): %s\n", c.CommandPath(), strings.ReplaceAll(c.CommandPath(), " ", "-"), c.Short)
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root)
	walk = func(c *cobra.Command) {
		if c.Hidden || c.Name() == "help" || c.Name() == "completion" {
			return
		}
		if c.HasParent() {
			var page bytes.Buffer
			if err := doc.GenMarkdownCustom(c, &page, func(string) string { return "" }); err != nil {
				t.Fatal(err)
			}
			text, _, _ := strings.Cut(page.String(), "\n### Options inherited")
			text, _, _ = strings.Cut(text, "\n### SEE ALSO")
			b.WriteString("\n" + strings.ReplaceAll(strings.TrimSpace(text), "\n### ", "\n#### ") + "\n")
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root)
	path := filepath.Join("..", "..", "docs", "reference", "commands.md")
	if *update {
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), b.String()); d != "" {
		t.Errorf("-update writes it anew:\n%s", d)
	}
}

// Man pages are written for every command, the same each time.
func TestManPages(t *testing.T) {
	t.Parallel()
	var first map[string]string
	for range 2 {
		dir := t.TempDir()
		if text := said(t, "man", dir); text != "" {
			t.Fatal(text)
		}
		pages := map[string]string{}
		files, err := filepath.Glob(filepath.Join(dir, "*.1"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			pages[filepath.Base(f)] = string(text)
		}
		if len(pages) < 40 || !strings.Contains(pages["keyrounds-findings-ack.1"], "keyrounds findings ack") {
			t.Fatalf("%d pages", len(pages))
		}
		if first != nil && cmp.Diff(first, pages) != "" {
			t.Error("they are others the second time")
		}
		first = pages
	}
}
