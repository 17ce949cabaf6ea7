package feed

import (
	"regexp"
	"time"
)

// Day is what the records of one day (UTC) were fit to show, those that the format leaves out included: a log
// that is alive and names clients would have shown a client that was active.
type Day struct {
	Records int64 // all of them
	Bad     int64 // could not be read
	Named   int64 // named some client, registered or not
	First   time.Time
	Last    time.Time // of those that named one
}

// Add adds what o is, of the same day.
func (d *Day) Add(o Day) {
	d.Records, d.Bad, d.Named = d.Records+o.Records, d.Bad+o.Bad, d.Named+o.Named
	if !o.First.IsZero() && (d.First.IsZero() || o.First.Before(d.First)) {
		d.First = o.First
	}
	if o.Last.After(d.Last) {
		d.Last = o.Last
	}
}

// DayOf is the number of the day (UTC) that t is in, since 1970.
func DayOf(t time.Time) int64 {
	s := t.Unix()
	if s < 0 {
		s -= 86399
	}
	return s / 86400
}

// day is the entry of the day of a time, or that of records without one.
func (r *Reading) day(at time.Time) *Day {
	if at.IsZero() {
		if r.latest == nil {
			return &r.Undated
		}
		return r.latest
	}
	n := DayOf(at)
	if r.latest != nil && r.latestDay == n {
		return r.latest
	}
	if r.Days == nil {
		r.Days = map[int64]*Day{}
	}
	d := r.Days[n]
	if d == nil {
		d = &Day{}
		r.Days[n] = d
	}
	r.latest, r.latestDay = d, n
	return d
}

// saw counts a record that was read.
func (r *Reading) saw(at time.Time, named bool) {
	d := r.day(at)
	d.Records++
	if !named {
		return
	}
	d.Named++
	if d.First.IsZero() || at.Before(d.First) {
		d.First = at
	}
	if at.After(d.Last) {
		d.Last = at
	}
}

// leftOut takes a record that the format leaves out for a sign of life, where it has a time. It names no client: what a
// format does not understand shows nothing of what it would understand (Other is how it says that it does).
func (r *Reading) leftOut(record any) {
	r.Skipped++
	at := signOf(record, 0)
	if r.saw(at, false); at.IsZero() {
		r.NoTime++
		return
	}
	if n := len(r.Alive); n > 0 {
		if s := &r.Alive[n-1]; !at.Before(s.From.Add(-aliveStep)) && !at.After(s.To.Add(aliveStep)) {
			if at.Before(s.From) {
				s.From = at
			}
			if at.After(s.To) {
				s.To = at
			}
			return
		}
	}
	r.Alive = append(r.Alive, Span{at, at})
}

// Signs of life that are no further apart are one span.
const aliveStep = time.Minute

// The members in which records of the formats that are known have their time, the surest first.
var (
	timeMembers = []string{
		"@timestamp", "time_iso8601", "timestamp", "time", "at", "date", "ts", "published", "eventTime", "createdDateTime",
		"activityDateTime", "TimeGenerated", "start_time", "time_local", "msec", "created_at",
	}
	// Where a record wraps another.
	wrapped = []string{"data", "properties", "detail", "details", "event", "log", "record", "message", "client", "actor", "request"}
)

// signOf says when a record was written, of a shape that no format describes. A zero time: it does not say.
func signOf(record any, depth int) (at time.Time) {
	switch v := record.(type) {
	case string:
		return signOfText(v)
	case row:
		return signOf(map[string]any(v), depth)
	case map[string]any:
		for _, m := range timeMembers {
			if t, err := timeOf(v[m]); err == nil && t.Year() >= 2000 { // 0.042 is no time
				return t
			}
		}
		for _, m := range wrapped {
			if inner, ok := v[m]; ok && depth < 3 {
				if at = signOf(inner, depth+1); !at.IsZero() {
					return at
				}
			}
		}
	}
	return at
}

var timeInText = regexp.MustCompile(
	`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?|\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}`)

// signOfText reads no more than the beginning of a text.
func signOfText(text string) (at time.Time) {
	if found := timeInText.FindString(text[:min(len(text), 8<<10)]); found != "" {
		at, _ = timeOf(found)
	}
	return at
}
