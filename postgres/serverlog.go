package postgres

import (
	"io"
	"os"
	"path/filepath"
	"strings"
)

func (s *server) logPath() string { return filepath.Join(s.dir, "postgres.log") }

const maxLog = 4 << 20

// openLog begins a new log when the old one is large, and keeps one old one.
func openLog(path string) (*os.File, error) {
	if st, err := os.Stat(path); err == nil && st.Size() > maxLog {
		_ = os.Rename(path, path+".old")
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
}

func (s *server) lastWords() string {
	f, err := os.Open(s.logPath())
	if err != nil {
		return "no log"
	}
	defer f.Close()
	if st, err := f.Stat(); err == nil && st.Size() > 4096 {
		_, _ = f.Seek(-4096, io.SeekEnd)
	}
	b, _ := io.ReadAll(f)
	return lastLine(string(b))
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}
