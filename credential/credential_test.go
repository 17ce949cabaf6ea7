package credential_test

import (
	"strings"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/secret"
)

func valid() credential.Credential {
	ref, _ := secret.ParseReference("env:X")
	return credential.Credential{Name: "ats-sync", Provider: "smartrecruiters", Subject: "82e4", Secret: ref, Schedule: "*/15 * * * *"}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	if ps := valid().Validate(); len(ps) > 0 {
		t.Fatalf("a valid credential: %v", ps)
	}
	for field, spoil := range map[string]func(*credential.Credential){
		"name":         func(c *credential.Credential) { c.Name = "-x" },
		"provider":     func(c *credential.Credential) { c.Provider = "" },
		"client_id":    func(c *credential.Credential) { c.Subject = "a\nb" },
		"secret":       func(c *credential.Credential) { c.Secret = secret.Reference{} },
		"description":  func(c *credential.Credential) { c.Description = "a\x1b[31m" },
		"owner":        func(c *credential.Credential) { c.Owner = "\u202ex" },
		"scopes.0":     func(c *credential.Credential) { c.Scopes = []string{"a b"} },
		"scopes.1":     func(c *credential.Credential) { c.Scopes = []string{"a", "a"} },
		"labels.1x":    func(c *credential.Credential) { c.Labels = map[string]string{"1x": ""} },
		"labels.env":   func(c *credential.Credential) { c.Labels = map[string]string{"env": "a\nb"} },
		"schedule":     func(c *credential.Credential) { c.Schedule = "99 * * * *" },
		"unused_after": func(c *credential.Credential) { c.UnusedAfter = -1 },
		"max_age":      func(c *credential.Credential) { c.MaxAge = -1 },
	} {
		c := valid()
		spoil(&c)
		if ps := c.Validate(); len(ps) != 1 || ps[0].Field != field {
			t.Errorf("%s: got %v", field, ps)
		}
	}
}

func TestParseScheduleRefuses(t *testing.T) {
	t.Parallel()
	for expr, want := range map[string]string{
		"":                        "empty",
		"* * * *":                 "not a cron schedule",
		"61 * * * *":              "not a cron schedule",
		"0 0 30 2 *":              "never comes",
		"@every 0s":               "more often",
		"@every 1ns":              "more often",
		"@every x":                "not a cron schedule",
		"CRON_TZ=UTC 0 0 * * *":   "time zone",
		"*/15 * * * * *":          "not a cron schedule",
		"0 0 * * * ; rm -rf /tmp": "not a cron schedule",
	} {
		_, err := credential.ParseSchedule(expr, time.UTC)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", expr, err, want)
		}
	}
}

// P14 of the fault matrix: no slot is missed and none runs twice, whatever the zone does.
func TestScheduleAcrossTransitions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, zone, expr, from, want string }{
		{"gap runs at its end", "America/New_York", "30 2 * * *", "2026-03-08T00:00:00-05:00", "2026-03-08T03:00:00-04:00"},
		{"the day after the gap", "America/New_York", "30 2 * * *", "2026-03-08T03:00:00-04:00", "2026-03-09T02:30:00-04:00"},
		{"repeated hour, first pass", "America/New_York", "30 1 * * *", "2026-11-01T00:00:00-04:00", "2026-11-01T01:30:00-04:00"},
		{"repeated hour, not again", "America/New_York", "30 1 * * *", "2026-11-01T01:30:00-04:00", "2026-11-02T01:30:00-05:00"},
		{"every hour goes on in the repeat", "America/New_York", "*/15 * * * *", "2026-11-01T01:45:00-04:00", "2026-11-01T01:00:00-05:00"},
		{"every hour across the gap", "America/New_York", "*/15 * * * *", "2026-03-08T01:45:00-05:00", "2026-03-08T03:00:00-04:00"},
		{"midnight gap", "America/Asuncion", "0 0 * * *", "2024-10-05T12:00:00-04:00", "2024-10-06T01:00:00-03:00"},
		{"half-hour gap", "Australia/Lord_Howe", "15 2 * * *", "2026-10-03T12:00:00+10:30", "2026-10-04T02:30:00+11:00"},
		{"half-hour repeat", "Australia/Lord_Howe", "45 1 * * *", "2026-04-05T01:45:00+11:00", "2026-04-06T01:45:00+10:30"},
	} {
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		s, err := credential.ParseSchedule(c.expr, zone)
		if err != nil {
			t.Fatal(err)
		}
		from, _ := time.Parse(time.RFC3339, c.from)
		if got := s.Next(from).Format(time.RFC3339); got != c.want {
			t.Errorf("%s: after %s comes %s, want %s", c.name, c.from, got, c.want)
		}
	}
}

