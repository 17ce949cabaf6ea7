//go:build unix

package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// silence has a terminal show nothing of what is typed, until loud is called. term.ReadPassword does too, and never ends at Ctrl-D.
func silence(f *os.File) (loud func(), err error) {
	fd := int(f.Fd())
	before, err := unix.IoctlGetTermios(fd, getTermios)
	if err != nil {
		return nil, err
	}
	quiet := *before
	quiet.Lflag = quiet.Lflag&^unix.ECHO | unix.ICANON | unix.ISIG
	quiet.Iflag |= unix.ICRNL
	return func() { _ = unix.IoctlSetTermios(fd, setTermios, before) }, unix.IoctlSetTermios(fd, setTermios, &quiet)
}
