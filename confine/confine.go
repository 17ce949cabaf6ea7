// Package confine runs programs that read what strangers wrote: with Landlock, where the kernel has it, they read what they are
// given and the system's programs, write nothing, and connect to nobody; and they get no new privileges. On other systems than Linux
// they run as they are.
package confine

import (
	"context"
	"os"
	"os/exec"
	"slices"
)

// Launcher is how this program is started again to confine itself before it becomes another one: its arguments lead to Become.
// The zero Launcher starts programs as they are.
type Launcher []string

// Command is exec.CommandContext for a program that may read what lies in dirs.
func (l Launcher) Command(ctx context.Context, dirs []string, name string, args ...string) *exec.Cmd {
	if len(l) == 0 {
		return exec.CommandContext(ctx, name, args...)
	}
	line := slices.Clone(l[1:])
	for _, dir := range dirs {
		line = append(line, "-r", dir)
	}
	cmd := exec.CommandContext(ctx, l[0], append(append(line, "--", name), args...)...)
	cmd.Args[0] = os.Args[0] // by whatever name this program goes
	return cmd
}
