package scan

import (
	"os/exec"
)

const asItIs = 0

func withoutTerminal(*exec.Cmd) {}
