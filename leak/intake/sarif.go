package intake

import (
	"bufio"
	"encoding/json"

	"github.com/keyrounds/keyrounds/finding"
)

// readSARIF reads SARIF 2.1.0 (OASIS), as gitleaks and others write it: the secret is in the region's snippet.
func readSARIF(r *bufio.Reader, found func(Reported) error) error {
	fail := func(where, why string) error { return &FormatError{"sarif", where, why} }
	d := json.NewDecoder(r)
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return fail("the beginning", "a JSON object is wanted")
	}
	runs := false
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return fail("the beginning", jsonError(err))
		}
		var raw json.RawMessage
		if t != "runs" {
			if err := d.Decode(&raw); err != nil {
				return fail("a member", jsonError(err)) // its name may be anything, a secret as well
			}
			continue
		}
		if runs {
			return fail("runs", "it is there twice")
		}
		runs = true
		if t, err := d.Token(); err != nil || t != json.Delim('[') {
			return fail("runs", "a list is wanted")
		}
		for d.More() {
			if err := readRun(d, found); err != nil {
				return err
			}
		}
		if _, err := d.Token(); err != nil {
			return fail("runs", jsonError(err))
		}
	}
	if _, err := d.Token(); err != nil {
		return fail("the end", jsonError(err))
	}
	if !runs {
		return fail("runs", "it is missing")
	}
	return nil
}

func readRun(d *json.Decoder, found func(Reported) error) error {
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return &FormatError{"sarif", "runs", "an object is wanted"}
	}
	tool := "SARIF"
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return &FormatError{"sarif", "runs", jsonError(err)}
		}
		switch t {
		case "tool":
			var v struct{ Driver struct{ Name string } }
			if err := d.Decode(&v); err != nil {
				return &FormatError{"sarif", "tool", jsonError(err)}
			}
			if v.Driver.Name != "" {
				tool = v.Driver.Name
			}
		case "results":
			t, err := d.Token()
			if err == nil && t == nil { // a scan that failed
				continue
			}
			if err != nil || t != json.Delim('[') {
				return &FormatError{"sarif", "results", "a list is wanted"}
			}
			err = eachOf("sarif", d, func(raw json.RawMessage) error {
				rep, err := sarifResult(tool, raw)
				if err != nil {
					return err
				}
				return found(rep)
			})
			if err != nil {
				return err
			}
		default:
			var raw json.RawMessage
			if err := d.Decode(&raw); err != nil {
				return &FormatError{"sarif", "a member of a run", jsonError(err)}
			}
		}
	}
	_, err := d.Token()
	return err
}

func sarifResult(tool string, raw json.RawMessage) (Reported, error) {
	type region struct {
		StartLine int
		Snippet   struct{ Text string }
	}
	var f struct {
		RuleID    string
		Locations []struct {
			PhysicalLocation struct {
				ArtifactLocation      struct{ URI string }
				Region, ContextRegion region
			}
		}
		PartialFingerprints map[string]any
	}
	if err := decode(raw, &f); err != nil {
		return Reported{}, err
	}
	rep := Reported{Sighting: finding.Sighting{How: "sarif", What: tool + " found it by its rule " + f.RuleID}}
	for i, l := range f.Locations[:min(len(f.Locations), 10)] {
		p := l.PhysicalLocation
		if i == 0 {
			rep.Path, rep.Line = p.ArtifactLocation.URI, p.Region.StartLine
		}
		rep.line(p.Region.Snippet.Text)
		rep.line(p.ContextRegion.Snippet.Text)
	}
	text := func(key string) string { s, _ := f.PartialFingerprints[key].(string); return s }
	rep.Commit, rep.At = text("commitSha"), date(text("date"))
	return rep, nil
}
