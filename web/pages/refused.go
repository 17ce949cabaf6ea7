package pages

import (
	"errors"
	"net/http"

	"github.com/keyrounds/keyrounds/secret"
)

// refusedPage says why something was not done, and leads back.
type refusedPage struct {
	Frame
	Why, Back string
}

// refused answers somebody whose form was not taken: with why, where the error says so in words for him, and else as fail does.
func (p *Pages) refused(w http.ResponseWriter, r *http.Request, back string, err error) {
	var public interface{ Public() string }
	if !errors.As(err, &public) {
		p.fail(w, r, err)
		return
	}
	p.notDone(w, r, back, public.Public())
}

// notDone answers somebody whose form was not taken, with why.
func (p *Pages) notDone(w http.ResponseWriter, r *http.Request, back, why string) {
	page := refusedPage{Frame: p.Frame(w, r, "Nothing was done", ""), Back: LocalPath(back), Why: secret.Scrubber{}.Clean(why, 1000)}
	p.Show(w, r, http.StatusUnprocessableEntity, "refused", page)
}
