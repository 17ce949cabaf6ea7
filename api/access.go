package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/credential"
)

// Rules of who may change who may do what:
//
//  1. Admins, and none of them by a token: one that got out could make itself another.
//  2. A password or token is in one answer, and kept nowhere: such a request takes no Idempotency-Key.

// atHand refuses who asks by a token.
func atHand(ctx context.Context) error {
	if !asking(ctx).ByToken {
		return nil
	}
	p := problem(http.StatusForbidden, "A token changes neither people, tokens nor sessions.")
	p.Hint = "sign in on the pages, or ask on the machine of the daemon"
	return p
}

// denied tells an error of package access.
func denied(err error, what string) error {
	var input *access.InputError
	switch {
	case errors.As(err, &input):
		p := problem(http.StatusUnprocessableEntity, input.Text)
		p.Hint = "docs/access.md has the roles and what they may do"
		return p
	case errors.Is(err, access.ErrTaken):
		return problem(http.StatusConflict, what+": there is one of this name already.")
	case errors.Is(err, access.ErrNotFound):
		return problem(http.StatusNotFound, "There is no "+what+".")
	}
	return err
}

// GrantIn says what somebody may do.
type GrantIn struct {
	Role   string   `json:"role" enum:"viewer,responder,owner,admin" doc:"What he may do."`
	Owners []string `json:"owners,omitempty" maxItems:"200" nullable:"false" doc:"For the role owner: whose credentials."`
}

func (g GrantIn) grant() access.Grant {
	return access.Grant{Role: access.Role(g.Role), Owners: g.Owners}
}

// PersonIn is somebody who is to sign in with a password.
type PersonIn struct {
	Name string `json:"name" minLength:"1" maxLength:"63"`
	GrantIn
}

// TemporaryPassword opens nothing but the page on which another is chosen. It is in this answer alone.
type TemporaryPassword struct {
	Name     string `json:"name"`
	Password string `json:"temporary_password" format:"password" doc:"Shown once."`
	Page     string `json:"page" doc:"Where he signs in."`
	People   bool   `json:"people" doc:"Whether people sign in with passwords at all (access.people)."`
}

type temporaryPassword struct{ Body TemporaryPassword }

func (s *server) listPeople(ctx context.Context, in *Paged) (*listed[access.Person], error) {
	all, err := s.Access.People(ctx)
	if err != nil {
		return nil, err
	}
	return whole(*in, all)
}

func (s *server) addPerson(ctx context.Context, in *struct{ Body PersonIn }) (*temporaryPassword, error) {
	if err := atHand(ctx); err != nil {
		return nil, err
	}
	password, err := s.Access.AddPerson(ctx, asking(ctx).Name, in.Body.Name, in.Body.grant())
	if err != nil {
		return nil, denied(err, "person "+clean(in.Body.Name))
	}
	return s.temporary(in.Body.Name, password.Reveal()), nil
}

func (s *server) temporary(name, password string) *temporaryPassword {
	return &temporaryPassword{TemporaryPassword{name, password, s.pages() + "/login", s.Config().Access.People}}
}

// pages is where people reach the pages.
func (s *server) pages() string {
	if url := s.Config().ExternalURL; url != "" {
		return url
	}
	return "http://" + s.Config().Listen
}

// ByID names a person, token or session.
type ByID struct {
	ID int64 `path:"id" minimum:"1" doc:"Its number."`
}

// onPerson does something about a person, and answers with him.
func (s *server) onPerson(ctx context.Context, id int64, do func() error) (*shownPerson, error) {
	if err := atHand(ctx); err != nil {
		return nil, err
	}
	if err := do(); err != nil {
		return nil, denied(err, fmt.Sprintf("person %d", id))
	}
	all, err := s.Access.People(ctx)
	for _, p := range all {
		if p.ID == id {
			return &shownPerson{p}, nil
		}
	}
	return nil, errors.Join(err, access.ErrNotFound)
}

type shownPerson struct{ Body access.Person }

type roleIn struct {
	ByID
	Body GrantIn
}

func (s *server) changeRole(ctx context.Context, in *roleIn) (*shownPerson, error) {
	return s.onPerson(ctx, in.ID, func() error { return s.Access.ChangeRole(ctx, asking(ctx).Name, in.ID, in.Body.grant()) })
}

func (s *server) disablePerson(ctx context.Context, in *ByID) (*shownPerson, error) {
	return s.onPerson(ctx, in.ID, func() error { return s.Access.Disable(ctx, asking(ctx).Name, in.ID) })
}

func (s *server) enablePerson(ctx context.Context, in *ByID) (*shownPerson, error) {
	return s.onPerson(ctx, in.ID, func() error { return s.Access.Enable(ctx, asking(ctx).Name, in.ID) })
}

