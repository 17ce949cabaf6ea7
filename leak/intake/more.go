package intake

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/keyrounds/keyrounds/finding"
)

// document reads the JSON object that a whole report is, of at most so many bytes as ReadReport allows.
func document(format string, r *bufio.Reader, into any) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if err := strict(raw); err != nil {
		return &FormatError{format, "the report", err.Error()}
	}
	err = decode(raw, into)
	var fe *FormatError
	if errors.As(err, &fe) {
		fe.Format, fe.Where = format, "the report"
	}
	return err
}

// readDetectSecrets reads a baseline of detect-secrets (github.com/Yelp/detect-secrets), which has secrets by their SHA-1 only.
func readDetectSecrets(r *bufio.Reader, found func(Reported) error) error {
	var doc struct {
		Results map[string][]struct {
			Type   string
			SHA1   string `json:"hashed_secret"`
			Line   int    `json:"line_number"`
			Secret string
		}
	}
	if err := document("detect-secrets", r, &doc); err != nil {
		return err
	}
	if doc.Results == nil {
		return &FormatError{"detect-secrets", "results", "it is missing"}
	}
	files := []string{}
	for file := range doc.Results {
		files = append(files, file)
	}
	slices.Sort(files)
	for _, file := range files {
		for _, f := range doc.Results[file] {
			rep := Reported{SHA1: strings.ToLower(f.SHA1), Sighting: finding.Sighting{
				How: "detect-secrets", What: "detect-secrets found it as " + f.Type, Path: file, Line: f.Line,
			}}
			rep.line(f.Secret)
			if err := found(rep); err != nil {
				return err
			}
		}
	}
	return nil
}

// readGitLab reads GitLab's report of secret detection (docs.gitlab.com, gl-secret-detection-report.json).
func readGitLab(r *bufio.Reader, found func(Reported) error) error {
	var doc struct {
		Vulnerabilities []struct {
			Name, Category string
			Extract        string `json:"raw_source_code_extract"`
			Location       struct {
				File   string
				Line   int `json:"start_line"`
				Commit struct{ SHA, Date string }
			}
		}
	}
	if err := document("gitlab", r, &doc); err != nil {
		return err
	}
	for _, v := range doc.Vulnerabilities {
		rep := Reported{Sighting: finding.Sighting{
			How: "gitlab", What: "GitLab's secret detection found it as " + v.Name, Path: v.Location.File, Line: v.Location.Line,
			At: date(v.Location.Commit.Date),
		}}
		if v.Location.Commit.SHA != "0000000" { // of files as they are
			rep.Commit = v.Location.Commit.SHA
		}
		rep.line(v.Extract)
		if err := found(rep); err != nil {
			return err
		}
	}
	return nil
}

