package config

import (
	"fmt"
	"strings"
)

// cause is what warnings have in common that differ only in the credential that they are about.
type cause struct{ key, message, hint string }

// warning is one of a cause, and how many more there are.
type warning struct {
	path string
	more int
	cause
}

// warn says once of a cause that it is so, however many credentials it is so of.
func (b *builder) warn(path, hint, format string, args ...any) {
	w := warning{path: path, cause: cause{path, fmt.Sprintf(format, args...), hint}}
	if parts := strings.SplitN(path, ".", 3); len(parts) == 3 && parts[0] == listKey {
		w.key = listKey + "." + parts[2]
	}
	if i, known := b.causes[w.cause]; known {
		b.warnings[i].more++
		return
	}
	b.causes[w.cause] = len(b.warnings)
	b.warnings = append(b.warnings, w)
}

// warned are the warnings with their places: each that of the first credential.
func (b *builder) warned() []problem {
	var ps []problem
	for _, w := range b.warnings {
		message := b.tree.context(w.path) + w.message
		switch w.more {
		case 0:
		case 1:
			message += " (and 1 more credential)"
		default:
			message += fmt.Sprintf(" (and %d more credentials)", w.more)
		}
		ps = append(ps, problem{path: w.path, at: b.tree.place(w.path), message: message, hint: w.hint})
	}
	return ps
}
