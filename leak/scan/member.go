package scan

import (
	"context"
	"io"
)

// Member searches one of many texts that come together, with what is packed in it, and what it is called. source is what hits name
// it; name may be anything, and is masked in hits. Its errors are those of r, and of ctx.
func (s *Scanner) Member(ctx context.Context, source, name string, r io.Reader) error {
	at := place{source, name, true}
	s.name(at, name, s.keep)
	return s.one(ctx, at, r, nil, s.keep)
}