// R14: all zones, 2024 to 2030.
func TestEveryZoneRunsDailyOnceADay(t *testing.T) {
	t.Parallel()
	zones := 0
	for _, name := range zoneNames(t) {
		zone, err := time.LoadLocation(name)
		if err != nil {
			continue
		}
		zones++
		for _, expr := range []string{"30 2 * * *", "0 0 * * *", "15 1 * * *"} {
			s, err := credential.ParseSchedule(expr, zone)
			if err != nil {
				t.Fatal(err)
			}
			for _, from := range transitions(zone) {
				at := from.AddDate(0, 0, -3)
				last := s.Next(at)
				for at.Before(from.AddDate(0, 0, 3)) {
					at = s.Next(last)
					// Two runs are on two calendar days that follow each other; a zone can drop a day.
					days := civil(at) - civil(last)
					if days != 1 && (days != 2 || exists(zone, last)) {
						t.Fatalf("%s %q: %s is followed by %s", name, expr, last, at)
					}
					last = at
				}
			}
		}
	}
	if zones < 300 {
		t.Fatalf("only %d zones were found", zones)
	}
}

// transitions lists when the zone's clock changes from 2024 to 2030; nowhere else can a slot go
// wrong.
func transitions(zone *time.Location) []time.Time {
	var all []time.Time
	for _, end := time.Date(2024, 1, 1, 0, 0, 0, 0, zone).ZoneBounds(); !end.IsZero() && end.Year() < 2031; _, end = end.ZoneBounds() {
		all = append(all, end)
	}
	return all
}

func civil(t time.Time) int64 {
	y, m, d := t.Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / 86400
}

// exists reports whether the calendar day after t exists in the zone.
func exists(zone *time.Location, t time.Time) bool {
	y, m, d := t.Date()
	next := time.Date(y, m, d+1, 12, 0, 0, 0, zone)
	return next.Day() != d && civil(next) == civil(t)+1
}

func TestLongest(t *testing.T) {
	t.Parallel()
	for expr, want := range map[string]time.Duration{
		"@every 4s": 4 * time.Second, "*/15 * * * *": 15 * time.Minute, "0 3 * * *": 24 * time.Hour, "0 8-18 * * 1-5": 62 * time.Hour,
		"*/5 8-18 * * 1-5": 61*time.Hour + 5*time.Minute, "0 0 1 * *": 31 * 24 * time.Hour,
	} {
		s, err := credential.ParseSchedule(expr, time.UTC)
		if err != nil || s.Longest() != want {
			t.Errorf("%s: %s, want %s; %v", expr, s.Longest(), want, err)
		}
	}
	if s, err := credential.ParseSchedule("0 0 29 2 *", time.UTC); err != nil || s.Longest() < 365*24*time.Hour {
		t.Errorf("leap days come every %s; %v", s.Longest(), err)
	}
}

func TestJitter(t *testing.T) {
	t.Parallel()
	s, err := credential.ParseSchedule("*/15 * * * *", time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
	buckets := make([]int, 15)
	for i := range 10000 {
		name := "client-" + time.Duration(i).String()
		j := s.Jitter(name)
		if j != s.Jitter(name) || j < 0 || j >= 15*time.Minute {
			t.Fatalf("%s: jitter %s", name, j)
		}
		buckets[int(j/time.Minute)]++
		next := s.NextCheck(name, now)
		if d := next.Sub(now); d <= 0 || d > 15*time.Minute {
			t.Fatalf("%s is due %s after now", name, d)
		}
		if again := s.NextCheck(name, next); again.Sub(next) != 15*time.Minute {
			t.Fatalf("%s: %s is followed by %s", name, next, again)
		}
	}
	for minute, n := range buckets {
		if n < 500 || n > 850 {
			t.Errorf("minute %d has %d of 10000 credentials", minute, n)
		}
	}
}
