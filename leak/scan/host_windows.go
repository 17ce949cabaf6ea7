package scan

import (
	"os"
	"os/exec"
)

const asItIs = 0

// ownerOf is the same of all files: who owns what is not told here.
func ownerOf(os.FileInfo) uint32 { return 0 }

func withoutTerminal(*exec.Cmd) {}