func (s *server) resetPerson(ctx context.Context, in *ByID) (*temporaryPassword, error) {
	var out *temporaryPassword
	p, err := s.onPerson(ctx, in.ID, func() error {
		password, err := s.Access.ResetPassword(ctx, asking(ctx).Name, in.ID)
		out = s.temporary("", password.Reveal())
		return err
	})
	if err != nil {
		return nil, err
	}
	out.Body.Name = p.Body.Name
	return out, nil
}

type tokensIn struct {
	Paged
	All bool `query:"all" doc:"Also those that are over."`
}

func (s *server) listTokens(ctx context.Context, in *tokensIn) (*listed[access.Token], error) {
	all, err := s.Access.Tokens(ctx, 0, in.All)
	if err != nil {
		return nil, err
	}
	return whole(in.Paged, all)
}

// TokenIn is a token that is to be made.
type TokenIn struct {
	Name   string   `json:"name" minLength:"1" maxLength:"63"`
	Role   string   `json:"role" enum:"viewer,responder,owner,admin,scanner" doc:"What it may do."`
	Owners []string `json:"owners,omitempty" maxItems:"200" nullable:"false" doc:"For the role owner: whose credentials."`
	For    string   `json:"for,omitempty" maxLength:"20" doc:"How long it is in force: 90d, which is the default; a year at most."`
}

// NewToken is a token that was made. The token itself is in this answer alone.
type NewToken struct {
	access.Token
	Secret string `json:"token" format:"password" doc:"Shown once."`
}

type newTokenOut struct{ Body NewToken }

func (s *server) makeToken(ctx context.Context, in *struct{ Body TokenIn }) (*newTokenOut, error) {
	if err := atHand(ctx); err != nil {
		return nil, err
	}
	lasts := access.UsualToken
	if in.Body.For != "" {
		var err error
		if lasts, err = credential.ParseDuration(in.Body.For); err != nil || lasts <= 0 {
			return nil, wrongly(Wrong{"body.for", "The member for may be a time such as 90d."})
		}
		if lasts > access.LongestToken {
			return nil, wrongly(Wrong{"body.for", "The member for may be a year at most: 366d."})
		}
	}
	token, made, err := s.Access.MakeToken(ctx, access.Visit{Who: asking(ctx)}, access.NewToken{
		Name: in.Body.Name, Grant: GrantIn{in.Body.Role, in.Body.Owners}.grant(), EndsAt: s.Now().Add(lasts),
	})
	if err != nil {
		return nil, denied(err, "token "+clean(in.Body.Name))
	}
	return &newTokenOut{NewToken{made, token.Reveal()}}, nil
}

// Ended says what is over.
type Ended struct {
	ID int64 `json:"id"`
}

type endedOut struct{ Body Ended }

func (s *server) revokeToken(ctx context.Context, in *ByID) (*endedOut, error) {
	err := atHand(ctx)
	if err == nil {
		err = s.Access.Revoke(ctx, asking(ctx).Name, 0, in.ID)
	}
	return &endedOut{Ended(*in)}, denied(err, fmt.Sprintf("token %d", in.ID))
}

func (s *server) listSessions(ctx context.Context, in *Paged) (*listed[access.Session], error) {
	all, err := s.Access.Sessions(ctx, 0)
	if err != nil {
		return nil, err
	}
	return whole(*in, all)
}

func (s *server) endSession(ctx context.Context, in *ByID) (*endedOut, error) {
	err := atHand(ctx)
	if err == nil {
		err = s.Access.EndSession(ctx, asking(ctx).Name, 0, in.ID)
	}
	return &endedOut{Ended(*in)}, denied(err, fmt.Sprintf("session %d", in.ID))
}

// FirstRunToken makes an admin, once. It is in this answer alone.
type FirstRunToken struct {
	Token  string    `json:"token" format:"password" doc:"Shown once."`
	EndsAt time.Time `json:"ends_at"`
	Page   string    `json:"page" doc:"Where it is used."`
	People bool      `json:"people" doc:"Whether people sign in with passwords at all (access.people)."`
}

type firstRunToken struct{ Body FirstRunToken }

func (s *server) makeFirstRunToken(ctx context.Context, _ *struct{}) (*firstRunToken, error) {
	if err := atHand(ctx); err != nil {
		return nil, err
	}
	token, ends, err := s.Access.FirstRunToken(ctx, asking(ctx).Name)
	return &firstRunToken{FirstRunToken{token.Reveal(), ends.UTC(), s.pages() + "/first-run", s.Config().Access.People}}, err
}
