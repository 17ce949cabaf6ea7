package pages

// hollow is why a list is empty, and what to do next, as the part "nothing" shows it.
type hollow struct {
	Icon, Why, Next string
	Link            *link // nil: there is none
}

// newHollow makes one in a template.
func newHollow(icon, why, next, url, word string) hollow {
	h := hollow{Icon: icon, Why: why, Next: next}
	if url != "" {
		h.Link = &link{url, word}
	}
	return h
}

// link leads somewhere.
type link struct{ URL, Word string }
