package feed

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/keyrounds/keyrounds/bounded"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/secret"
)

// PollSpec says how a log API is asked. In its URLs {base}, {since}, {until} (RFC 3339), {time}
// (until, in seconds since 1970), {span} (from since to until, as 300s), {step} (a part of it) and {cursor} stand
// for what they name.
type PollSpec struct {
	URL           string   `yaml:"url"`
	StartURL      string   `yaml:"start_url"` // while there is no cursor yet; what it brings is taken in as well
	Base          string   `yaml:"base"`      // where the feed names none
	Auth          string   `yaml:"auth"`      // scheme of the Authorization header
	Items         string   `yaml:"items"`     // jq: the records of an answer; default the answer itself
	Next          string   `yaml:"next"`      // jq: the next page's URL, or what NextParameter is set to
	NextParameter string   `yaml:"next_parameter"`
	Link          bool     `yaml:"link"`      // the next page is in the header Link (RFC 8288)
	Cursor        string   `yaml:"cursor"`    // jq on the records: where the next request goes on
	More          string   `yaml:"more"`      // jq on the records: ask on at once
	State         bool     `yaml:"state"`     // a list of last-used times, not of events
	Partial       bool     `yaml:"partial"`   // it shows no use, or not all
	Counts        bool     `yaml:"counts"`    // a record is a count of what happened in the stretch asked for
	CoverURL      string   `yaml:"cover_url"` // asked for each stretch as well:
	Covered       string   `yaml:"covered"`   // jq on what it answers: was all of the stretch seen?
	Problem       string   `yaml:"problem"`   // jq: what an answer that is an error says of it
	Overlap       duration `yaml:"overlap"`   // this much is asked for again, since records come late
	Lag           duration `yaml:"lag"`       // the newest time that may still be incomplete
	First         duration `yaml:"first"`     // how far back the first poll goes
	Source        string   `yaml:"source"`    // where this is documented

	Span time.Duration `yaml:"-"` // of Counts: the length of each stretch; 0: as it comes
}

type duration struct{ time.Duration }

// UnmarshalText reads 90d, 12h, 2m.
func (d *duration) UnmarshalText(b []byte) (err error) {
	d.Duration, err = credential.ParseDuration(string(b))
	return err
}

// Poll is a log API that is asked from time to time.
type Poll struct {
	Spec  PollSpec
	Base  string
	Every time.Duration

	items, next, cursor, more, covered, problem bounded.JQ // of zero: there is none
}

// DefaultEvery is the Every of a feed that says nothing else.
const DefaultEvery = 5 * time.Minute

// NewPoll makes a poll of a specification.
func NewPoll(spec PollSpec, base string, every time.Duration) (Poll, error) {
	p := Poll{Spec: spec, Base: strings.TrimSuffix(base, "/"), Every: every}
	if p.Base == "" {
		p.Base = spec.Base
	}
	if p.Every <= 0 {
		p.Every = DefaultEvery
	}
	for _, e := range []struct {
		name, text string
		code       *bounded.JQ
	}{
		{"items", spec.Items, &p.items},
		{"next", spec.Next, &p.next},
		{"cursor", spec.Cursor, &p.cursor},
		{"more", spec.More, &p.more},
		{"covered", spec.Covered, &p.covered},
		{"problem", spec.Problem, &p.problem},
	} {
		if e.text == "" {
			continue
		}
		var err error
		if *e.code, err = bounded.Compile(e.text); err != nil {
			return p, fmt.Errorf("%s: jq: %w", e.name, err)
		}
		if isOfPreset(e.text) {
			*e.code = e.code.Inside()
		}
	}
	u, err := url.Parse(p.fill(spec.URL, PollPosition{}, time.Time{}, time.Time{}))
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return p, errors.New("url: not a URL")
	}
	return p, nil
}

// isOfPreset reports whether an expression of a poll is part of keyrounds.
func isOfPreset(text string) bool {
	return slices.ContainsFunc(Presets(), func(p Preset) bool {
		return p.Poll != nil &&
			slices.Contains([]string{p.Poll.Items, p.Poll.Next, p.Poll.Cursor, p.Poll.More, p.Poll.Covered, p.Poll.Problem}, text)
	})
}

// Silence is how long such a feed may show nothing new while all is well: it misses one poll at most.
func (p Poll) Silence() time.Duration {
	return 2*max(p.Every, p.Spec.Span) + p.Spec.Lag.Duration
}

// PollPosition is how far a polled feed was read. The zero value: not at all.
type PollPosition struct {
	Until  time.Time `json:"until,omitzero"` // everything before it was brought
	Cursor string    `json:"cursor,omitempty"`
}

