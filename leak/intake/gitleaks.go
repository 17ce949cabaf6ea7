package intake

import (
	"bufio"
	"encoding/json"

	"github.com/keyrounds/keyrounds/finding"
)

// readGitleaks reads the JSON list of `gitleaks git|dir --report-format json` (github.com/gitleaks/gitleaks,
// report.Finding).
func readGitleaks(r *bufio.Reader, found func(Reported) error) error {
	d := json.NewDecoder(r)
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return &FormatError{"gitleaks", "the beginning", "a JSON list is wanted"}
	}
	return eachOf("gitleaks", d, func(raw json.RawMessage) error {
		var f struct {
			RuleID, File, SymlinkFile, Commit, Secret, Match, Link, Date string
			StartLine                                                    int
		}
		if err := decode(raw, &f); err != nil {
			return err
		}
		rep := Reported{Sighting: finding.Sighting{
			How: "gitleaks", What: "gitleaks found it by its rule " + f.RuleID, Path: f.File, Line: f.StartLine, Commit: f.Commit,
			Link: f.Link, At: date(f.Date),
		}}
		if f.RuleID == "" && f.Secret == "" && f.Match == "" {
			return &FormatError{Why: "it has neither RuleID, nor Secret, nor Match"}
		}
		rep.line(f.Secret)
		rep.line(f.Match) // where the rule cut the secret wrongly
		return found(rep)
	})
}