// readGGShield reads `ggshield secret scan --json` (github.com/GitGuardian/ggshield); with --show-secrets it has them.
func readGGShield(r *bufio.Reader, found func(Reported) error) error {
	type entity struct {
		Filename  string
		Incidents []struct {
			Type, Policy, Validity string
			Occurrences            []struct {
				Match string
				Line  int `json:"line_start"`
			}
		}
	}
	type result struct {
		ID       string
		Entities []entity `json:"entities_with_incidents"`
	}
	var doc struct {
		result
		Scans []result
	}
	if err := document("ggshield", r, &doc); err != nil {
		return err
	}
	for _, scan := range append(doc.Scans, doc.result) {
		for _, e := range scan.Entities {
			for _, i := range e.Incidents {
				rep := Reported{Sighting: finding.Sighting{How: "ggshield", What: "ggshield found it as " + i.Type, Path: e.Filename}}
				if len(scan.ID) == 40 {
					rep.Commit = scan.ID
				}
				if i.Validity == "valid" {
					rep.What += " and says that it works"
				}
				for n, o := range i.Occurrences {
					if n == 0 {
						rep.Line = o.Line
					}
					rep.line(o.Match)
				}
				if err := found(rep); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// provenance is where noseyparker found a blob.
type provenance struct {
	Kind, Path string
	Repo       string `json:"repo_path"`
	First      *struct {
		Blob     string `json:"blob_path"`
		Metadata struct {
			ID string `json:"commit_id"`
		} `json:"commit_metadata"`
	} `json:"first_commit"`
}

// noseyFinding is one of `noseyparker report --format json|jsonl` (github.com/praetorian-inc/noseyparker).
type noseyFinding struct {
	Rule    string `json:"rule_name"`
	Matches []struct {
		Snippet    struct{ Before, Matching, After string }
		Groups     []string
		Provenance []provenance
		Location   struct {
			Span struct{ Start struct{ Line int } } `json:"source_span"`
		}
	}
}

func (f noseyFinding) tell(found func(Reported) error) error {
	for _, m := range f.Matches {
		rep := Reported{Sighting: finding.Sighting{
			How: "noseyparker", What: "noseyparker found it by its rule " + f.Rule, Line: m.Location.Span.Start.Line,
		}}
		if len(m.Provenance) > 0 {
			p := m.Provenance[0]
			rep.Path, rep.Source = p.Path, p.Repo
			if p.First != nil {
				rep.Path, rep.Commit = p.First.Blob, p.First.Metadata.ID
			}
		}
		for _, g := range m.Groups {
			rep.line(g)
		}
		rep.line(m.Snippet.Matching)
		rep.text(m.Snippet.Before + m.Snippet.Matching + m.Snippet.After)
		if err := found(rep); err != nil {
			return err
		}
	}
	return nil
}

func readNoseyParker(r *bufio.Reader, found func(Reported) error) error {
	return eachObject("noseyparker", r, func(raw json.RawMessage) error {
		var f noseyFinding
		if err := decode(raw, &f); err != nil {
			return err
		}
		if f.Rule == "" && f.Matches == nil {
			return &FormatError{Why: "it has neither rule_name nor matches"}
		}
		return f.tell(found)
	})
}

// kingfisherFinding is one of `kingfisher scan --format json|jsonl` (github.com/mongodb/kingfisher).
type kingfisherFinding struct {
	Rule    *struct{ Name, ID string }
	Finding *struct {
		Snippet, Path string
		Line          int
		Validation    struct{ Status string }
		Git           struct {
			Repository string `json:"repository_url"`
			Commit     struct{ ID, Date string }
			File       struct{ Path string }
		} `json:"git_metadata"`
	}
}

func readKingfisher(r *bufio.Reader, found func(Reported) error) error {
	return eachObject("kingfisher", r, func(raw json.RawMessage) error {
		var f struct {
			kingfisherFinding
			Findings []kingfisherFinding
		}
		if err := decode(raw, &f); err != nil {
			return err
		}
		all := f.Findings
		if f.Finding != nil {
			all = append(all, f.kingfisherFinding)
		}
		if all == nil {
			return &FormatError{Why: "it has neither finding nor findings"}
		}
		for _, k := range all {
			if err := k.tell(found); err != nil {
				return err
			}
		}
		return nil
	})
}

func (k kingfisherFinding) tell(found func(Reported) error) error {
	if k.Finding == nil {
		return &FormatError{Why: "a finding of it has no finding"}
	}
	f := k.Finding
	rep := Reported{Sighting: finding.Sighting{How: "kingfisher", What: "kingfisher found it", Path: f.Path, Line: f.Line}}
	if k.Rule != nil {
		rep.What += " by its rule " + k.Rule.Name
	}
	rep.Source, rep.Commit, rep.At = f.Git.Repository, f.Git.Commit.ID, date(f.Git.Commit.Date)
	if f.Git.File.Path != "" {
		rep.Path = f.Git.File.Path
	}
	if strings.HasPrefix(f.Validation.Status, "Active") {
		rep.What += " and says that it works"
	}
	rep.line(f.Snippet)
	return found(rep)
}

// eachObject decodes the elements of a JSON list, or JSON objects one after the other.
func eachObject(format string, r *bufio.Reader, each func(json.RawMessage) error) error {
	d := json.NewDecoder(r)
	first, err := peekByte(r)
	if err == nil && first == '[' {
		if _, err := d.Token(); err != nil {
			return &FormatError{format, "the beginning", jsonError(err)}
		}
		return eachOf(format, d, each)
	}
	for n := 0; ; n++ {
		var raw json.RawMessage
		err := d.Decode(&raw)
		if errors.Is(err, io.EOF) {
			return nil
		}
		where := fmt.Sprintf("object %d", n)
		if err == nil && len(raw) > maxFinding*8 {
			err = errors.New("it is too large")
		}
		if err == nil {
			err = strict(raw)
		}
		if err != nil {
			return &FormatError{format, where, jsonError(err)}
		}
		if err := each(raw); err != nil {
			var fe *FormatError
			if errors.As(err, &fe) {
				fe.Format, fe.Where = format, where
			}
			return err
		}
	}
}

// peekByte is the first byte that is no blank, which stays.
func peekByte(r *bufio.Reader) (byte, error) {
	for {
		b, err := r.ReadByte()
		if err != nil {
			return 0, err
		}
		if !strings.ContainsRune(" \t\r\n", rune(b)) {
			return b, r.UnreadByte()
		}
	}
}

// The columns of CSV reports, in lower case and without signs, by what they are. gitleaks writes such, and others are close.
var csvColumns = map[string][]string{
	"secret": {"secret", "rawsecret", "value", "raw", "token", "password", "credential"},
	"match":  {"match", "line", "snippet", "extract", "content", "context"},
	"file":   {"file", "path", "filename", "filepath", "location"},
	"line":   {"startline", "linenumber", "lineno", "linestart"},
	"commit": {"commit", "commitsha", "sha", "commitid"},
	"rule":   {"ruleid", "rule", "type", "detector", "detectorname", "rulename"},
	"source": {"repository", "repo", "source", "project"},
	"date":   {"date", "createdat", "timestamp", "commitdate"},
	"link":   {"link", "url"},
}

// readCSV reads a table with a line of names of columns, of which one is of secrets or of what matched.
func readCSV(r *bufio.Reader, found func(Reported) error) error {
	c := csv.NewReader(r)
	c.FieldsPerRecord, c.ReuseRecord = -1, true
	head, err := c.Read()
	if err != nil {
		return &FormatError{"csv", "line 1", "it has no names of columns"}
	}
	at := map[string]int{}
	for i, name := range head {
		for what, names := range csvColumns {
			if _, is := at[what]; !is && slices.Contains(names, columnName(name)) {
				at[what] = i
			}
		}
	}
	_, secret := at["secret"]
	_, match := at["match"]
	if !secret && !match {
		return &FormatError{"csv", "line 1", "none of its columns is called secret, value, raw, match or the like"}
	}
	for n := 2; ; n++ {
		record, err := c.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return &FormatError{"csv", fmt.Sprintf("record %d", n), "it cannot be read as CSV"}
		}
		get := func(what string) string {
			if i, is := at[what]; is && i < len(record) {
				return strings.Clone(record[i])
			}
			return ""
		}
		line, _ := strconv.Atoi(get("line"))
		rep := Reported{Sighting: finding.Sighting{
			How: "csv", What: "a table of findings has it", Source: get("source"), Path: get("file"), Line: line, Commit: get("commit"),
			At: date(get("date")), Link: link(get("link")),
		}}
		if rule := get("rule"); rule != "" {
			rep.What += ", by the rule " + rule
		}
		rep.line(get("secret"))
		rep.line(get("match"))
		if err := found(rep); err != nil {
			return err
		}
	}
}

func columnName(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r
		}
		return -1
	}, strings.ToLower(text))
}

// isCSV reports whether a text begins with names of columns that readCSV knows.
func isCSV(head []byte) bool {
	line, _, _ := strings.Cut(string(head), "\n")
	names := strings.Split(strings.TrimRight(line, "\r"), ",")
	known := 0
	for _, name := range names {
		for _, all := range csvColumns {
			if slices.Contains(all, columnName(name)) {
				known++
				break
			}
		}
	}
	return len(names) > 1 && known >= 2
}
