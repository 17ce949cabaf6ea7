//go:build unix

package scan

import (
	"os"
	"os/exec"
	"syscall"
)

// asItIs opens a file without waiting for a pipe, and no link.
const asItIs = syscall.O_NONBLOCK | syscall.O_NOFOLLOW

func ownerOf(st os.FileInfo) uint32 { return st.Sys().(*syscall.Stat_t).Uid }

// withoutTerminal keeps our terminal from a program.
func withoutTerminal(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }
