package config

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unique"
)

// entries are the credentials of a file as they are written, taken one by one while it is read.
type entries struct {
	all      []CredentialIn
	problems []problem

	lists map[string][]string
	pairs map[string]map[string]string
}

// take holds one against the schema, and keeps what fits of it.
func (e *entries) take(t *tree, i int, v any) {
	s, err := compiled()
	if err != nil {
		return // validate says so
	}
	e.problems = append(e.problems, t.hold(s.credential, v, []string{listKey, strconv.Itoa(i)})...)
	var in CredentialIn
	if m, ok := v.(map[string]any); ok {
		text, err := json.Marshal(m)
		if err == nil {
			err = json.Unmarshal(text, &in)
		}
		if err != nil {
			e.problems = append(e.problems, problem{message: "the file cannot be read: " + err.Error()})
		}
	}
	e.share(&in)
	if e.all == nil {
		e.all = make([]CredentialIn, 0, len(t.list.items))
	}
	e.all = append(e.all, in)
}

// share has credentials that say the same hold it once: of many, most do.
func (e *entries) share(in *CredentialIn) {
	if e.lists == nil {
		e.lists, e.pairs = map[string][]string{}, map[string]map[string]string{}
	}
	for _, s := range []*string{&in.Provider, &in.Description, &in.Owner, &in.Schedule, &in.UnusedAfter, &in.MaxAge} {
		*s = unique.Make(*s).Value()
	}
	for _, l := range []*[]string{&in.Scopes, &in.ExpectedNetworks} {
		if len(*l) == 0 {
			continue
		}
		key := strings.Join(*l, "\x00")
		if known, ok := e.lists[key]; ok {
			*l = known
		} else {
			e.lists[key] = *l
		}
	}
	if len(in.Labels) > 0 {
		key := fmt.Sprintf("%q", in.Labels)
		if known, ok := e.pairs[key]; ok {
			in.Labels = known
		} else {
			e.pairs[key] = in.Labels
		}
	}
}
