//go:build linux

package postgres

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// initdb makes the cluster in a directory of another name first, so that one that was cut short
// is never taken for whole. By its own rules nobody may connect; ours, in the data_dir, are in force while we run it.
func (s *server) initdb(ctx context.Context) error {
	if _, err := os.Lstat(s.data()); err == nil {
		return nil
	}
	half := s.data() + ".new"
	if err := s.asUser(ctx, "rm", "-rf", half); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, "initdb"), "-D", half, "-U", adminRole, "-A", "reject",
		"--no-locale", "-E", "UTF8", "--data-checksums", "--no-instructions")
	s.dress(cmd)
	if out, err := cmd.CombinedOutput(); err != nil {
		var said lastWords
		_, _ = said.Write(out)
		return fmt.Errorf("initdb: %w: %w", err, said.trouble(s.dataDir))
	}
	return s.asUser(ctx, "mv", "-T", half, s.data())
}
