package secret

import (
	"errors"
	"os"
	"os/exec"
)

// endsWhole leaves a command as it is: exec references need /bin/sh, which there is not.
func endsWhole(*exec.Cmd) {}

// sameOwner leaves the owner as it is.
func sameOwner(*os.File, os.FileInfo) error { return nil }

func lockAlone(*os.File) error {
	return errors.New("the sealing key is replaced only on Linux and macOS")
}
