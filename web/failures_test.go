package web

import (
	"net/netip"
	"testing"
	"time"
)

// A crowd of addresses makes nobody forgotten who has failed too often.
func TestACrowdHidesNoGuesser(t *testing.T) {
	t.Parallel()
	var f failures
	now := time.Now()
	for range mostFailures {
		f.add("198.51.100.1", now)
	}
	for i := range maxCounted + 1000 {
		f.add(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}).String(), now)
	}
	if n := f.add("198.51.100.1", now); n <= mostFailures || len(f.by) > maxCounted {
		t.Errorf("it is counted %d times, among %d addresses", n, len(f.by))
	}
}
