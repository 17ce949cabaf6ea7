package collector

import "context"

var (
	leakUp = gauge(
		"keyrounds_leak_source_up",
		"1 if a source of leaks could be scanned the last time, and something of it was.",
		"source",
	)
	leakLast = gauge("keyrounds_leak_source_last_scan_timestamp_seconds", "When the last scan of a source ended.", "source")
	leakTook = gauge("keyrounds_leak_source_scan_duration_seconds", "How long that scan took.", "source")
	leakNext = gauge(
		"keyrounds_leak_source_next_scan_timestamp_seconds",
		"When a source is due for its next scan. While it is scanned: when another replica would begin again.",
		"source",
	)
	leakFound   = gauge("keyrounds_leak_source_places", "Places where that scan found registered secrets or client ids.", "source")
	leakLeftOut = gauge(
		"keyrounds_leak_source_not_searched",
		"Places that the last scan of a source did not search, or not whole, by reason.",
		"source", "reason",
	)

	leakFamilies = []family{leakUp, leakLast, leakTook, leakNext, leakFound, leakLeftOut}
)

func (c *collector) leaks(ctx context.Context, s scrape) error {
	sources, err := c.LeakSources(ctx)
	if err != nil {
		return err
	}
	for name, st := range sources {
		if !st.Next.IsZero() {
			s.at(leakNext, st.Next, name)
		}
		if st.Scanned.IsZero() {
			continue
		}
		up := 1.0
		if st.Error != "" {
			up = 0
		}
		s.put(leakUp, up, name)
		s.at(leakLast, st.Scanned, name)
		s.put(leakTook, st.Took.Seconds(), name)
		s.put(leakFound, float64(st.Found), name)
		for reason, n := range st.NotSearched {
			s.put(leakLeftOut, float64(n), name, string(reason))
		}
	}
	return nil
}
