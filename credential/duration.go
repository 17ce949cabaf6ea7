package credential

import (
	"fmt"
	"time"

	"github.com/prometheus/common/model"
)

// ParseDuration reads a duration in Prometheus notation: 90d, 12h, 2m, 1h30m. A day is 24 h, a week 7 days, a year
// 365 days. It is never negative. An error quotes s.
func ParseDuration(s string) (time.Duration, error) {
	d, err := model.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%q is not a duration such as 90d, 12h or 2m", s)
	}
	return time.Duration(d), nil
}

// FormatDuration writes d as ParseDuration reads it, cut to the millisecond; "0s" for 0.
func FormatDuration(d time.Duration) string { return model.Duration(d).String() }

// Days returns d for a person: in whole days where it is some, as 14 days and not 2w, and else as FormatDuration does.
func Days(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d == day:
		return "1 day"
	case d > 0 && d%day == 0:
		return fmt.Sprintf("%d days", d/day)
	}
	return FormatDuration(d)
}
