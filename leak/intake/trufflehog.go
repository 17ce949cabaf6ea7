package intake

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
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
			placeOf(kind, data, &rep.Sighting)
		}
		rep.line(f.Raw)
		rep.line(f.RawV2)
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

// placeOf reads where a finding stands: the members of SourceMetadata are named by the kind of source
// (github.com/trufflesecurity/trufflehog, proto/source_metadata.proto).
func placeOf(kind string, data map[string]any, s *finding.Sighting) {
	text := func(keys ...string) string {
		for _, key := range keys {
			switch v := data[key].(type) {
			case string:
				if v != "" {
					return v
				}
			case float64:
				if v != 0 {
					return strconv.FormatFloat(v, 'f', -1, 64)
				}
			}
		}
		return ""
	}
	join := func(by string, parts ...string) string {
		return strings.Join(slices.DeleteFunc(parts, func(p string) bool { return p == "" }), by)
	}
	s.Source = text("repository", "bucket", "project_name", "workspace_name", "page", "index", "host")
	s.Path = text("file", "filename", "path", "document_id")
	s.Commit, s.Link, s.At = text("commit"), text("link"), date(text("timestamp"))
	s.Public = text("visibility") == "public"
	if line, is := data["line"].(float64); is {
		s.Line = int(line)
	}
	channel := text("channel_name", "channel_id", "channel")
	switch image, build := text("image"), text("build_number", "build_num"); {
	case image != "":
		s.Source = join(":", image, text("tag"))
		s.Path = join(" ", s.Path, text("layer"))
	case channel != "":
		s.Source = join(" ", text("team", "workspace_id"), "#"+strings.TrimPrefix(channel, "#"))
		if s.Path == "" {
			s.Path = text("location", "user")
		}
	case build != "":
		s.Source = join(" ", text("project_name", "repository", "username"), text("vcs_type"))
		s.Path = join(" ", "build "+build, text("build_step", "job_number"))
	case s.Source == "" && text("issue", "space") != "":
		s.Source, s.Path = text("space", "project"), join(" ", text("issue"), text("location"))
	}
	if s.Source == "" {
		s.Source = kind
	}
}
