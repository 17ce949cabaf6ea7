package credential

import (
	"errors"
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// Rules of a schedule, where robfig/cron leaves them open (its own Next skips a day whose slot
// falls into a daylight saving gap):
//
//  1. A slot in the gap runs once, at the end of the gap.
//  2. A slot in the repeated hour runs once, the first time, unless the schedule names every
//     hour: one that runs all day goes on in both passes, since a check must not pause.
//  3. "@every" counts from a fixed point, not from the last check, so that restarts do not move it.

// ScheduleHint says how a schedule is written.
const ScheduleHint = `five cron fields, "minute hour day month weekday", such as "*/15 * * * *", or "@every 15m", "@hourly", "@daily"`

const (
	minInterval = time.Second
	maxJitter   = 15 * time.Minute
)

// Schedule gives the times of a cron expression in a time zone. ParseSchedule makes it; the zero value is of no use.
// It is safe for concurrent use.
type Schedule struct {
	spec  cron.Schedule
	zone  *time.Location
	every time.Duration // for "@every", else 0
	hours bool          // names every hour

	interval time.Duration // Interval, where Schedules measured it
}

// reference is where intervals are measured, so that a jitter never changes by itself.
var reference = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// ParseSchedule reads a cron expression of five fields or a descriptor ("@every 15m", "@daily"), in zone, which must
// not be nil. One that is empty, names a zone of its own, comes more often than each second or never comes is an
// error; ScheduleHint says what to write.
func ParseSchedule(expr string, zone *time.Location) (Schedule, error) {
	if strings.TrimSpace(expr) == "" {
		return Schedule{}, errors.New("the schedule is empty")
	}
	if strings.Contains(expr, "TZ=") {
		return Schedule{}, errors.New("a time zone is given by `timezone`, not in the schedule")
	}
	spec, err := cron.ParseStandard(expr)
	if err != nil {
		return Schedule{}, fmt.Errorf("%q is not a cron schedule: %s", expr, whyNoSchedule(expr))
	}
	s := Schedule{spec: spec, zone: zone}
	switch spec := spec.(type) {
	case cron.ConstantDelaySchedule:
		s.every = spec.Delay
		if _, text, ok := strings.Cut(expr, "@every"); ok {
			if d, err := time.ParseDuration(strings.TrimSpace(text)); err != nil || d < minInterval {
				return Schedule{}, fmt.Errorf("%q is more often than every %s", expr, minInterval)
			}
		}
	case *cron.SpecSchedule:
		spec.Location = time.UTC
		s.hours = spec.Hour&(1<<24-1) == 1<<24-1
	}
	if s.Next(reference).IsZero() {
		return Schedule{}, fmt.Errorf("%q never comes", expr)
	}
	return s, nil
}

// fieldsOfCron are what a schedule has, with their bounds.
var fieldsOfCron = []struct{ name, bounds string }{
	{"minute", "0 to 59"},
	{"hour", "0 to 23"},
	{"day of the month", "1 to 31"},
	{"month", "1 to 12, or jan to dec"},
	{"weekday", "0 to 6, or sun to sat"},
}

// whyNoSchedule says what is wrong with a schedule that cannot be read.
func whyNoSchedule(expr string) string {
	if strings.HasPrefix(expr, "@") {
		return "there is @every with a time such as 15m, @hourly, @daily, @weekly, @monthly and @yearly"
	}
	fields := strings.Fields(expr)
	switch n := len(fields); {
	case readable("@" + strings.TrimSpace(expr)):
		return fmt.Sprintf("it is written %q", "@"+strings.TrimSpace(expr))
	case n < len(fieldsOfCron):
		return fmt.Sprintf("it has %d of five fields", n)
	case n > len(fieldsOfCron):
		return fmt.Sprintf("it has %d fields in place of five", n)
	}
	for i, f := range fields {
		alone := []string{"*", "*", "*", "*", "*"}
		if alone[i] = f; !readable(strings.Join(alone, " ")) {
			return fmt.Sprintf("%q is no %s (%s)", f, fieldsOfCron[i].name, fieldsOfCron[i].bounds)
		}
	}
	return "it cannot be read"
}

func readable(expr string) bool {
	_, err := cron.ParseStandard(expr)
	return err == nil
}

// Longest returns the longest time between two slots of a week, or of a dozen where a week has fewer.
func (s Schedule) Longest() time.Duration {
	first := s.Next(reference)
	longest, last := s.Interval(), first
	for n := 0; n < 12 || n < 3000 && last.Sub(first) < 8*24*time.Hour; n++ {
		next := s.Next(last)
		if next.IsZero() {
			break
		}
		longest, last = max(longest, next.Sub(last)), next
	}
	return longest
}

// Next returns the first slot after t, the zero Time if there is none within five years.
func (s Schedule) Next(t time.Time) time.Time {
	if s.every > 0 {
		return t.Truncate(s.every).Add(s.every).In(s.zone)
	}
	t = t.In(s.zone)
	// Each turn looks at one stretch of time with a constant offset from UTC.
	for range 64 {
		start, end := t.ZoneBounds()
		offset := offsetOf(t)
		wall := s.spec.Next(t.Add(offset).UTC()) // the local clock, read as if it were UTC
		if wall.IsZero() {
			return time.Time{}
		}
		at := wall.Add(-offset).In(s.zone)
		if end.IsZero() || at.Before(end) {
			if s.hours || start.IsZero() || !wall.Before(start.Add(offsetOf(start.Add(-1)))) {
				return at
			}
			t = at // the second pass of a repeated hour
			continue
		}
		if wall.Before(end.Add(offsetOf(end))) {
			return end // in the gap
		}
		if next := s.after(end); !next.IsZero() {
			return next
		}
		t = end
	}
	return time.Time{}
}

// after returns the slot that is exactly at the transition, if there is one that counts.
func (s Schedule) after(end time.Time) time.Time {
	offset := offsetOf(end)
	wall := end.Add(offset).UTC()
	if !s.spec.Next(wall.Add(-time.Second)).Equal(wall) {
		return time.Time{}
	}
	if !s.hours && wall.Before(end.Add(offsetOf(end.Add(-1)))) {
		return time.Time{}
	}
	return end
}

func offsetOf(t time.Time) time.Duration {
	_, seconds := t.Zone()
	return time.Duration(seconds) * time.Second
}

// Interval returns the time between two slots, measured at a fixed date, so that it is always the same; five years
// where there is one slot only.
func (s Schedule) Interval() time.Duration {
	if s.interval > 0 {
		return s.interval
	}
	first := s.Next(reference)
	if second := s.Next(first); !second.IsZero() {
		return second.Sub(first)
	}
	return 5 * 365 * 24 * time.Hour // no second slot in cron's horizon
}

// Jitter returns the delay after each slot for the credential of that name: always the same,
// from 0 to less than the interval or 15 minutes, whichever is shorter.
func (s Schedule) Jitter(name string) time.Duration {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	// FNV's low bits are poor for names that differ in one digit; mix them.
	sum := h.Sum64()
	sum ^= sum >> 33
	sum *= 0xff51afd7ed558ccd
	sum ^= sum >> 33
	most := min(s.Interval(), maxJitter)
	return time.Duration(sum % uint64(most)).Truncate(time.Millisecond)
}

// NextCheck returns when the credential of that name is due after t: its next slot and its jitter; the zero Time
// where there is no slot within five years.
func (s Schedule) NextCheck(name string, t time.Time) time.Time {
	jitter := s.Jitter(name)
	slot := s.Next(t.Add(-jitter))
	if slot.IsZero() {
		return slot
	}
	return slot.Add(jitter)
}

// Next is Schedules.Next in zone, for once.
func (c Credential) Next(zone *time.Location, now time.Time) (at time.Time, why string) {
	return NewSchedules(zone).Next(c, now)
}
