package checker

import (
	"testing"
	"time"

	"golang.org/x/time/rate"
)

// What is possible is the lesser of rate and concurrency, and a remedy names the one that limits.
func TestCapacity(t *testing.T) {
	t.Parallel()
	for _, k := range []struct {
		name        string
		concurrency int
		rate        float64
		latency     time.Duration
		asked       float64
		possible    float64
		remedy      string
	}{
		{"enough", 4, 1000, 80 * time.Millisecond, 40, 50, ""},
		{
			"concurrency", 4, 1000, 80 * time.Millisecond, 166.7, 50,
			"concurrency 15, if the provider bears that; or schedules 3.4 times as long",
		},
		{"rate", 64, 10, 80 * time.Millisecond, 20, 10, "rate 22/s, if the provider bears that; or schedules 2.0 times as long"},
		{
			"both", 4, 10, time.Second, 20, 4,
			"concurrency 22 and rate 22/s, if the provider bears that; or schedules 5.0 times as long",
		},
		{"latency is not known", 4, 10, 0, 20, 10, "rate 22/s, if the provider bears that; or schedules 2.0 times as long"},
	} {
		c := Capacity{Provider{Concurrency: k.concurrency, Rate: rate.Limit(k.rate)}, k.latency}
		if got := c.PerSecond(); got != k.possible {
			t.Errorf("%s: %v a second are possible, want %v", k.name, got, k.possible)
		}
		if got := c.Remedy(k.asked); got != k.remedy {
			t.Errorf("%s: %q, want %q", k.name, got, k.remedy)
		}
	}
}
