package api

import (
	"context"
	"slices"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/exposure"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/leak"
)

type leaksStatusIn struct {
	Credential string `query:"credential" maxLength:"63" doc:"Only of this credential."`
	All        bool   `query:"all" doc:"Also present secrets that nobody saw."`
}

// LeaksJSON says where secrets got out or were replaced, what is searched for them, and who reports them. What is no credential's
// is for those who see all.
type LeaksJSON struct {
	Secrets   []SecretJSON           `json:"secrets" nullable:"false"`
	Unread    []string               `json:"unread" nullable:"false" doc:"Whose secret got out before the daemon read it."`
	Sources   []exposure.Source      `json:"sources" nullable:"false"`
	Reporters []leak.Delivery        `json:"reporters" nullable:"false"`
	Waiting   []leak.WaitingDelivery `json:"waiting" nullable:"false"`
}

type shownLeaks struct{ Body LeaksJSON }

func (s *server) showLeaks(ctx context.Context, in *leaksStatusIn) (*shownLeaks, error) {
	among, err := s.only(ctx, in.Credential)
	if err != nil {
		return nil, err
	}
	j := LeaksJSON{Sources: []exposure.Source{}, Reporters: []leak.Delivery{}, Waiting: []leak.WaitingDelivery{}}
	if j.Secrets, err = s.secretsOf(ctx, among, in.All); err != nil {
		return nil, err
	}
	if j.Unread, err = s.unread(ctx, among); err != nil || owners(ctx) != nil {
		return &shownLeaks{j}, err
	}
	if j.Sources, err = s.Sources(ctx); err != nil {
		return nil, err
	}
	if j.Reporters, err = s.Leaks.Deliveries(ctx); err != nil {
		return nil, err
	}
	j.Waiting, err = s.Leaks.WaitingDeliveries(ctx)
	j.Sources, j.Reporters, j.Waiting = orEmpty(j.Sources), orEmpty(j.Reporters), orEmpty(j.Waiting)
	return &shownLeaks{j}, err
}

// secretsOf are those that got out or were replaced of these credentials, nil: of all; and their present ones too if all.
func (s *server) secretsOf(ctx context.Context, among []int64, all bool) ([]SecretJSON, error) {
	one := int64(0)
	if len(among) == 1 {
		one = among[0]
	}
	rows, err := s.Leaks.Secrets(ctx, one)
	if err != nil {
		return nil, err
	}
	rows = slices.DeleteFunc(rows, func(r leak.SecretRow) bool { return among != nil && !slices.Contains(among, r.CredentialID) })
	deaths, err := s.Leaks.Deaths(ctx, one)
	if err != nil {
		return nil, err
	}
	var ids []int64
	for _, r := range rows {
		ids = append(ids, r.CredentialID)
	}
	creds, err := s.Registry.EvenRetired(ctx, ids)
	values := []SecretJSON{}
	for _, r := range rows {
		if !all && !r.Leaked && r.Replaced.IsZero() && r.Dead.IsZero() {
			continue
		}
		var proof *finding.Death
		if d, is := deaths[r.ID]; is {
			proof = &d
		}
		values = append(values, NewSecretJSON(creds[r.CredentialID].Name, r, proof))
	}
	return values, err
}

// unread are the credentials whose secret a scan found before the daemon read it.
func (s *server) unread(ctx context.Context, among []int64) ([]string, error) {
	known, err := s.Leaks.Known(ctx)
	if err != nil {
		return nil, err
	}
	open, err := s.Audit.Findings(ctx, audit.Filter{Kind: finding.Leaked, Among: among})
	names := []string{}
	for _, f := range open {
		if !known[f.Subject.CredentialID] {
			names = append(names, f.Subject.Credential)
		}
	}
	return names, err
}
