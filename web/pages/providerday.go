package pages

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/keyrounds/keyrounds/audit"
)

// providerRow is a provider with its last 24 hours.
type providerRow struct {
	Name     string
	Total    int // credentials
	Statuses []Mark
	Day
}

// Day is the last 24 hours of a provider, in quarters of an hour.
type Day struct {
	Ticks       Ticks
	Checks      int
	Answered    string // "99.8 %"; "": it was not asked
	Median, P95 string // of what was answered; "": nothing was
}

// mostProviders are shown; the others are on their own page.
const mostProviders = 12

// providerRows are the providers, those with the worst credentials first, and how many more there are.
func (p *Pages) providerRows(ctx context.Context, f Frame) (rows []providerRow, more int, err error) {
	names := slices.SortedFunc(maps.Keys(f.Nav.providers), func(a, b string) int {
		for _, s := range chipOrder[:len(chipOrder)-1] {
			if d := f.Nav.providers[b][s] - f.Nav.providers[a][s]; d != 0 {
				return d
			}
		}
		return strings.Compare(a, b)
	})
	for _, name := range names[:min(len(names), mostProviders)] {
		row := providerRow{Name: name}
		for _, s := range chipOrder {
			if n := f.Nav.providers[name][s]; n > 0 {
				row.Total += n
				row.Statuses = append(row.Statuses, statusMark(s).Of(number(n)+" "+string(s)))
			}
		}
		quarters, err := p.Audit.Quarters(ctx, name, f.Now.Add(-24*time.Hour))
		if err != nil {
			return nil, 0, err
		}
		row.Day = NewDay(name, quarters, f.Now)
		rows = append(rows, row)
	}
	return rows, len(names) - len(rows), nil
}

// quarter of an hour is what a tick of a day stands for.
const quarter = 15 * time.Minute

// NewDay makes a day of a provider, up to now, of its quarters.
func NewDay(provider string, quarters []audit.Quarter, now time.Time) (d Day) {
	const inADay = 96
	ticks, all := make([]Tick, inADay), audit.Latencies{}
	first := now.Truncate(quarter).Add(-(inADay - 1) * quarter)
	troubled := 0
	for _, q := range quarters {
		i := int(q.At.Sub(first) / quarter)
		if q.At.Before(first) || i >= inADay {
			continue
		}
		ticks[i] = tickOf(q)
		d.Checks += q.Checks
		troubled += q.Troubled
		all.Add(q.Latency)
	}
	d.Ticks = NewTicks("h96", "The last 24 hours of "+provider, "quarters of an hour", ticks)
	if d.Checks > 0 {
		d.Answered = percent(d.Checks-troubled, d.Checks)
		d.Median, d.P95 = millis(all.Percentile(0.5)), millis(all.Percentile(0.95))
	}
	return d
}

// tickOf is the worst of a quarter.
func tickOf(q audit.Quarter) Tick {
	switch {
	case q.Refused > 0:
		return Refused
	case q.Doubted > 0:
		return Doubted
	case q.Reduced > 0:
		return Reduced
	case q.Troubled > 0:
		return Elsewhere
	case q.Checks > 0:
		return Worked
	}
	return NotChecked
}

// percent never rounds up to 100, nor down to 0.
func percent(part, whole int) string {
	switch {
	case whole == 0:
		return ""
	case part == whole:
		return "100 %"
	case part == 0:
		return "0 %"
	}
	return fmt.Sprintf("%.1f %%", min(99.9, max(0.1, float64(part)*100/float64(whole))))
}
