package config

import (
	"regexp"
	"slices"
	"strings"
)

// rescued are the sections that say where the database is.
var rescued = []string{"data_dir", "database", "timezone"}

var topLevel = regexp.MustCompile(`^([a-z_]+):`)

// Rescue reads of a file that is not valid where the database is, and nothing else: providers, credentials and receivers are
// none. For commands that need no more, so that who is woken up can work while somebody mends the file. It fails, with whatever
// Load says, where that cannot be told for sure.
func Rescue(path string) (*Config, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, err
	}
	var kept strings.Builder
	var found []string
	key := ""
	for line := range strings.Lines(string(text)) {
		if m := topLevel.FindStringSubmatch(line); m != nil {
			key = m[1]
			found = append(found, key)
		}
		if slices.Contains(rescued, key) {
			kept.WriteString(line)
		} else {
			kept.WriteString("\n") // problems keep their line
		}
	}
	for _, where := range rescued[:2] {
		if strings.Contains(string(text), where) && !slices.Contains(found, where) { // somewhere that is not understood
			return LoadSettings(path)
		}
	}
	return Parse(path, []byte(kept.String()))
}
