package api

import (
	"context"
	"maps"
	"slices"

	"github.com/keyrounds/keyrounds/credential"
)

// ProviderJSON is a provider of the configuration, with how its credentials do.
type ProviderJSON struct {
	Name        string         `json:"name"`
	Configured  bool           `json:"configured"   doc:"False: it has left the configuration, and credentials are still of it."`
	Preset      string         `json:"preset"`
	Issuer      string         `json:"issuer"`
	TokenURL    string         `json:"token_url"`
	AuthMethod  string         `json:"auth_method"  doc:"Of kind client_credentials."`
	Kind        string         `json:"kind"         doc:"client_credentials or api_key."`
	Concurrency int            `json:"concurrency"`
	Rate        float64        `json:"rate"         doc:"Checks a second, at most."`
	Budget      int            `json:"budget"       doc:"Token requests a month, at most; 0: no limit."`
	MinInterval string         `json:"min_interval"`
	Passive     bool           `json:"passive"      doc:"It is never asked: its feeds alone tell."`
	ConsoleURL  string         `json:"console_url"`
	Credentials int            `json:"credentials"  doc:"That are registered and not retired."`
	Statuses    map[string]int `json:"statuses"     doc:"How many of them have which status."`
}

func (s *server) listProviders(ctx context.Context, in *Paged) (*listed[ProviderJSON], error) {
	all, err := s.providers(ctx)
	if err != nil {
		return nil, err
	}
	return whole(*in, all)
}

type namedProvider struct {
	Name string `path:"name" maxLength:"63" doc:"The provider's name." example:"smartrecruiters"`
}

type shownProvider struct{ Body ProviderJSON }

func (s *server) showProvider(ctx context.Context, in *namedProvider) (*shownProvider, error) {
	all, err := s.providers(ctx)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(p ProviderJSON) bool { return p.Name == in.Name })
	if i < 0 {
		return nil, problem(404, "There is no such provider here, or not for you.")
	}
	return &shownProvider{all[i]}, nil
}

// providers are those of the configuration and those that credentials are of, by name; to who sees the credentials of some
// owners only, those that these are of.
func (s *server) providers(ctx context.Context) (all []ProviderJSON, err error) {
	ids, err := s.among(ctx)
	if err != nil {
		return nil, err
	}
	counts, err := s.Audit.CountsAmong(ctx, ids)
	if err != nil {
		return nil, err
	}
	names, configured := map[string]bool{}, s.Config().Providers
	for name := range counts {
		names[name] = true
	}
	if ids == nil {
		for name := range configured {
			names[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		p, is := configured[name]
		j := ProviderJSON{
			Name: name, Configured: is, Preset: p.Preset, Issuer: p.Issuer, TokenURL: p.TokenURL,
			AuthMethod: string(p.AuthMethod), Kind: string(p.Kind),
			Concurrency: p.Concurrency, Rate: float64(p.Rate), Budget: p.Budget, MinInterval: credential.FormatDuration(p.MinInterval),
			Passive: p.Passive, ConsoleURL: p.ConsoleURL, Statuses: counts[name],
		}
		if j.Statuses == nil {
			j.Statuses = map[string]int{}
		}
		for _, n := range j.Statuses {
			j.Credentials += n
		}
		all = append(all, j)
	}
	return all, nil
}