// Page is one answer of a log API.
type Page struct {
	Reading Reading
	Before  PollPosition // that it was asked for from: what is stored must still be the same
	After   PollPosition // to store with its events
	Covered []Span       // that the feed watched for certain; the last page of a poll has it
}

// Asker polls one feed: Next as long as there is a page.
type Asker struct {
	feed     Feed
	client   *http.Client
	token    secret.Value
	position PollPosition
	from     time.Time
	until    time.Time
	url      string
	coverURL string
	pages    int
	behind   bool // there are more stretches to ask for

	newest    time.Time // of the page before
	backwards bool      // a page was older than the one before
}

// The bounds of a poll. What is beyond comes with the next one.
const (
	maxPages    = 500
	maxPage     = 32 << 20
	pageTimeout = 30 * time.Second
)

// Ask begins a poll of feed from a position on, which is that of the last Page that was stored. It sends
// nothing yet. A zero token: the log API is asked without one. client is one of package outbound: it follows
// no redirect.
func Ask(feed Feed, client *http.Client, token secret.Value, position PollPosition, now time.Time) *Asker {
	a := &Asker{feed: feed, client: client, token: token, position: position, until: now.Add(-feed.Poll.Spec.Lag.Duration).UTC()}
	a.from = a.position.Until
	if a.from.IsZero() {
		a.from = a.until.Add(-feed.Poll.Spec.First.Duration)
	}
	if !a.until.After(a.from) {
		a.until = a.from
	}
	spec := feed.Poll.Spec
	if spec.Counts && !a.stretch() {
		return a
	}
	text := spec.URL
	if spec.StartURL != "" && a.position.Cursor == "" {
		text = spec.StartURL
	}
	a.url = feed.Poll.fill(text, a.position, a.from.Add(-spec.Overlap.Duration), a.until)
	a.coverURL = feed.Poll.fill(spec.CoverURL, a.position, a.from, a.until)
	return a
}

// stretch cuts what is asked for to one stretch, of whole seconds. false: it is not over yet.
func (a *Asker) stretch() bool {
	a.from = a.from.Truncate(time.Second)
	whole, most := a.until.Sub(a.from).Truncate(time.Second), a.feed.Poll.Spec.Span
	if whole <= 0 || whole < most {
		return false
	}
	if most == 0 {
		most = longestSpan
	}
	a.behind = whole > most && whole-most >= a.feed.Poll.Spec.Span
	a.until = a.from.Add(min(whole, most))
	return true
}

func (p Poll) fill(text string, at PollPosition, since, until time.Time) string {
	return strings.NewReplacer("{base}", p.Base, "{cursor}", url.QueryEscape(at.Cursor),
		"{since}", url.QueryEscape(since.UTC().Format("2006-01-02T15:04:05.000Z")),
		"{until}", url.QueryEscape(until.UTC().Format("2006-01-02T15:04:05.000Z")),
		"{time}", strconv.FormatInt(until.Unix(), 10), "{span}", fmt.Sprintf("%ds", max(1, int(until.Sub(since).Seconds()))),
		stepMark, fmt.Sprintf("%ds", int(step(until.Sub(since)).Seconds()))).Replace(text)
}

// More reports whether there is a page to ask for.
func (a *Asker) More() bool { return a.url != "" }

// Cut reports whether the poll ended before everything was asked for.
func (a *Asker) Cut() bool { return a.pages >= maxPages || a.behind }

// Next asks for one page. Its errors hold neither the URL's query nor the token.
func (a *Asker) Next(ctx context.Context) (*Page, error) {
	ctx, cancel := context.WithTimeout(ctx, pageTimeout)
	defer cancel()
	answer, header, err := a.get(ctx, a.url)
	if err != nil {
		return nil, err
	}
	a.pages++
	spec := a.feed.Poll.Spec
	list, err := a.feed.Poll.records(ctx, answer)
	if err != nil {
		return nil, err
	}
	if list, err = a.feed.Format.tableRows(ctx, list); err != nil {
		return nil, err
	}
	pg := &Page{Before: a.position, After: a.position}
	for _, v := range list {
		text, _ := json.Marshal(v)
		if bad, is := v.(unread); is {
			text = []byte(bad.line)
		}
		a.feed.Format.record(ctx, v, text, &pg.Reading)
	}
	if spec.Counts {
		return pg, a.counted(ctx, pg)
	}
	if newest := newestOf(pg.Reading); !newest.IsZero() {
		a.backwards = a.backwards || newest.Before(a.newest)
		a.newest = newest
	}
	c, err := one(ctx, a.feed.Poll.cursor, anyList(list))
	if err != nil {
		return nil, fmt.Errorf("cursor: %w", err)
	}
	if c != nil && len(list) > 0 {
		pg.After.Cursor = textOf(c)
	}
	next, err := a.following(ctx, answer, list, header)
	if err != nil {
		return nil, err
	}
	a.url = next
	switch {
	case next == "":
		a.end(pg, list)
	case a.pages >= maxPages:
		a.url = ""
		a.cut(pg)
	}
	a.position = pg.After
	return pg, nil
}

