package pages

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/verdict"
)

// Need is something that needs a person, as the part "need" shows it: a finding, or several that are alike.
type Need struct {
	ID     string // of the row
	Mark   Mark
	URL    string
	Title  string
	Effect string
	Has    string // who has it; "": nobody, or Quiet says it
	Quiet  string // why nobody needs to have it
	Began  string // before At: "opened", "since"
	At     Moment
	Ack    string // where a form goes that acknowledges it; "": it cannot be, or not by whoever asks
	Back   string
}

const (
	mostNeeds = 12
	// moreAlike findings of a kind are one row.
	moreAlike = 3
)

// needs are the findings that are neither resolved nor put aside, the most severe first and then the newest, those that are alike in
// one row; what is being confirmed after the critical ones and warnings; and at last all of low severity, in one row.
func (p *Pages) needs(ctx context.Context, f Frame) (needs []Need, err error) {
	for _, severity := range []finding.Severity{finding.Critical, finding.Warning} {
		for _, kind := range kindsOf(f.Nav.awake(), severity) {
			n := countOf(f.Nav.awake(), severity, kind)
			found, err := p.Audit.Findings(ctx, audit.Filter{Kind: kind, Severity: severity, Awake: true, Limit: min(n, moreAlike)})
			if err != nil {
				return nil, err
			}
			if n > moreAlike && len(found) > 0 {
				needs = append(needs, alike(f, n, found[0]))
				continue
			}
			for _, fi := range found {
				if fi, err = p.About(ctx, fi); err != nil {
					return nil, err
				}
				needs = append(needs, NeedOf(f, fi))
			}
		}
	}
	if left := len(needs) - mostNeeds; left > 0 {
		needs = append(needs[:mostNeeds], Need{
			ID: "need-more", Mark: Mark{"less", "warning", "More"}, URL: "/findings", Title: fmt.Sprintf("%s more", number(left)),
			Quiet: "in the list", Began: "as of", At: f.When(f.Now),
		})
	}
	doubted, err := p.doubted(ctx, f)
	if err != nil {
		return nil, err
	}
	needs = append(needs, doubted...)
	if low := lowOnes(f); low.ID != "" {
		needs = append(needs, low)
	}
	return needs, nil
}

// NeedOf is a finding as a need. fi has what is registered of its credential.
func NeedOf(f Frame, fi finding.Finding) Need {
	n := Need{
		ID: fmt.Sprintf("need-%d", fi.ID), Mark: severityMark(fi.Severity), URL: fmt.Sprintf("/findings/%d", fi.ID), Title: fi.Headline(),
		Began: "opened", At: f.When(fi.OpenedAt), Back: f.Path,
	}
	if entry := fi.Kind.Of(); entry.Effect != nil {
		n.Effect = entry.Effect(fi, 1)
	}
	switch {
	case fi.State == finding.Snoozed:
		n.Quiet = "put aside until " + f.At(fi.SnoozedUntil).Text
	case fi.AssignedTo != "":
		n.Has = short(fi.AssignedTo) + " is asked"
	case fi.State == finding.Acknowledged:
		n.Has = short(fi.AcknowledgedBy) + " has it"
	case fi.About.Owner != "":
		n.Quiet = "nobody yet, of " + fi.About.Owner
	}
	if fi.State == finding.Open && f.May("respond") {
		n.Ack = fmt.Sprintf("/findings/%d/acknowledge", fi.ID)
	}
	return n
}

// short is an actor as people call him.
func short(actor string) string { return strings.TrimPrefix(actor, "user ") }

// alike is one row for several findings of a kind.
func alike(f Frame, n int, first finding.Finding) Need {
	entry := first.Kind.Of()
	of := "credential"
	if first.Subject.Credential == "" {
		of = "provider"
	}
	need := Need{
		ID: "need-" + string(first.Severity) + "-" + string(first.Kind), Mark: severityMark(first.Severity),
		URL:   "/findings?kind=" + url.QueryEscape(string(first.Kind)) + "&severity=" + url.QueryEscape(string(first.Severity)),
		Title: count(n, of) + " " + entry.Many(first), Began: "the last", At: f.When(first.OpenedAt),
		Quiet: "open the list to see who has them",
	}
	if entry.Effect != nil {
		need.Effect = entry.Effect(first, n)
	}
	return need
}

const mostDoubted = 3

// doubted are credentials that are refused and not confirmed to be.
func (p *Pages) doubted(ctx context.Context, f Frame) (needs []Need, err error) {
	n := f.Nav.Counts[verdict.Suspect]
	if n == 0 {
		return nil, nil
	}
	if n > mostDoubted {
		return []Need{{
			ID: "need-suspect", Mark: Mark{"sus", "suspect", "Being confirmed"}, URL: "/credentials?status=suspect",
			Title: count(n, "credential") + " were refused, and are being confirmed", Quiet: "nobody is told yet", Began: "as of",
			At: f.When(f.Now),
		}}, nil
	}
	page, _, err := p.Audit.Page(ctx, audit.Query{Status: verdict.Suspect, Limit: mostDoubted})
	for _, st := range page {
		needs = append(needs, Need{
			ID: "need-" + st.Credential, Mark: Mark{"sus", "suspect", "Being confirmed"}, URL: "/credentials/" +
				url.PathEscape(st.Credential),
			Title: st.Credential + " was refused, and is being confirmed", Effect: st.Provider +
				" refused it. keyrounds asks again before it tells anybody.", Quiet: "nobody is told yet",
			Began: "since",
			At:    f.When(st.Since),
		})
	}
	return needs, err
}

// lowOnes is one row for all findings of low severity; the zero Need: there are none.
func lowOnes(f Frame) Need {
	kinds := kindsOf(f.Nav.awake(), finding.Info)
	if len(kinds) == 0 {
		return Need{}
	}
	total := 0
	var said []string
	for _, k := range kinds {
		n := countOf(f.Nav.awake(), finding.Info, k)
		total += n
		said = append(said, number(n)+" "+strings.ReplaceAll(string(k), "_", " "))
	}
	return Need{
		ID: "need-low", Mark: severityMark(finding.Info), URL: "/findings?severity=info", Title: count(total, "finding") +
			" of low severity",
		Effect: strings.Join(said, ", ") + ".", Quiet: "in the digest", Began: "as of", At: f.When(f.Now),
	}
}

// awake counts the findings that are not put aside.
func (n Nav) awake() []audit.Count {
	return slices.DeleteFunc(slices.Clone(n.severities), func(c audit.Count) bool { return c.State == finding.Snoozed })
}

// kindsOf are the kinds of the findings of a severity, the most frequent last, so that the single ones are not below the fold.
func kindsOf(counts []audit.Count, s finding.Severity) (kinds []finding.Kind) {
	for _, c := range counts {
		if c.Severity == s && !slices.Contains(kinds, c.Kind) {
			kinds = append(kinds, c.Kind)
		}
	}
	slices.SortFunc(kinds, func(a, b finding.Kind) int {
		return cmp.Or(cmp.Compare(countOf(counts, s, a), countOf(counts, s, b)), strings.Compare(string(a), string(b)))
	})
	return kinds
}

func countOf(counts []audit.Count, s finding.Severity, k finding.Kind) (n int) {
	for _, c := range counts {
		if c.Severity == s && c.Kind == k {
			n += c.N
		}
	}
	return n
}
