package collector

import (
	"context"

	"github.com/keyrounds/keyrounds/usage"
)

var (
	feedLast = gauge("keyrounds_feed_last_event_timestamp_seconds", "Time of a feed's newest record.", "feed")
	feedLag  = gauge(
		"keyrounds_feed_lag_seconds",
		"How long ago a feed last showed that it lives: a record, a heartbeat or an empty poll.",
		"feed",
	)
	feedQuiet = gauge("keyrounds_feed_silence_seconds", "For how long a feed may show nothing before that is a gap.", "feed")
	feedWatch = gauge(
		"keyrounds_feed_watching",
		"1 if a feed's newest records are fit to show a client: readable, and some name one.",
		"feed",
	)
	feedUp     = gauge("keyrounds_feed_up", "1 if a feed could be read the last time.", "feed")
	feedEvents = counter("keyrounds_feed_events_total", "Records that a feed brought, by what became of them.", "feed", "result")

	feedFamilies = []family{feedLast, feedLag, feedQuiet, feedWatch, feedUp, feedEvents}
)

func (c *collector) feeds(ctx context.Context, s scrape) error {
	feeds, err := c.Usage.Feeds(ctx)
	if err != nil {
		return err
	}
	for _, f := range feeds {
		if !f.Configured {
			continue
		}
		s.at(feedLast, f.LastEvent, f.Feed)
		if !f.LastSeen.IsZero() {
			s.since(feedLag, f.LastSeen, f.Feed)
		}
		s.put(feedQuiet, f.Silence.Seconds(), f.Feed)
		up := 1.0
		if f.Error != "" {
			up = 0
		}
		s.put(feedUp, up, f.Feed)
		if len(f.Coverage) > 0 {
			watching := 1.0
			if f.Blind != "" {
				watching = 0
			}
			s.put(feedWatch, watching, f.Feed)
		}
		for _, r := range usage.Results() {
			s.put(feedEvents, float64(f.Counts[r]), f.Feed, string(r))
		}
	}
	return nil
}
