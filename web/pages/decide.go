package pages

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/keyrounds/keyrounds/action"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/decision"
	"github.com/keyrounds/keyrounds/registry"
)

// decisionWords are the choices as people are asked.
var decisionWords = []choice{
	{string(decision.Keep), "Keep"},
	{string(decision.Revoke), "Revoke"},
	{string(decision.Rotate), "Rotate"},
	{string(decision.DropScopes), "Drop scopes"},
}

func decisionWord(c decision.Choice) string {
	for _, w := range decisionWords {
		if w.Value == string(c) {
			return w.Word
		}
	}
	return string(c)
}

// decided is what is decided of a credential, in words.
type decided struct {
	Word  string
	Below string // until when, why, by whom
	Over  bool
}

func decidedOf(f Frame, d decision.Decision) decided {
	day := d.Until.UTC().Format("2 Jan 2006")
	text := fmt.Sprintf("until %s: “%s”, by %s, %s", day, d.Why, short(d.By), f.Day(d.At).Text)
	if d.Over {
		text = fmt.Sprintf("was over on %s: “%s”, by %s", day, d.Why, short(d.By))
	}
	return decided{decisionWord(d.Choice), text, d.Over}
}

// decide is POST /decide: a form sends choice/NAME for each credential that somebody decides of, with why and until for all of them.
func (p *Pages) decide(w http.ResponseWriter, r *http.Request) {
	if !p.parse(w, r) {
		return
	}
	back := r.PostFormValue("back")
	chosen := map[string]decision.Choice{}
	for field, values := range r.PostForm {
		if name, ok := strings.CutPrefix(field, "choice/"); ok && values[0] != "" {
			chosen[name] = decision.Choice(values[0])
		}
	}
	c := action.Choice{Why: strings.TrimSpace(r.PostFormValue("why"))}
	if day := r.PostFormValue("until"); day != "" {
		until, err := time.Parse(time.DateOnly, day)
		if err != nil {
			p.notDone(w, r, back, "The day until which it holds is none such as 2027-03-01.")
			return
		}
		c.Until = until
	}
	switch {
	case len(chosen) == 0:
		p.notDone(w, r, back, "Choose what becomes of one credential at least.")
		return
	case len(chosen) > onePage:
		p.notDone(w, r, back, "That are more credentials than a page has.")
		return
	case c.Why == "":
		p.notDone(w, r, back, "Say why: whoever reviews it wants to know.")
		return
	}
	who := visit(r)
	c.If = func(cr credential.Credential) error {
		if !who.Sees(cr.Owner) {
			return fmt.Errorf("%w: %q", registry.ErrNotFound, cr.Name)
		}
		return nil
	}
	err := p.Actions.DecideAll(r.Context(), who.Name, chosen, c)
	switch {
	case errors.Is(err, registry.ErrNotFound):
		p.notDone(w, r, back, "One of the credentials is not there, or not for you.")
	case err != nil:
		p.refused(w, r, back, err)
	default:
		p.done(w, r, back, decidedWords(slices.Collect(maps.Keys(chosen))))
	}
}

func decidedWords(done []string) string {
	if len(done) == 1 {
		return "Your decision about " + done[0] + " is noted."
	}
	return "Your decisions about " + count(len(done), "credential") + " are noted."
}
