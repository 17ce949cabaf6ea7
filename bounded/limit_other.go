//go:build !linux

package bounded

import (
	"os"
	"os/exec"
	"time"
)

func self() (string, error) { return os.Executable() }

func apart(*exec.Cmd) {}

// limit can do nothing here: only on Linux the kernel holds a worker to its memory.
func limit() {}

var began = time.Now()

func processorTime() time.Duration { return time.Since(began) }
