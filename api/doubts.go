package api

import (
	"context"

	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/credential"
)

// Warning is what is allowed in a credential, and rarely meant.
type Warning struct {
	Credential string `json:"credential"`
	More       int    `json:"more,omitempty" doc:"Of how many others the same is said."`
	Field      string `json:"field"`
	Message    string `json:"message"`
	Hint       string `json:"hint"`
}

// doubts are what is rarely meant of credentials that are about to be registered: each once, with the first that it is so of.
func (s *server) doubts(ctx context.Context, creds ...credential.Credential) (all []Warning, err error) {
	clients, err := s.sameClients(ctx, creds)
	if err != nil {
		return nil, err
	}
	type cause struct{ field, message, hint string }
	at := map[cause]int{}
	for _, c := range creds {
		same := clients[config.Client(c)]
		if same == c.Name {
			same = ""
		}
		for _, p := range config.Doubts(c, same, s.Now()) {
			if p.Field == "schedule" && c.Schedule == s.Config().Defaults.Schedule {
				continue // that of everybody
			}
			why := cause{p.Field, p.Message, p.Hint}
			if i, said := at[why]; said {
				all[i].More++
				continue
			}
			at[why] = len(all)
			all = append(all, Warning{Credential: c.Name, Field: p.Field, Message: p.Message, Hint: p.Hint})
		}
		clients[config.Client(c)] = c.Name
	}
	return all, nil
}

// sameClients are the names of the registered credentials that have a client of creds, by config.Client.
func (s *server) sameClients(ctx context.Context, creds []credential.Credential) (map[string]string, error) {
	ids := map[string][]string{} // by provider
	for _, c := range creds {
		ids[c.Provider] = append(ids[c.Provider], c.Subject)
	}
	clients := map[string]string{}
	for provider, clientIDs := range ids {
		have, err := s.Registry.OfClients(ctx, s.Usage.Pool, provider, clientIDs)
		if err != nil {
			return nil, err
		}
		for _, c := range have {
			if c.Retired.IsZero() {
				clients[config.Client(c)] = c.Name
			}
		}
	}
	return clients, nil
}

// DryRun has a change only looked at.
type DryRun struct {
	DryRun bool `query:"dry_run" doc:"Change nothing: say what is wrong with it, and rarely meant. client_secret may be absent."`
}

// ChangedCredential is a credential after a change, with what of it is rarely meant.
type ChangedCredential struct {
	CredentialJSON
	Warnings []Warning `json:"warnings,omitempty"`
}

type changedCredential struct {
	Location string `header:"Location" doc:"Where it is."`
	ETag     string `header:"ETag"`
	Body     ChangedCredential
}

// changed is the answer of a credential as it is now.
func (s *server) changed(ctx context.Context, name string, warnings []Warning) (*changedCredential, error) {
	shown, err := s.showCredential(ctx, &Named{name})
	if err != nil {
		return nil, err
	}
	return &changedCredential{prefix + "/v1/credentials/" + name, shown.ETag, ChangedCredential{shown.Body, warnings}}, nil
}
