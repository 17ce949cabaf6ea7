package pages_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/keyrounds/keyrounds/test/lasting"
)

// lists are the pages that show many things, or that there are none.
var lists = []string{
	"/", "/credentials", "/credentials?sort=name", "/credentials?status=revoked", "/findings", "/findings?state=resolved", "/usage",
	"/usage/attempts", "/usage/unregistered", "/providers", "/feeds", "/leaks", "/reports", "/record", "/mine?owner=team-7",
}

// Lists hold with nothing in them and with 500 credentials, in make long with 10,000: axe-core finds nothing, nothing scrolls sideways,
// and no table has more than 50 rows.
func TestListsInABrowser(t *testing.T) {
	t.Parallel()
	lasting.Test(t, "it runs a browser")
	fleets := []int{0, 500}
	if long() {
		fleets = append(fleets, 10_000)
	}
	for _, n := range fleets {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			client := h.admin()
			if n > 0 {
				manyCredentials(t, h.app.Pool, n)
			}
			for _, look := range looks() {
				b := newBrowser(t, h.base, client)
				b.sized(look.width, look.height, look.theme)
				for _, path := range lists {
					where := fmt.Sprintf("%s of %d, %d px, %s", path, n, look.width, look.theme)
					b.open(path)
					b.accessible(where)
					b.noSideways(where)
					most := `String(Math.max(0, ...[...document.querySelectorAll("tbody")].map(t => t.rows.length)) <= 50)`
					if b.eval(most) != "true" {
						b.Errorf("%s: a table has more than 50 rows", where)
					}
					b.fine(where)
				}
			}
		})
	}
}

type look struct {
	name          string
	width, height int64
	theme         string
}

// looks are how pages are looked at: once on a phone, once on a laptop, and in make long on a large screen too.
func looks() []look {
	all := []look{{"narrow", 360, 780, "light"}, {"wide", 1280, 900, "dark"}}
	if long() {
		all = append(all, look{"huge", 2560, 1440, "light"})
	}
	return all
}

func long() bool { return os.Getenv("KEYROUNDS_LONG") != "" }
