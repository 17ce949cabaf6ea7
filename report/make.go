package report

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/decision"
	"github.com/keyrounds/keyrounds/usage"
	"github.com/keyrounds/keyrounds/verdict"
)

// NotOverError says that a month's report cannot be made yet.
type NotOverError struct {
	Month Month
	Until time.Time
}

func (e *NotOverError) Error() string {
	return fmt.Sprintf("%s is not over before %s", e.Month, e.Until.Format("2 Jan 2006 15:04 MST"))
}

// Hint says what to do instead.
func (e *NotOverError) Hint() string {
	return "--as-of DATE makes a trial, which is not frozen"
}

// sources is all that reports of one time are made of.
type sources struct {
	all          []credential.Credential // also those that are retired by now
	credentials  []credential.Credential // those that were registered then
	book         *usage.Book
	answers      map[int64]usage.Answer
	where        map[int64]usage.Where
	status       map[int64]string
	ends         map[int64]credential.End // as was seen by now
	feeds        []usage.FeedStatus
	unregistered []usage.Unregistered
	inTime       map[int64]usage.InTime
	frozen       map[string]Summary // of all owners, by month
	decisions    map[int64]decision.Decision
	signed       map[string]SignOff // of the month before, by owner
}

// watched reports whether anything was: a report without any coverage says nothing of anybody.
func (s *sources) watched() bool {
	for _, a := range s.answers {
		if a.Covered > 0 || a.State == usage.Used {
			return true
		}
	}
	return false
}

const (
	trendMonths  = 12
	mostUnlisted = 50
	present      = time.Hour               // a report of a time as near as this tells what is held now
	fresh        = 48 * time.Hour          // and one as near as this does where there is no row of a day
	noStatus     = string(verdict.Pending) // of what was not checked until then
	mostNetworks = 5
)

// gather reads what is known at a time. now tells whether that is the present.
func (m *Maker) gather(ctx context.Context, at, now time.Time) (*sources, error) {
	all, err := m.Registry.List(ctx, true)
	if err != nil {
		return nil, err
	}
	s := &sources{all: all, answers: map[int64]usage.Answer{}, status: map[int64]string{}, ends: map[int64]credential.End{}}
	for _, c := range all {
		if stood(c, at) {
			s.credentials = append(s.credentials, c)
		}
	}
	if s.book, err = m.Usage.Open(ctx, m.Pool, all); err != nil {
		return nil, err
	}
	ids := make([]int64, len(s.credentials))
	for i, c := range s.credentials {
		ids[i] = c.ID
		s.answers[c.ID] = s.book.Assess(c, at)
	}
	if s.where, err = m.Usage.LastFrom(ctx, m.Pool, ids, at); err != nil {
		return nil, err
	}
	if err := m.statuses(ctx, s, at, now); err != nil {
		return nil, err
	}
	if s.inTime, err = m.Usage.InTime(ctx, m.Pool, s.answers, mostNetworks); err != nil {
		return nil, err
	}
	if s.frozen, err = m.frozenSummaries(ctx); err != nil {
		return nil, err
	}
	if s.decisions, err = m.decisions(ctx, ids, now); err != nil {
		return nil, err
	}
	if s.signed, err = m.signOffs(ctx, MonthOf(at.Add(-time.Second), m.Zone).Add(-1)); err != nil {
		return nil, err
	}
	if s.feeds, err = m.Usage.Feeds(ctx); err != nil {
		return nil, err
	}
	err = m.Usage.Unregistered(ctx, m.Registered, func(u usage.Unregistered) bool {
		s.unregistered = append(s.unregistered, u)
		return len(s.unregistered) < mostUnlisted
	})
	return s, err
}

// stood reports whether a credential was registered at a time, or existed then and was registered by those
// who ask now.
func stood(c credential.Credential, at time.Time) bool {
	if !c.Retired.IsZero() && !c.Retired.After(at) {
		return false
	}
	return c.Registered.Before(at) || c.Retired.IsZero() && (c.Created.IsZero() || c.Created.Before(at))
}

// statuses are those of then: the present ones where then is now, else from the rows of days. When credentials end is
// what is known now.
func (m *Maker) statuses(ctx context.Context, s *sources, at, now time.Time) error {
	standings, err := m.Audit.Standings(ctx, true)
	if err != nil {
		return err
	}
	for _, st := range standings {
		s.ends[st.CredentialID] = st.Ends
		if now.Sub(at) < fresh {
			s.status[st.CredentialID] = string(st.Status)
		}
	}
	if now.Sub(at) < present {
		return nil
	}
	then, err := m.Audit.StatusesAt(ctx, at)
	maps.Copy(s.status, then)
	return err
}

