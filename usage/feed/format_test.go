package feed

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Each preset makes of its own examples what they say, and names where each of them is documented.
func TestPresets(t *testing.T) {
	t.Parallel()
	for _, p := range Presets() {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			f, err := NewFormat(p.Name, "")
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(p.Docs, "/") || p.Title == "" || len(p.Examples) < 2 {
				t.Errorf(
					"title %q, docs %q and %d examples: a preset has all of them, and at least two examples",
					p.Title,
					p.Docs,
					len(p.Examples),
				)
			}
			if p.Poll != nil {
				if _, err := NewPoll(*p.Poll, "https://tenant.example", 0); err != nil {
					t.Errorf("poll: %v", err)
				}
				if p.Poll.Source == "" {
					t.Error("the poll has no source")
				}
			}
			for _, x := range p.Examples {
				if !strings.Contains(x.Source, "/") {
					t.Errorf("no source of %s", x.Record)
				}
				got := f.readAll(t, x.Record)
				if got.BadSeen > 0 {
					t.Errorf("%s is bad: %s", x.Record, got.Bad[0].Reason)
				}
				var have []map[string]any
				for _, e := range got.Events {
					have = append(have, e.members())
				}
				if len(have) == 0 && len(x.Events) == 0 {
					continue
				}
				if diff := cmp.Diff(normal(x.Events), normal(have)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", x.Record, diff)
				}
			}
		})
	}
}

func (f Format) readAll(t *testing.T, text string) (r Reading) {
	t.Helper()
	if f.Input == Document {
		if err := documents(strings.NewReader(text), func(v any) { f.value(context.Background(), v, nil, &r) }); err != nil {
			t.Error(err)
		}
		return r
	}
	return f.lines(t.Context(), newDecoder(), []byte(text), nil)
}

// members are those of an event that are given, as an example writes them.
func (e Event) members() map[string]any {
	m := map[string]any{"kind": string(e.Kind), "at": e.At.Format("2006-01-02T15:04:05.999999999Z07:00"), "ok": e.OK}
	if e.Count > 0 {
		m["count"] = uint64(e.Count)
	}
	for name, v := range map[string]string{
		"event_id": e.ID, "client_id": e.ClientID, "key_id": e.KeyID,
		"user_agent": e.UserAgent, "token_id": e.TokenID, "actor": e.Actor,
	} {
		if v != "" {
			m[name] = v
		}
	}
	if e.Denied {
		m["allowed"] = false
	}
	if e.Address.IsValid() {
		m["source_ip"] = e.Address.String()
	}
	if e.Scopes != nil {
		m["scopes"] = e.Scopes
	}
	return m
}

func normal(ms []map[string]any) []string {
	var all []string
	for _, m := range ms {
		all = append(all, fmt.Sprint(m))
	}
	return all
}
