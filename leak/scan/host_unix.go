//go:build unix

package scan

import (
	"os/exec"
	"syscall"
)

// asItIs opens a file without waiting for a pipe, and no link.
const asItIs = syscall.O_NONBLOCK | syscall.O_NOFOLLOW

// withoutTerminal keeps our terminal from a program.
func withoutTerminal(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }
