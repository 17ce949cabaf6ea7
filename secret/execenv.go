package secret

import (
	"os"
	"slices"
	"sync/atomic"
)

// alwaysKept are the variables that every command of an exec reference has, and one that is not a secret's place.
var alwaysKept = []string{"PATH", "HOME", "LANG"}

// keptToo is, as the environment itself, the process'.
var keptToo atomic.Pointer[[]string]

// KeepInExec has commands of exec references see these variables of our environment beside PATH, HOME and LANG; without it they
// see no others: secrets of other credentials are in there. It holds for the whole process, from the next command on.
func KeepInExec(names []string) { keptToo.Store(&names) }

// execEnv is the environment of a command.
func execEnv() (env []string) {
	names := slices.Clone(alwaysKept)
	if more := keptToo.Load(); more != nil {
		names = append(names, *more...)
	}
	for _, name := range names {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}
