package api

import (
	"context"
	"time"

	"github.com/keyrounds/keyrounds/exposure"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/leak"
)

type leaksIn ofCredential

type ofCredential struct {
	Paged
	Credential string `query:"credential" maxLength:"63" doc:"Only of this credential."`
}

// EvidenceJSON is a piece of evidence that a secret got out, or speaks for it.
type EvidenceJSON struct {
	Credential string            `json:"credential"`
	Kind       leak.EvidenceKind `json:"sort"`
	finding.Sighting
}

func (s *server) listLeaks(ctx context.Context, in *leaksIn) (*listed[EvidenceJSON], error) {
	q, err := s.pieces(ctx, ofCredential(*in))
	if err != nil {
		return nil, err
	}
	total, all, err := s.Leaks.Page(ctx, q)
	if err != nil {
		return nil, err
	}
	ids := make([]int64, len(all))
	for i, p := range all {
		ids[i] = p.CredentialID
	}
	names, err := s.Registry.These(ctx, ids)
	return &listed[EvidenceJSON]{*pageOf(all, in.Limit, total, func(p leak.Piece) EvidenceJSON {
		return EvidenceJSON{names[p.CredentialID].Name, p.Kind, p.Sighting}
	}, func(p leak.Piece) any { return p.ID })}, err
}

func (s *server) pieces(ctx context.Context, in ofCredential) (q leak.Pieces, err error) {
	q.Limit = in.Limit + 1
	if err = in.after(&q.After); err == nil {
		q.Among, err = s.only(ctx, in.Credential)
	}
	return q, err
}

// SecretJSON is a secret that got out or was replaced, as keyrounds knows it; never the secret itself.
type SecretJSON struct {
	ID         int64          `json:"id"`
	Credential string         `json:"credential"`
	ClientID   string         `json:"client_id"`
	Present    bool           `json:"present"`
	Kept       bool           `json:"kept"` // a replaced one that keyrounds has, sealed
	First      time.Time      `json:"first_at"`
	Replaced   *time.Time     `json:"replaced_at"`
	Leaked     bool           `json:"leaked"`
	Never      bool           `json:"never_worked"` // it was replaced, and never seen to work
	Works      *bool          `json:"works"`
	WorksAt    *time.Time     `json:"works_at"`
	NextTry    *time.Time     `json:"next_try_at"`
	Dead       *time.Time     `json:"dead_at"`
	Proof      *finding.Death `json:"proof"`
}

// NewSecretJSON makes the JSON of a secret of the credential of that name.
func NewSecretJSON(name string, r leak.SecretRow, proof *finding.Death) SecretJSON {
	return SecretJSON{
		r.ID, name,
		r.ClientID, r.Replaced.IsZero(), r.Kept, r.First, orNull(r.Replaced), r.Leaked, r.NeverWorked, r.Works, orNull(r.WorksAt),
		orNull(r.NextTry),
		orNull(r.Dead), proof,
	}
}

func orNull[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

type proofsIn struct {
	Paged
	Credential string `query:"credential" maxLength:"63" doc:"Only of this credential."`
	Dead       bool   `query:"dead" doc:"Only those that are proven dead."`
}

// listProofs lists the secrets that got out or were replaced, with the proofs that they work no more.
func (s *server) listProofs(ctx context.Context, in *proofsIn) (*listed[SecretJSON], error) {
	q, err := s.pieces(ctx, ofCredential{in.Paged, in.Credential})
	if err != nil {
		return nil, err
	}
	total, all, err := s.Leaks.InQuestion(ctx, q, in.Dead)
	if err != nil {
		return nil, err
	}
	ids := make([]int64, len(all))
	for i, r := range all {
		ids[i] = r.CredentialID
	}
	names, err := s.Registry.These(ctx, ids)
	return &listed[SecretJSON]{*pageOf(all, in.Limit, total, func(q leak.Questioned) SecretJSON {
		return NewSecretJSON(names[q.CredentialID].Name, q.SecretRow, q.Proof)
	}, func(q leak.Questioned) any { return q.ID })}, err
}

// listSources lists what is searched for leaked secrets. They are no credential's, so who sees his own only sees none.
func (s *server) listSources(ctx context.Context, in *Paged) (*listed[exposure.Source], error) {
	if owners(ctx) != nil {
		return whole(*in, []exposure.Source{})
	}
	all, err := s.Sources(ctx)
	if err != nil {
		return nil, err
	}
	return whole(*in, all)
}
