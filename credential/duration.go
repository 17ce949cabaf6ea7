package credential

import (
	"fmt"
	"time"

	"github.com/prometheus/common/model"
)

// ParseDuration reads a duration in Prometheus notation: 90d, 12h, 2m, 1h30m.
func ParseDuration(s string) (time.Duration, error) {
	d, err := model.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%q is not a duration such as 90d, 12h or 2m", s)
	}
	return time.Duration(d), nil
}

// FormatDuration writes d as ParseDuration reads it, to the millisecond.
func FormatDuration(d time.Duration) string { return model.Duration(d).String() }
