package safefile

import "os"

// rootAlone is not asked: there is no root.
func rootAlone(string, os.FileInfo, bool) error { return nil }
