package main

import (
	"os"

	"golang.org/x/sys/windows"
)

// silence has a console show nothing of what is typed, until loud is called.
func silence(f *os.File) (loud func(), err error) {
	console := windows.Handle(f.Fd())
	var before uint32
	if err := windows.GetConsoleMode(console, &before); err != nil {
		return nil, err
	}
	quiet := before&^windows.ENABLE_ECHO_INPUT | windows.ENABLE_LINE_INPUT | windows.ENABLE_PROCESSED_INPUT
	return func() { _ = windows.SetConsoleMode(console, before) }, windows.SetConsoleMode(console, quiet)
}
