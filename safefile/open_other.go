//go:build !linux

package safefile

import (
	"errors"
	"io/fs"
	"os"
)

// Open opens a regular file to read it. A link at the end of the path is not followed: *LinkError. Who made the links on the way is
// told only on Linux, so that root is refused here: he could be made to read what he should not. Other errors are of the type
// *fs.PathError.
func Open(path string) (*os.File, error) {
	if os.Geteuid() == 0 {
		return nil, &fs.PathError{Op: "open", Path: path, Err: errors.New("root reads files of others only on Linux")}
	}
	st, err := os.Lstat(path)
	switch {
	case err != nil:
		return nil, err
	case st.Mode()&fs.ModeSymlink != 0:
		return nil, &LinkError{path, 0}
	case st.IsDir():
		return nil, &fs.PathError{Op: "open", Path: path, Err: errors.New("is a directory")}
	}
	return os.Open(path)
}
