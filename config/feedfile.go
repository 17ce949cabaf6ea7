package config

import (
	"encoding/json"
	"reflect"
	"slices"

	"github.com/invopop/jsonschema"

	"github.com/keyrounds/keyrounds/usage/feed"
)

// FeedIn is one of feeds:, the keys of every type and those of its own.
type FeedIn struct {
	FeedKeys
	own    feedType // nil: its type is unknown
	misfit []string // keys with a value that only other types have
}

// FeedKeys are the keys of every type.
type FeedKeys struct {
	// [a-z0-9][a-z0-9-]*, unique.
	Name string `json:"name"`
	// Whose credentials it shows.
	Provider string `json:"provider"`
	// file, push, prometheus, http, or a log API: okta, auth0, entra, entra-activity, entra-credentials,
	// smartrecruiters.
	Type string `json:"type"`
	// How its records are read: a preset (keyrounds usage formats), or a file that ends in .yaml or .jq, from the
	// directory of this file on. Default that of the type, else plain.
	Format string `json:"format,omitempty"`
	// Instead of a format: an expression that makes events of a record.
	JQ string `json:"jq,omitempty"`
	// Of the Authorization header. Default that of the type, else Bearer.
	AuthScheme string `json:"auth_scheme,omitempty"`
	// Reference to the token of its log API, or of those who push to it.
	Token string `json:"token,omitempty"`
	// Instead of a token: the registered credential that asks its log API.
	Credential string `json:"credential,omitempty"`
	// It sees only some uses: its silence proves nothing.
	Partial bool `json:"partial,omitempty"`
	// Quiet for so long is ordinary; more is a gap. Default: of types file and push it is learned from the pauses
	// between records, 1d to 3d; of type prometheus what two polls take; else 1d.
	Silence string `json:"silence,omitempty"`
	// By what it is judged whether the feed could show a client that was active.
	Watching *WatchingIn `json:"watching,omitempty"`
	// Keep single events. Default only a row a day, network and user agent.
	Keep bool `json:"keep,omitempty"`
}

// WatchingIn is watching: of a feed.
type WatchingIn struct {
	// A day with a greater share of records that cannot be read is a gap. Default 0.1.
	MostBad float64 `json:"most_bad,omitempty"`
	// So great a share of the records of seven days must name a client. Default 0.01.
	LeastNamed float64 `json:"least_named,omitempty"`
	// Or so many of them. Default 20.
	LeastNamedRecords int64 `json:"least_named_records,omitempty"`
	// A share below this part of the usual one, with less than half of the usual number of records, is a gap. Default 0.1.
	LossFactor float64 `json:"loss_factor,omitempty"`
}

// feedType is what a type of feeds has of its own.
type feedType interface {
	// build reads the keys of the type into f, of which those of every type are read.
	build(b *builder, path string, in FeedKeys, f *Feed)
}

// FileFeedIn is type file.
type FileFeedIn struct {
	// Of type file: files, directories or patterns, absolute.
	Paths []string `json:"paths,omitempty"`
}

// PushFeedIn is type push.
type PushFeedIn struct{}

// AskedIn are the keys of all types that are asked for their events.
type AskedIn struct {
	// Of a log API: its base, such as https://acme.okta.com; of type http the whole template with {since}
	// {until} {cursor}.
	URL string `json:"url,omitempty"`
	// How often it is asked. Default 5m; of type prometheus 15m.
	Every string `json:"every,omitempty"`
	// The newest time that may still be incomplete.
	Lag string `json:"lag,omitempty"`
	// How far back the first poll goes.
	First string `json:"first,omitempty"`
}

// LogAPIFeedIn is a type that is the name of a preset with a log API.
type LogAPIFeedIn struct {
	AskedIn
	// How much is asked for again, since records come late.
	Overlap string `json:"overlap,omitempty"`
}

