package pages

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/keyrounds/keyrounds/finding"
)

// Moment is a time as it is shown: relative, and exact on hover. From 30 days on the day itself is shown.
type Moment struct {
	Text  string // "4 min ago"; "" for the zero Time
	Exact string // "28 Nov 2026 10:14:32 UTC"
	ISO   string
	Fixed bool // Text does not change as time goes by
}

// longAgo is from when on a day is shown instead of its distance.
const longAgo = 30 * 24 * time.Hour

// When is a time for the part "when".
func (f Frame) When(t time.Time) Moment {
	if t.IsZero() {
		return Moment{}
	}
	local := t.In(f.zone())
	m := Moment{Exact: local.Format("2 Jan 2006 15:04:05 MST"), ISO: t.UTC().Format(time.RFC3339)}
	if d := f.Now.Sub(t); d >= longAgo || d <= -longAgo {
		m.Text, m.Fixed = local.Format("2 Jan 2006"), true
		return m
	}
	m.Text = distance(f.Now, t)
	return m
}

// At is a time for the part "when" that shows the time itself.
func (f Frame) At(t time.Time) Moment {
	m := f.When(t)
	if m.ISO != "" {
		layout := "2 Jan 15:04"
		if t.In(f.zone()).Year() != f.Now.In(f.zone()).Year() {
			layout = "2 Jan 2006 15:04"
		}
		m.Text, m.Fixed = t.In(f.zone()).Format(layout), true
	}
	return m
}

// Day is a time for the part "when" that shows its day.
func (f Frame) Day(t time.Time) Moment {
	m := f.When(t)
	if m.ISO != "" {
		if zone := f.zone(); t.Equal(t.Truncate(24 * time.Hour)) {
			m.Text = t.UTC().Format("2 Jan 2006") // it was said as a day, which is the same everywhere
		} else {
			m.Text = t.In(zone).Format("2 Jan 2006")
		}
		m.Fixed = true
	}
	return m
}

func (f Frame) zone() *time.Location {
	if f.Zone == nil {
		return time.UTC
	}
	return f.Zone
}

// distance is how far a time is from now, as people say it.
func distance(now, t time.Time) string {
	d := now.Sub(t)
	if d < 0 && d > -time.Second {
		return "now"
	}
	if d < 0 {
		return "in " + span(-d)
	}
	if d < time.Second {
		return "now"
	}
	return span(d) + " ago"
}

func span(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// age is how old something is, in its two largest units: 12 d, 3 mo, 2 y 11 mo.
func age(d time.Duration) string {
	days := int(d.Hours() / 24)
	years, months := days/365, days%365/30
	switch {
	case days < 60:
		return fmt.Sprintf("%d d", days)
	case years == 0:
		return fmt.Sprintf("%d mo", months)
	case months == 0:
		return fmt.Sprintf("%d y", years)
	}
	return fmt.Sprintf("%d y %d mo", years, months)
}

// sentence makes a sentence of a text: it begins large and ends with a full stop.
func sentence(s string) string {
	if s == "" {
		return ""
	}
	r := []rune(strings.TrimRight(s, "."))
	return strings.ToUpper(string(r[:1])) + string(r[1:]) + "."
}

// number writes an integer with separators: 129,480.
func number(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// count is a number of things: 1 credential, 2,000 credentials.
func count(n int, thing string) string {
	_, word, _ := strings.Cut(finding.Plural(n, thing), " ")
	return number(n) + " " + word
}

// millis is a duration of an exchange: 142 ms, 1.2 s.
func millis(d time.Duration) string {
	switch {
	case d <= 0:
		return ""
	case d < time.Second:
		return fmt.Sprintf("%d ms", max(1, d.Milliseconds()))
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// initials are those of a name, for the small round picture.
func initials(name string) string {
	name = strings.TrimPrefix(name, "user ")
	parts := strings.FieldsFunc(name, func(r rune) bool { return strings.ContainsRune(" .-_@", r) })
	out := ""
	for _, p := range parts[:min(2, len(parts))] {
		out += strings.ToUpper(string([]rune(p)[:1]))
	}
	return out
}

// capital begins a text with a capital letter.
func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
