//go:build unix

package safefile

import (
	"os"
	"syscall"
)

// rootAlone: the group root is no better than another: not only root is in it everywhere. In a directory above, with the sticky bit,
// others can make what is not there, and exchange nothing that is.
func rootAlone(dir string, st os.FileInfo, above bool) error {
	of, mode := st.Sys().(*syscall.Stat_t), st.Mode()
	sticky := above && mode&os.ModeSticky != 0
	switch {
	case of.Uid != 0:
		return &NotOursError{Dir: dir, UID: of.Uid}
	case mode.Perm()&0o002 != 0 && !sticky:
		return &NotOursError{Dir: dir}
	case mode.Perm()&0o020 != 0 && !sticky:
		return &NotOursError{Dir: dir, Group: groupName(of.Gid)}
	}
	return nil
}
