// Package lasting names the tests that make quick leaves out.
package lasting

import "testing"

// Test skips t under -short, the loop of a working day. why says what takes so long, such as "it runs a Prometheus".
// The rest of the test runs in make test and make long.
func Test(t testing.TB, why string) {
	t.Helper()
	if testing.Short() {
		t.Skip("not in -short: " + why)
	}
}
