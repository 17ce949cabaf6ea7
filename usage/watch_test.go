package usage

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/usage/feed"
)

// Each rule of when a feed was watching, on days that are drawn: a letter is a day, from 2 Nov 2026 (day 20759) on.
//
//	n: 100 records, 50 name a client   f: 100 records, 1 names one   o: 100 records, none names one
//	m: 5,000 records, 50 name a client  s: 5,000 records, 1 names one
//	b: 100 records, 11 are bad and 40 name one   t: 100 records, 10 are bad, 40 name one   B: all are bad   .: no record
func TestLost(t *testing.T) {
	t.Parallel()
	kinds := map[rune]feed.Day{
		'n': {Records: 100, Named: 50},
		'f': {Records: 100, Named: 1},
		'o': {Records: 100},
		'b': {Records: 100, Bad: 11, Named: 40},
		't': {Records: 100, Bad: 10, Named: 40},
		'B': {Records: 100, Bad: 100},
		'm': {Records: 5000, Named: 50}, // as many clients as ever, among health checks
		's': {Records: 5000, Named: 1},
	}
	const (
		begin  = 20759
		before = "…-0.5 no record named a client before 2 Nov" // at noon the first does
	)
	for _, c := range []struct {
		name, days, want string // want: "from-to why", as days after the first; … stands for the beginning of time
	}{
		{"all name clients", "nnnn", before},
		{"none ever did", "oooo", "…-4 none of 400 records names a client"},
		{"a weekend of health checks", "nnnnnoonnnnn", before},
		{"the client is lost", "nnnnnooooooooo", before + "; 4.5-14 since 6 Nov none of 900 records names a client"},
		{"lost, and found again", "nnnoooooooonn", before + "; 2.5-11.5 since 4 Nov none of 800 records names a client"},
		{"nothing happens", "nnn..............nnn", before},
		{"nothing happens after the loss", "nnnoooooooo...", before + "; 2.5-14 since 4 Nov none of 800 records names a client"},
		{"before the first client", "oonn", "…-2.5 none of 200 records names a client"},
		{"bad days", "nntbtnn", before + "; 3-4 11 of 100 records of 5 Nov could not be read"},
		{"all bad, from the first", "BB", "…-2 none of 0 records names a client; 0-1 100 of 100 records of 2 Nov could not be read; " +
			"1-2 100 of 100 records of 3 Nov could not be read"},
		{"thin, and always so", "ffffffff", before},
		{"the share drops to a fiftieth", "nnnnnnnnfffffffff", before +
			"; 8-17 7 of 700 records of the seven days to 18 Nov name a client, and 50 % did before"},
		{"health checks are added, clients are as many", "nnnnnnnnnnmmmmmmmmmmmm", before},
		{"strays are no sign", "nnnnnnnnnnssssssssss", before +
			"; 10-20 7 of 35000 records of the seven days to 21 Nov name a client, and 50 % did before"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var days []feedDay
			for i, kind := range c.days {
				if kind == '.' {
					continue
				}
				d := feedDay{begin + int64(i), kinds[kind]}
				if d.Named > 0 {
					d.First = dayBegins(d.number).Add(12 * time.Hour)
					d.Last = d.First
				}
				days = append(days, d)
			}
			until := dayBegins(begin + int64(len(c.days))).Add(-time.Second)
			var got []string
			for _, l := range lost(days, until, feed.Watching{}) {
				from := "…"
				if !l.From.IsZero() {
					from = fmt.Sprintf("%g", l.From.Sub(dayBegins(begin)).Hours()/24)
				}
				got = append(got, fmt.Sprintf("%s-%g %s", from, l.To.Sub(dayBegins(begin)).Hours()/24, l.why))
			}
			if text := strings.Join(got, "; "); text != c.want {
				t.Errorf("got  %s\nwant %s", text, c.want)
			}
		})
	}
}