// HTTPFeedIn is type http: a log API that no preset knows.
type HTTPFeedIn struct {
	AskedIn
	// How much is asked for again, since records come late.
	Overlap string `json:"overlap,omitempty"`
	// Of type http: jq that finds the records in an answer.
	Items string `json:"items,omitempty"`
	// Of type http: jq that finds the next page's URL in an answer.
	Next string `json:"next,omitempty"`
	// Of type http: jq on the list of records that gives the next {cursor}.
	Cursor string `json:"cursor,omitempty"`
	// Of type http: jq on the list of records that is true where more can be asked for at once. Without it a feed with
	// {cursor} is watched up to its newest record.
	More string `json:"more,omitempty"`
	// Of type http: the next page is in the header Link.
	Link bool `json:"link,omitempty"`
}

// PrometheusFeedIn is type prometheus.
type PrometheusFeedIn struct {
	AskedIn
	// Of type prometheus: a selector of the counter of requests, such as requests_total{job="gateway"}.
	Metric string `json:"metric,omitempty"`
	// Of type prometheus: the metric's label that names the client. Default client_id.
	Label string `json:"label,omitempty"`
	// Of type prometheus, instead of metric: PromQL that gives a series for each client that was active, with
	// its id as the only label; {span} stands for the time since the last answer.
	Query string `json:"query,omitempty"`
	// Of type prometheus: PromQL that is above 0 if all of {span} was seen. Default: there were series of the
	// query's metrics all the time.
	Coverage string `json:"coverage,omitempty"`
}

// newFeedType is an empty value of a type's own keys; nil: there is no such type.
func newFeedType(name string) feedType {
	switch name {
	case feed.TypeFile:
		return &FileFeedIn{}
	case feed.TypePush:
		return &PushFeedIn{}
	case feed.TypeHTTP:
		return &HTTPFeedIn{}
	case feed.TypePrometheus:
		return &PrometheusFeedIn{}
	}
	if p, err := feed.FindPreset(name); err == nil && p.Poll != nil {
		return &LogAPIFeedIn{}
	}
	return nil
}

// UnmarshalJSON reads the keys of every type, and those of the type that is named.
func (in *FeedIn) UnmarshalJSON(text []byte) error {
	*in = FeedIn{}
	if err := json.Unmarshal(text, &in.FeedKeys); err != nil {
		return err
	}
	if in.own = newFeedType(in.Type); in.own == nil {
		return nil
	}
	if err := json.Unmarshal(text, in.own); err != nil {
		return err
	}
	var given map[string]any
	if err := json.Unmarshal(text, &given); err != nil {
		return err
	}
	known := append(keysOf(in.FeedKeys), keysOf(in.own)...)
	for key, v := range given {
		if !slices.Contains(known, key) && !emptyValue(v) {
			in.misfit = append(in.misfit, key)
		}
	}
	slices.Sort(in.misfit)
	return nil
}

// emptyValue reports whether a key's value says the same as its absence.
func emptyValue(v any) bool {
	list, ok := v.([]any)
	return v == nil || ok && len(list) == 0 || !ok && reflect.ValueOf(v).IsZero()
}

func keysOf(v any) []string {
	var keys []string
	for pair := schemaOf(v).Properties.Oldest(); pair != nil; pair = pair.Next() {
		keys = append(keys, pair.Key)
	}
	return keys
}

func schemaOf(v any) *jsonschema.Schema {
	r := jsonschema.Reflector{ExpandedStruct: true, Anonymous: true, DoNotReference: true, CommentMap: comments()}
	s := r.Reflect(v)
	s.Version = ""
	return s
}

// JSONSchema is one mapping with the keys of all types: what is wrong for a type is said with the type's name,
// which a schema cannot do.
func (FeedIn) JSONSchema() *jsonschema.Schema {
	s := schemaOf(FeedKeys{})
	for _, own := range []feedType{&FileFeedIn{}, &LogAPIFeedIn{}, &HTTPFeedIn{}, &PrometheusFeedIn{}} {
		for pair := schemaOf(own).Properties.Oldest(); pair != nil; pair = pair.Next() {
			if _, ok := s.Properties.Get(pair.Key); !ok {
				s.Properties.Set(pair.Key, pair.Value)
			}
		}
	}
	return s
}
