//go:build !linux

package scan

import (
	"os"
	"os/exec"
)

// parts is a repository, by its name: only on Linux it is looked at and given to git by a descriptor.
type parts struct{ dir *os.File }

func partsOf(dir *os.File) *parts { return &parts{dir} }

func (p *parts) close()          { _ = p.dir.Close() }
func (p *parts) names() []string { return []string{p.dir.Name()} }
func (p *parts) lend(*exec.Cmd)  {}
func (p *parts) odd() string     { return "" }