// make makes the report of one owner, or of all.
func (m *Maker) make(s *sources, owner string, at, now time.Time) *Report {
	r := &Report{
		Report:       "unused",
		AsOf:         at.UTC(),
		Timezone:     m.Zone.String(),
		Owner:        owner,
		MadeAt:       now.UTC().Truncate(time.Second),
		MadeBy:       "keyrounds " + m.Version,
		Credentials:  []Row{},
		Unregistered: []Unregistered{},
		Feeds:        []FeedRow{},
		Plan:         howToRevoke,
		Overtaken:    []Overtaken{},
	}
	var mine []credential.Credential
	for _, c := range s.credentials {
		if owner == "" || c.Owner == owner {
			mine = append(mine, c)
		}
	}
	providers := map[string]bool{}
	for _, c := range mine {
		providers[c.Provider] = true
		a := s.answers[c.ID]
		r.Summary.add(c, a.State)
		row := m.row(c, a, s, at)
		r.count(row)
		r.Credentials = append(r.Credentials, row)
	}
	if signed, is := s.signed[owner]; is {
		r.SignedOff = &signed
	}
	slices.SortFunc(r.Credentials, worstFirst)
	r.Trend = m.trend(s, owner, at)
	if len(r.Trend) > 1 {
		r.Before = r.Trend[len(r.Trend)-2].Summary
	}
	r.SecretAges = ages(mine, at)
	for _, f := range s.feeds {
		if providers[f.Provider] || owner == "" {
			r.Feeds = append(r.Feeds, feedRow(f, owner == ""))
		}
	}
	if owner == "" { // who owns what changes: a former month is compared, and a stranger told, for all
		r.Overtaken = m.overtaken(s, r.Trend[:len(r.Trend)-1])
		for _, u := range s.unregistered {
			r.Unregistered = append(r.Unregistered, Unregistered{u.Provider, u.ClientID, u.Events, u.LastAt.UTC(), u.CreatedBy})
		}
	}
	return r
}

// overtaken are the months of which the frozen report counts otherwise than one that was made now.
func (m *Maker) overtaken(s *sources, months []Point) []Overtaken {
	all := []Overtaken{}
	for _, p := range months {
		if was, frozen := s.frozen[p.Month]; frozen {
			if is := m.anew(s, p.Month); is != was {
				all = append(all, Overtaken{p.Month, was, is})
			}
		}
	}
	return all
}

// anew is what the report of a month would count if it was made now.
func (m *Maker) anew(s *sources, text string) (sum Summary) {
	month, err := ParseMonth(text)
	if err != nil {
		return sum
	}
	end := month.Span(m.Zone).To
	for _, c := range s.all {
		if stood(c, end) {
			sum.add(c, s.book.Assess(c, end).State)
		}
	}
	return sum
}

func feedRow(f usage.FeedStatus, ofAll bool) FeedRow {
	row := FeedRow{
		Feed:     f.Feed,
		Provider: f.Provider,
		Type:     f.Type,
		Partial:  f.Partial,
	}
	if ofAll {
		uses, own, bad := f.Counts[usage.ResultUse], f.Counts.Own(), f.Counts[usage.ResultBad]
		row.Uses, row.Own, row.Bad = &uses, &own, &bad
	}
	if !f.LastSeen.IsZero() {
		at := f.LastSeen.UTC()
		row.SeenAt = &at
	}
	return row
}

// trend answers for the ends of the last months, the last one being at itself.
func (m *Maker) trend(s *sources, owner string, at time.Time) []Point {
	last := MonthOf(at.Add(-time.Second), m.Zone)
	var points []Point
	for i := trendMonths - 1; i >= 0; i-- {
		month := last.Add(-i)
		end := month.Span(m.Zone).To
		if i == 0 {
			end = at
		}
		p := Point{Month: month.String()}
		for _, c := range s.all {
			switch {
			case owner != "" && c.Owner != owner || !stood(c, end):
			case i == 0:
				p.add(c, s.answers[c.ID].State)
			case s.book.Existed(c, end):
				p.add(c, s.book.Assess(c, end).State)
			}
		}
		points = append(points, p)
	}
	return points
}

// ages is how old the present secrets are.
func ages(cs []credential.Credential, at time.Time) []Bucket {
	buckets := []Bucket{{"under 3 months", 0}, {"3 to 6 months", 0}, {"6 to 12 months", 0}, {"1 to 2 years", 0}, {"over 2 years", 0}}
	for _, c := range cs {
		since := usage.SecretSince(c)
		i := 0
		for _, months := range []int{-3, -6, -12, -24} {
			if since.Before(at.AddDate(0, months, 0)) {
				i++
			}
		}
		buckets[i].N++
	}
	return buckets
}