// counted ends the page of a stretch whose records are counts.
func (a *Asker) counted(ctx context.Context, pg *Page) error {
	for i := range pg.Reading.Events {
		pg.Reading.Events[i].From = a.from
	}
	answer, _, err := a.get(ctx, a.coverURL)
	if err != nil {
		return fmt.Errorf("coverage: %w", err)
	}
	v, err := one(ctx, a.feed.Poll.covered, answer)
	if err != nil {
		return fmt.Errorf("covered: %w", err)
	}
	if v == true && pg.Reading.BadSeen == 0 {
		pg.Covered = []Span{{a.from, a.until}}
	}
	pg.After.Until, a.position.Until, a.url = a.until, a.until, ""
	return nil
}

// following is the next page's URL. It must be on the same server: the token goes with it.
func (a *Asker) following(ctx context.Context, answer any, list []any, header http.Header) (string, error) {
	spec, next := a.feed.Poll.Spec, ""
	switch {
	case spec.Link:
		next = linkNext(header)
		if len(list) == 0 { // Okta names a next page for ever
			next = ""
		}
	case !a.feed.Poll.next.IsZero():
		v, err := one(ctx, a.feed.Poll.next, answer)
		if err != nil { // which must not pass for the last page
			return "", fmt.Errorf("next: %w", err)
		}
		next = textOf(v)
		if next != "" && spec.NextParameter != "" {
			u, err := url.Parse(a.url)
			if err != nil {
				return "", errors.New("the URL of this page is broken")
			}
			q := u.Query()
			q.Set(spec.NextParameter, next)
			u.RawQuery = q.Encode()
			next = u.String()
		}
	case !a.feed.Poll.more.IsZero():
		pos := a.position
		c, err1 := one(ctx, a.feed.Poll.cursor, anyList(list))
		v, err2 := one(ctx, a.feed.Poll.more, anyList(list))
		if err := errors.Join(err1, err2); err != nil {
			return "", fmt.Errorf("more: %w", err)
		}
		if c != nil {
			pos.Cursor = textOf(c)
		}
		if v == true && pos.Cursor != "" {
			next = a.feed.Poll.fill(spec.URL, pos, a.from, a.until)
		}
	}
	if next == "" {
		return "", nil
	}
	here, err1 := url.Parse(a.url)
	there, err2 := url.Parse(next)
	if err1 != nil || err2 != nil {
		return "", errors.New("the next page's URL is broken")
	}
	there = here.ResolveReference(there)
	if there.Scheme != here.Scheme || there.Host != here.Host {
		return "", fmt.Errorf(
			"the next page is on another server (%s): the token is not sent there",
			secret.Scrubber{}.Clean(there.Host, 100),
		)
	}
	if there.String() == a.url {
		return "", errors.New("the next page is this page")
	}
	return there.String(), nil
}

var linkPattern = regexp.MustCompile(`<([^>]*)>\s*;[^<]*\brel="?next"?`)

func linkNext(h http.Header) string {
	for _, v := range h.Values("Link") {
		if m := linkPattern.FindStringSubmatch(v); m != nil {
			return m[1]
		}
	}
	return ""
}

var plainMember = regexp.MustCompile(`^\.[A-Za-z_][A-Za-z0-9_]*$`)

func (p Poll) records(ctx context.Context, answer any) ([]any, error) {
	v := answer
	if !p.items.IsZero() {
		var err error
		v, _, err = p.items.First(ctx, answer)
		switch {
		case errors.Is(err, bounded.ErrFailed): // nothing where it is looked for must not pass for nobody
			return nil, errors.New("items: the answer is not as it expects")
		case err != nil && !errors.Is(err, bounded.ErrHalted):
			return nil, fmt.Errorf("items: %w", err)
		}
	}
	switch v := v.(type) {
	case nil:
		// As some write an empty list; but where the member is not there at all, the answer is another than it was.
		if m, is := answer.(map[string]any); is && plainMember.MatchString(p.Spec.Items) {
			if _, has := m[strings.Trim(p.Spec.Items, ". ")]; !has {
				return nil, fmt.Errorf("items: the answer has no %s", p.Spec.Items)
			}
		}
		return nil, nil
	case []any:
		return v, nil
	}
	return nil, errors.New("the answer holds no list of records")
}

