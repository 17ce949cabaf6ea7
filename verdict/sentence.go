package verdict

import (
	"fmt"
	"strconv"
	"strings"
)

// Sentence says in one true sentence how the credentials do, from how many have which status, and how many findings
// wait for somebody. It is what pages, Slack and keyrounds status begin with. Whatever does not work is in it, with how many.
func Sentence(counts map[Status]int, waiting int) string {
	all := 0
	for status, n := range counts {
		if status != Retired {
			all += n
		}
	}
	if all == 0 {
		return "No credential is registered."
	}
	refused := counts[Revoked] + counts[Suspect]
	parts := []string{working(counts[Healthy], all)}
	if refused > 0 {
		var which []string
		for _, s := range []Status{Revoked, Suspect} {
			if n := counts[s]; n > 0 {
				which = append(which, fmt.Sprintf("%s %s", thousands(n), s))
			}
		}
		parts[0] = fmt.Sprintf("%s of %s credentials %s not work: %s",
			thousands(refused), thousands(all), verb(refused, "does", "do"), strings.Join(which, ", "))
	}
	if n := counts[Degraded]; n > 0 {
		parts = append(parts, fmt.Sprintf("%s %s", thousands(n), verb(n, "gets less than it needs", "get less than they need")))
	}
	if n := counts[Pending]; n > 0 {
		parts = append(parts, fmt.Sprintf("%s never worked yet", thousands(n)))
	}
	if n := counts[Unknown]; n > 0 {
		parts = append(parts, fmt.Sprintf("of %s it is not known", thousands(n)))
	}
	switch {
	case waiting > 0:
		parts = append(parts, fmt.Sprintf("%s %s for somebody", thousands(waiting), verb(waiting, "finding waits", "findings wait")))
	case counts[Healthy] == all:
		parts = append(parts, "nothing needs you now")
	}
	return strings.Join(parts, "; ") + "."
}

func working(n, all int) string {
	switch {
	case all == 1 && n == 1:
		return "The only credential works"
	case all == 2 && n == 2:
		return "Both credentials work"
	case n == all:
		return fmt.Sprintf("All %s credentials work", thousands(all))
	}
	return fmt.Sprintf("%s of %s credentials %s", thousands(n), thousands(all), verb(n, "works", "work"))
}

func verb(n int, one, several string) string {
	if n == 1 {
		return one
	}
	return several
}

// thousands writes a number with separators: 2,015.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
