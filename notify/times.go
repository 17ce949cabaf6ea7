package notify

import (
	"regexp"
	"time"
)

// TimeLayout is how times are written in Words, always in UTC.
const TimeLayout = "2 Jan 2006 15:04:05 MST"

var inText = regexp.MustCompile(`\b\d{1,2} (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d{2}:\d{2}:\d{2} UTC\b`)

// Localize writes each time of a text, as Words have them, as write does: in the reader's zone.
func Localize(text string, write func(time.Time) string) string {
	return inText.ReplaceAllStringFunc(text, func(found string) string {
		t, err := time.Parse(TimeLayout, found)
		if err != nil { // such as 31 Feb
			return found
		}
		return write(t)
	})
}
