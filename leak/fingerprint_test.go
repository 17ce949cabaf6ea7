package leak

import (
	"testing"

	"github.com/keyrounds/keyrounds/leak/intake"
	"github.com/keyrounds/keyrounds/leak/scan"
)

// The hash of HasMySecretLeaked: RFC 7914's scrypt with GitGuardian's parameters.
func TestHMSL(t *testing.T) {
	t.Parallel()
	if h := hmsl("hello_world"); len(h) != 64 || h == hmsl("hello_worlc") || h != hmsl("hello_world") {
		t.Errorf("hash %q", h)
	}
}

// A value that a scan would look for is kept of a report, and no other.
func TestScansAndReportsHaveTheSameShortestValue(t *testing.T) {
	t.Parallel()
	if scan.MinLength != intake.MinLength {
		t.Errorf("scans look for %d bytes, reports keep %d", scan.MinLength, intake.MinLength)
	}
}
