package intake

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/keyrounds/keyrounds/finding"
)

// readTrufflehog reads `trufflehog --json`, an object a line (github.com/trufflesecurity/trufflehog,
// pkg/output/json.go).
func readTrufflehog(r *bufio.Reader, found func(Reported) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), maxFinding)
	n := 0
	for lines.Scan() {
		n++
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		where := fmt.Sprintf("line %d", n)
		if err := strict(line); err != nil {
			return &FormatError{"trufflehog", where, err.Error()}
		}
		var f struct {
			SourceMetadata *struct {
				Data map[string]map[string]any
			}
			DetectorName       string
			Verified           bool
			Raw, RawV2         string
			Redacted           string
			SecretParts        map[string]any
			Level, Msg, Logger string // of its log, which goes to the same place where both are piped
		}
		if err := decode(line, &f); err != nil {
			var why *FormatError
			if !errors.As(err, &why) {
				return err
			}
			return &FormatError{"trufflehog", where, why.Why}
		}
		if f.SourceMetadata == nil {
			if f.Level != "" || f.Msg != "" {
				continue
			}
			return &FormatError{"trufflehog", where, "it has no SourceMetadata"}
		}
		rep := Reported{Sighting: finding.Sighting{How: "trufflehog", What: "trufflehog found it as " + f.DetectorName}}
		if f.Verified {
			rep.What += " and says that it works"
		}
		for kind, data := range f.SourceMetadata.Data {
			text := func(key string) string { s, _ := data[key].(string); return s }
			rep.Source, rep.Path, rep.Commit = text("repository"), text("file"), text("commit")
			rep.Link, rep.At = text("link"), date(text("timestamp"))
			if line, is := data["line"].(float64); is {
				rep.Line = int(line)
			}
			if rep.Source == "" {
				rep.Source = kind
			}
		}
		rep.value(f.Raw)
		rep.value(f.RawV2)
		rep.value(strings.TrimPrefix(f.RawV2, f.Raw)) // some detectors join id and secret
		rep.value(strings.TrimSuffix(f.RawV2, f.Raw))
		for name, v := range f.SecretParts {
			if s, is := v.(string); is {
				rep.value(s)
				if name == "client_id" {
					rep.Clients = append(rep.Clients, s)
				}
			}
		}
		if f.Raw == "" {
			rep.part(f.Redacted)
		}
		if err := found(rep); err != nil {
			return err
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return &FormatError{"trufflehog", fmt.Sprintf("line %d", n+1), "it is longer than 4 MiB"}
	}
	return lines.Err()
}
