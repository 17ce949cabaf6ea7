package report

import (
	"bytes"
	_ "embed"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"

	"github.com/invopop/jsonschema"

	"github.com/keyrounds/keyrounds/decision"
	"github.com/keyrounds/keyrounds/usage"
)

// Render writes r in a format. The same report gives the same bytes.
func (r *Report) Render(f Format) ([]byte, error) {
	switch f {
	case JSON:
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetIndent("", "  ")
		err := e.Encode(r)
		return b.Bytes(), err
	case CSV:
		return r.csv()
	case HTML:
		return r.html()
	}
	return nil, fmt.Errorf("unknown format %q of a report", f)
}

// The comments of the fields in report.go. TestComments writes them, since a binary has no source.
//
//go:embed comments.json
var comments []byte

// Schema is the JSON schema of Report (draft 2020-12).
func Schema() ([]byte, error) {
	r := jsonschema.Reflector{ExpandedStruct: true}
	if err := json.Unmarshal(comments, &r.CommentMap); err != nil {
		return nil, err
	}
	s := r.Reflect(&Report{})
	s.ID = "https://github.com/keyrounds/keyrounds/report"
	s.Title = "keyrounds monthly report of unused credentials"
	b, err := json.MarshalIndent(s, "", "  ")
	return append(b, '\n'), err
}

// The columns of the CSV. They are a promise: new ones come at the end.
var columns = []string{
	"month",
	"credential",
	"provider",
	"owner",
	"created",
	"usage",
	"last_used_at",
	"last_used_from",
	"days_unused",
	"coverage",
	"coverage_reason",
	"unused_scopes",
	"status",
	"recommendation",
	"why",
	"also",
	"rhythm",
	"next_expected_use",
	"last_used_by",
	"canary",
	"first_used_at",
	"uses",
	"networks",
	"attempts",
	"first_attempt_at",
	"last_attempt_at",
	"watched_since",
	"wait_until",
	"expires_at",
	"undecided",
	"decision",
	"decision_until",
	"decision_why",
	"decided_by",
	"decided_at",
	"decision_over",
}

func (r *Report) csv() ([]byte, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	_ = w.Write(columns)
	for _, c := range r.Credentials {
		days := ""
		if c.DaysUnused != nil {
			days = fmt.Sprint(*c.DaysUnused)
		}
		row := []string{
			r.Month,
			c.Credential,
			c.Provider,
			c.Owner,
			c.Created,
			c.Usage,
			stamp(c.LastUsedAt),
			c.LastUsedFrom,
			days,
			c.Coverage,
			c.CoverageReason,
			strings.Join(
				c.UnusedScopes,
				" ",
			),
			c.Status,
			string(c.Recommendation),
			c.Why,
			strings.Join(c.Also, "; "),
			c.Rhythm,
			stamp(c.NextUse),
			c.LastUsedBy,
			fmt.Sprint(c.Canary),
			stamp(c.FirstUsedAt),
			fmt.Sprint(c.Uses),
			strings.Join(c.Networks, " "),
			fmt.Sprint(c.Attempts),
			stamp(c.FirstAttemptAt),
			stamp(c.LastAttemptAt),
			stamp(c.WatchedSince),
			stamp(c.WaitUntil),
			stamp(c.ExpiresAt),
			fmt.Sprint(c.Undecided),
		}
		row = append(row, c.Decision.cells()...)
		for i := range row {
			row[i] = Cell(row[i])
		}
		_ = w.Write(row)
	}
	w.Flush()
	return b.Bytes(), w.Error()
}

// cells are the columns of a decision; of none they are empty.
func (d *Decision) cells() []string {
	if d == nil {
		return make([]string, 6)
	}
	return []string{string(d.Choice), d.Until.UTC().Format(time.DateOnly), d.Why, d.By, stamp(&d.At), fmt.Sprint(d.Over)}
}

// Cell keeps a spreadsheet from taking a text for a formula (OWASP, CSV injection): an apostrophe goes
// before what begins like one.
func Cell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r\n|%", rune(s[0])) || strings.HasPrefix(s, "＝") || strings.HasPrefix(s, "＋") ||
		strings.HasPrefix(s, "－") ||
		strings.HasPrefix(s, "＠") {
		return "'" + s
	}
	return s
}

