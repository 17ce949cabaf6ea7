package collector

import "context"

var (
	laneWaiting = gauge(
		"keyrounds_notifications_waiting",
		"Messages that are due and were not sent yet, by receiver and channel.",
		"receiver",
		"channel",
	)
	laneOldest = gauge(
		"keyrounds_notifications_oldest_waiting_seconds",
		"For how long the message that waits longest is due.",
		"receiver",
		"channel",
	)
	laneFailing = gauge(
		"keyrounds_receiver_failing_seconds",
		"For how long a receiver has taken no message; 0: it works.",
		"receiver",
		"channel",
	)

	laneFamilies = []family{laneWaiting, laneOldest, laneFailing}
)

// lanes is how the ways to people are.
func (c *collector) lanes(ctx context.Context, s scrape) error {
	lanes, err := c.Lanes(ctx)
	if err != nil {
		return err
	}
	for _, l := range lanes {
		s.put(laneWaiting, float64(l.Waiting), l.Receiver, l.Channel)
		s.since(laneOldest, l.Oldest, l.Receiver, l.Channel)
		s.since(laneFailing, l.FailingSince, l.Receiver, l.Channel)
	}
	return nil
}
