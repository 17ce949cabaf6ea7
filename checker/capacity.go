package checker

import (
	"fmt"
	"math"
	"time"
)

// Capacity is what p's own limits allow it to be checked: p.Rate, and p.Concurrency where each check takes Latency.
type Capacity struct {
	Provider Provider
	Latency  time.Duration // of a check; 0: not known, and then it limits nothing
}

// PerSecond is how many checks a second are possible; +Inf where nothing limits them.
func (c Capacity) PerSecond() float64 { return min(c.byRate(), c.byConcurrency()) }

func (c Capacity) byRate() float64 {
	if c.Provider.Rate <= 0 {
		return math.Inf(1)
	}
	return float64(c.Provider.Rate)
}

func (c Capacity) byConcurrency() float64 {
	if c.Latency <= 0 {
		return math.Inf(1)
	}
	return float64(max(1, c.Provider.Concurrency)) / c.Latency.Seconds()
}

// Limits says in words what limits the checks: "concurrency 4 at 80 ms a check allows 50.0 a second, rate allows 1000.0 a
// second".
func (c Capacity) Limits() string {
	rate := fmt.Sprintf("rate allows %s a second", Rounded(c.byRate()))
	if c.Latency <= 0 {
		return rate
	}
	return fmt.Sprintf("concurrency %d at %d ms a check allows %s a second, %s",
		max(1, c.Provider.Concurrency), c.Latency.Milliseconds(), Rounded(c.byConcurrency()), rate)
}

// spare is how much more than asked for a remedy allows, so that what was late is caught up with.
const spare = 1.1

// Remedy says in words what would do for asked checks a second: a concurrency, a rate, or longer schedules. "": they are
// possible.
func (c Capacity) Remedy(asked float64) string {
	possible := c.PerSecond()
	if asked <= possible {
		return ""
	}
	var what string
	if asked > c.byConcurrency() {
		what = fmt.Sprintf("concurrency %.0f", math.Ceil(asked*spare*c.Latency.Seconds()))
	}
	if asked > c.byRate() {
		if what != "" {
			what += " and "
		}
		what += fmt.Sprintf("rate %.0f/s", math.Ceil(asked*spare))
	}
	return fmt.Sprintf("%s, if the provider bears that; or schedules %s times as long", what, Rounded(math.Ceil(asked/possible*10)/10))
}

// Rounded writes a number of checks with one digit after the point, or with two digits where it is small.
func Rounded(n float64) string {
	if n < 1 {
		return fmt.Sprintf("%.2g", n)
	}
	return fmt.Sprintf("%.1f", n)
}