func stamp(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

//go:embed report.html
var page string

var tmpl = template.Must(template.New("report").Funcs(template.FuncMap{
	"day":   func(t time.Time) string { return t.Format("2 Jan 2006") },
	"dayp":  dayOf,
	"words": func(s string) string { return strings.ReplaceAll(s, "_", " ") },
	"join":  strings.Join,
	"signed": func(now, before int) string {
		switch {
		case now == before:
			return "as before"
		case now > before:
			return fmt.Sprintf("%d more", now-before)
		}
		return fmt.Sprintf("%d fewer", before-now)
	},
	"cells": func(r Row, zone string) map[string]any { return map[string]any{"R": r, "Zone": zone} },
	"mark": func(usage string) string {
		return map[string]string{"used": "●", "unused": "○", "never_used": "◇", "not_known": "?"}[usage]
	},
}).Parse(page))

func dayOf(t *time.Time, zone string) string {
	if t == nil {
		return ""
	}
	l, err := time.LoadLocation(zone)
	if err != nil {
		l = time.UTC
	}
	return t.In(l).Format("2 Jan 2006")
}

// view is what the page shows beside the report itself.
type view struct {
	*Report
	Title    string
	Headline string
	Todo     []todo
	Chart    template.HTML
	Ages     template.HTML
	Rows     []Row // that ask for something
	Settled  []Row // of which a decision holds
	Rest     []Row
	Revokes  bool
}

type todo struct {
	Recommendation Recommendation
	N              int
}

func (r *Report) html() ([]byte, error) {
	v := view{Report: r, Title: "Unused credentials", Chart: trendChart(r.Trend), Ages: agesChart(r.SecretAges)}
	month, err := ParseMonth(r.Month)
	switch {
	case err == nil:
		v.Title += ", " + month.first.Format("January 2006")
		if r.Edition > 1 {
			v.Title += fmt.Sprintf(", edition %d", r.Edition)
		}
	default:
		v.Title += ", trial as of " + r.When()
	}
	n := map[Recommendation]int{}
	for _, c := range r.Credentials {
		if c.Holds() {
			v.Settled = append(v.Settled, c)
			v.Revokes = v.Revokes || c.Decision.Choice == decision.Revoke
			continue
		}
		n[c.Recommendation]++
		v.Revokes = v.Revokes || c.Recommendation == Revoke
		if c.Recommendation == Keep {
			v.Rest = append(v.Rest, c)
		} else {
			v.Rows = append(v.Rows, c)
		}
	}
	for _, rec := range urgency {
		if n[rec] > 0 && rec != Keep {
			v.Todo = append(v.Todo, todo{rec, n[rec]})
		}
	}
	v.Headline = headline(r)
	var b bytes.Buffer
	err = tmpl.Execute(&b, v)
	return b.Bytes(), err
}

// When says as of when it is, in the zone of its months: a time, or the end of a day.
func (r *Report) When() string {
	at := r.AsOf
	if zone, err := time.LoadLocation(r.Timezone); err == nil {
		at = at.In(zone)
	}
	return asOf(at)
}

func asOf(at time.Time) string {
	if at.Hour() == 0 && at.Minute() == 0 && at.Second() == 0 && at.Nanosecond() == 0 {
		return "the end of " + at.AddDate(0, 0, -1).Format("2 Jan 2006 MST")
	}
	return at.Format("2 Jan 2006 15:04 MST")
}

// Headline is the answer in a sentence.
func (r *Report) Headline() string { return headline(r) }

// headline is the answer in a sentence. A canary that nobody uses is as it should be, and does not count.
func headline(r *Report) string {
	idle, unknown, all := 0, 0, 0
	for _, c := range r.Credentials {
		if c.Canary {
			continue
		}
		all++
		switch usage.State(c.Usage) {
		case usage.Unused, usage.NeverUsed:
			idle++
		case usage.NotKnown:
			unknown++
		}
	}
	switch {
	case r.Summary.Registered == 0:
		return "No credential was registered."
	case all == 0:
		return "Only canaries were registered."
	case unknown == all && slices.ContainsFunc(r.Credentials, func(c Row) bool { return c.WatchedSince != nil }):
		if all == 1 {
			return "It is not known yet whether the only credential is used."
		}
		return fmt.Sprintf("Of none of %d credentials is it known yet whether it is used.", all)
	case unknown == all && all == 1:
		return "Nothing was watched: it is not known whether the only credential is used."
	case unknown == all:
		return fmt.Sprintf("Nothing was watched: of none of %d credentials is it known whether it is used.", all)
	case idle == 0 && unknown == 0 && all == 1:
		return "The only credential is used."
	case idle == 0 && unknown == 0:
		return fmt.Sprintf("All %d credentials are used.", all)
	case idle == 0:
		return fmt.Sprintf("No credential is known to be unused; of %d of %d it is not known.", unknown, all)
	}
	text := fmt.Sprintf("%d of %d credentials are not used.", idle, all)
	if all == 1 {
		text = "The only credential is not used."
	}
	if unknown > 0 {
		text += fmt.Sprintf(" Of %d it is not known.", unknown)
	}
	return text
}