func anyList(l []any) any {
	if l == nil {
		return []any{}
	}
	return l
}

// one is what an expression finds first, nil where that is nothing or jq failed. The error is another one: nothing is known then.
func one(ctx context.Context, code bounded.JQ, in any) (any, error) {
	if code.IsZero() {
		return nil, nil
	}
	v, _, err := code.First(ctx, in)
	if errors.Is(err, bounded.ErrFailed) || errors.Is(err, bounded.ErrHalted) {
		return nil, nil
	}
	return v, err
}

// WaitError asks to poll again after a time, which the server named.
type WaitError struct {
	After time.Duration
	Err   error
}

func (e *WaitError) Error() string { return e.Err.Error() }
func (e *WaitError) Unwrap() error { return e.Err }

func (a *Asker) get(ctx context.Context, from string) (any, http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, nil, errors.New("the URL is broken")
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "keyrounds-feed (+https://github.com/keyrounds/keyrounds)")
	if !a.token.IsZero() {
		req.Header.Set("Authorization", cmp.Or(a.feed.Poll.Spec.Auth, "Bearer")+" "+a.token.Reveal())
	}
	resp, err := a.client.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, nil, errors.New("no answer in time")
		}
		return nil, nil, errors.New("the server could not be reached") // the error's own text may hold the URL
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxPage+1))
	switch {
	case err != nil:
		return nil, nil, errors.New("the answer broke off")
	case len(body) > maxPage:
		return nil, nil, fmt.Errorf("the answer is larger than %d MiB", maxPage>>20)
	case resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable:
		return nil, nil, &WaitError{askedPause(resp.Header), fmt.Errorf("HTTP %d: asked to wait", resp.StatusCode)}
	}
	var answer any
	err = json.Unmarshal(body, &answer)
	if resp.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("HTTP %d%s", resp.StatusCode, a.problem(ctx, answer))
	}
	if err != nil && a.feed.Format.reader != nil {
		return a.feed.Format.linesOf(body), resp.Header, nil
	}
	if err != nil {
		return nil, nil, errors.New("the answer is not JSON")
	}
	return answer, resp.Header, nil
}

// linesOf are the records of an answer that is no JSON, but the text that f reads.
func (f Format) linesOf(body []byte) any {
	body = bytes.TrimPrefix(body, bom)
	list := []any{}
	next := func(b *bufio.Reader) (string, error) { return b.ReadString('\n') }
	if f.table != nil {
		next = csvRecord
	}
	for b := bufio.NewReaderSize(bytes.NewReader(body), 64<<10); ; {
		record, err := next(b)
		if record = strings.TrimSpace(record); record != "" {
			list = append(list, record)
		}
		if err != nil {
			return list
		}
	}
}

// tableRows reads a list of texts that begins with the names of the columns; any other list stays as it is.
func (f Format) tableRows(ctx context.Context, list []any) ([]any, error) {
	if f.table == nil || f.table.columns != nil {
		return list, nil
	}
	var (
		columns []string
		rows    []any
	)
	for _, v := range list {
		text, is := v.(string)
		if !is {
			return list, nil // objects, as a JSON API has them
		}
		switch {
		case f.ignore != nil && f.ignore.MatchString(text):
			rows = append(rows, text)
		case columns == nil:
			if columns = f.columnsOf([]byte(text)); columns == nil {
				return nil, errors.New("the answer does not begin with the names of its columns")
			}
		default:
			m, err := f.table.row(columns, text)
			if err != nil {
				rows = append(rows, unread{text, err})
				continue
			}
			rows = append(rows, row(m))
		}
	}
	return rows, ctx.Err()
}

// problem is what an answer says that is an error, where the specification knows where to look.
func (a *Asker) problem(ctx context.Context, answer any) string {
	v, _ := one(ctx, a.feed.Poll.problem, answer)
	if text := textOf(v); text != "" {
		return ": " + secret.NewScrubber(a.token).Clean(text, 200)
	}
	return ""
}

// askedPause reads Retry-After in seconds, or X-Rate-Limit-Reset (Okta, Auth0: seconds since 1970); from
// a minute to an hour.
func askedPause(h http.Header) time.Duration {
	pause := time.Minute
	if n, err := strconv.Atoi(h.Get("Retry-After")); err == nil {
		pause = time.Duration(n) * time.Second
	} else if n, err := strconv.ParseInt(cmp.Or(h.Get("X-Rate-Limit-Reset"), h.Get("X-RateLimit-Reset")), 10, 64); err == nil {
		pause = time.Until(time.Unix(n, 0))
	}
	return min(max(pause, 10*time.Second), time.Hour)
}
