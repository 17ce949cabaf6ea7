package api

import (
	"context"
	"slices"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/verdict"
)

type credentialsIn struct {
	Paged
	Provider string  `query:"provider" maxLength:"63" doc:"Only those of this provider."`
	Status   aStatus `query:"status" doc:"Only those with this status."`
	Owner    string  `query:"owner" maxLength:"500" doc:"Only those of this owner."`
	Search   string  `query:"q" maxLength:"63" doc:"Only those with this in their name, in any case."`
	Retired  bool    `query:"retired" doc:"Also those that are retired."`
	Sort     string  `query:"sort" enum:"name,status" default:"name" doc:"By name, or the worst first."`
}

// listCredentials lists what is registered, with what is held of it.
func (s *server) listCredentials(ctx context.Context, in *credentialsIn) (*listed[CredentialJSON], error) {
	q := audit.Query{
		Provider: in.Provider, Status: verdict.Status(in.Status), Search: in.Search, Limit: in.Limit, Retired: in.Retired,
		ByName: in.Sort == "name",
	}
	var place string
	err := in.after(&place)
	if err == nil {
		if q.After, err = audit.ParseCursor(place); err != nil {
			err = wrongCursor(in.Cursor)
		}
	}
	if err == nil {
		err = s.known(ctx, "", in.Provider, in.Owner)
	}
	if err == nil {
		q.Among, err = s.of(ctx, in.Owner)
	}
	if err != nil {
		return nil, err
	}
	total, err := s.Audit.Chosen(ctx, q)
	if err != nil {
		return nil, err
	}
	page, next, err := s.Audit.Page(ctx, q)
	if err != nil {
		return nil, err
	}
	ids := make([]int64, len(page))
	for i, st := range page {
		ids[i] = st.CredentialID
	}
	registered, err := s.Registry.EvenRetired(ctx, ids)
	out := &listed[CredentialJSON]{Page[CredentialJSON]{Items: []CredentialJSON{}, Total: total}}
	for _, st := range page {
		out.Body.Items = append(out.Body.Items, NewCredentialJSON(registered[st.CredentialID], st))
	}
	if next != (audit.Cursor{}) {
		out.Body.Next = cursor(next.String())
	}
	return out, err
}

// of are the ids of the credentials of an owner ("": any) that whoever asks may see; nil: all of them.
func (s *server) of(ctx context.Context, owner string) ([]int64, error) {
	who := owners(ctx)
	switch {
	case owner == "":
		return s.among(ctx)
	case who != nil && !slices.Contains(who, owner):
		return []int64{}, nil
	}
	return s.Registry.OfOwners(ctx, []string{owner})
}

// Named names a credential.
type Named struct {
	Name string `path:"name" maxLength:"63" doc:"The credential's name." example:"ats-sync"`
}

type shownCredential struct {
	ETag string `header:"ETag" doc:"Changes when what people say of the credential, or its secret, does."`
	Body CredentialJSON
}

// showCredential shows one, retired or not.
func (s *server) showCredential(ctx context.Context, in *Named) (*shownCredential, error) {
	c, err := s.credential(ctx, in.Name)
	if err != nil {
		return nil, err
	}
	standing, _, err := s.Audit.StandingOf(ctx, c.ID)
	return &shownCredential{tagOf(c), NewCredentialJSON(c, standing)}, err
}
