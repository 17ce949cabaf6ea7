package credential

import (
	"sync"
	"time"
)

// Schedules reads each cron expression once. It is safe for concurrent use, and holds at most mostSchedules.
type Schedules struct {
	zone *time.Location
	mu   sync.Mutex
	read map[string]Schedule
}

const mostSchedules = 10_000

// NewSchedules makes Schedules in zone, which must not be nil.
func NewSchedules(zone *time.Location) *Schedules {
	return &Schedules{zone: zone, read: map[string]Schedule{}}
}

// Of is ParseSchedule.
func (s *Schedules) Of(expr string) (Schedule, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, ok := s.read[expr]; ok {
		return known, nil
	}
	schedule, err := ParseSchedule(expr, s.zone)
	if err != nil {
		return Schedule{}, err
	}
	schedule.interval = schedule.Interval()
	if len(s.read) >= mostSchedules {
		clear(s.read)
	}
	s.read[expr] = schedule
	return schedule, nil
}

// Reasons of Next.
const (
	whyScheduled  = "as scheduled"
	whyUnreadable = "tomorrow, since its schedule cannot be read or names no time any more"
)

// Next returns the time after now that c's schedule names, with its jitter, and why. A schedule that this version
// cannot read, or that never comes again, is tried daily rather than forgotten.
func (s *Schedules) Next(c Credential, now time.Time) (at time.Time, why string) {
	schedule, err := s.Of(c.Schedule)
	if err == nil {
		if at := schedule.NextCheck(c.Name, now); !at.IsZero() {
			return at, whyScheduled
		}
	}
	return now.Add(24 * time.Hour), whyUnreadable
}
