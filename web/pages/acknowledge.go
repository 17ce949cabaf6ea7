package pages

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/finding"
)

// acknowledge is POST /findings/{id}/acknowledge: whoever asks looks after it.
func (p *Pages) acknowledge(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		p.noFinding(w, r)
		return
	}
	if !p.parse(w, r) {
		return
	}
	if err := p.maySee(r, id); err != nil {
		p.noFinding(w, r)
		return
	}
	f, err := p.Actions.Acknowledge(r.Context(), visit(r).Name, id)
	switch {
	case errors.Is(err, finding.ErrNotFound):
		p.noFinding(w, r)
	case errors.Is(err, audit.ErrResolved):
		p.done(w, r, r.PostFormValue("back"), "It is over already, so nobody has to look after it.")
	case err != nil:
		p.fail(w, r, err)
	default:
		p.doneBut(w, r, r.PostFormValue("back"), Done{
			Text: "You look after it: " + f.Headline() + ".", Undo: fmt.Sprintf("/findings/%d/unacknowledge", id),
		})
	}
}

// unacknowledge is POST /findings/{id}/unacknowledge.
func (p *Pages) unacknowledge(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		p.noFinding(w, r)
		return
	}
	if !p.parse(w, r) {
		return
	}
	if p.maySee(r, id) != nil {
		p.noFinding(w, r)
		return
	}
	f, err := p.Actions.Unacknowledge(r.Context(), visit(r).Name, id)
	if err != nil {
		p.done(w, r, r.PostFormValue("back"), "It could not be taken back.")
		return
	}
	p.done(w, r, r.PostFormValue("back"), "Nobody looks after it now: "+f.Headline()+".")
}

// maySee says whether whoever asks may see a finding; an owner sees those of his credentials.
func (p *Pages) maySee(r *http.Request, id int64) error {
	f, err := p.Audit.Finding(r.Context(), id)
	if err != nil {
		return err
	}
	if visit(r).Role != access.Owner {
		return nil
	}
	if f.Subject.Credential == "" {
		return finding.ErrNotFound
	}
	c, err := p.Registry.ByID(r.Context(), f.Subject.CredentialID)
	if err == nil && !visit(r).Sees(c.Owner) {
		err = finding.ErrNotFound
	}
	return err
}

func (p *Pages) noFinding(w http.ResponseWriter, r *http.Request) {
	p.Problem(w, r, http.StatusNotFound, "There is no such finding here, or not for you.", "")
}
