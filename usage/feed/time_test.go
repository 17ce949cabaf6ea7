package feed_test

import (
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/usage/feed"
)

// Times as vendors, nginx and people's scripts write them are one time; what may be several is none.
func TestTimes(t *testing.T) {
	t.Parallel()
	format, err := feed.NewFormat("", "{at: .}")
	if err != nil {
		t.Fatal(err)
	}
	want := time.Date(2026, 11, 2, 8, 0, 1, 0, time.UTC)
	for _, v := range []any{
		"2026-11-02T08:00:01Z", "2026-11-02T09:00:01+01:00", "2026-11-02T08:00:01.000000000Z", "2026-11-02T08:00:01+0000",
		"2026-11-02T08:00:01", "2026-11-02 08:00:01", "2026-11-02 08:00:01,000", "2026-11-02 10:00:01 +0200", "2026-11-02 10:00:01 +02:00",
		"2026-11-02 10:00:01+02:00", "2026-11-02 08:00:01 UTC", "2026-11-02 08:00:01.000 UTC", "2026-11-02T08:00:01Z[UTC]",
		"2026-11-02 08:00:01 +0000 UTC", "02/Nov/2026:09:00:01 +0100", "[02/Nov/2026:09:00:01 +0100]",
		"Mon, 02 Nov 2026 08:00:01 GMT", "Mon, 02 Nov 2026 09:00:01 +0100", "Monday, 02-Nov-26 08:00:01 GMT",
		"Mon Nov  2 08:00:01 2026", "20261102T080001Z", 1793606401, 1793606401000.0, 1793606401000000.0, 1793606401000000000.0,
		"1793606401", "1793606401.000", 1793606401.0, "1793606401000",
	} {
		es, err := format.Events(t.Context(), v)
		if err != nil || len(es) != 1 || !es[0].At.Equal(want) {
			t.Errorf("%v: %+v, %v", v, es, err)
		}
	}
	for _, v := range []any{"", "yesterday", "08:00:01", "2026-11-02 08:00:01 EST", "2026-13-02T08:00:01Z", 0, -1, true, nil} {
		if es, err := format.Events(t.Context(), v); err == nil {
			t.Errorf("%v is read as %v", v, es[0].At)
		}
	}
}
