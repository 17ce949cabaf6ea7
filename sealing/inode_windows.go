package sealing

import "os"

// inode is not told here: time and size have to do.
func inode(os.FileInfo) uint64 { return 0 }
