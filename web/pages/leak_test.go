package pages_test

import (
	"strings"
	"testing"

	"github.com/keyrounds/keyrounds/leak/scan"
	"github.com/keyrounds/keyrounds/test/lasting"
)

// A secret got out: somebody sees it first of all, rotates it, revokes the old one at the provider, and reads the proof that it is dead.
func TestStoryOfALeakedSecret(t *testing.T) {
	t.Parallel()
	lasting.Test(t, "it runs a browser")
	h := newHouse(t, names[:3]...)
	client := h.admin()
	h.add("delta")
	h.checked(4)
	hit := scan.Hit{Term: scan.Term{Credential: "delta", Kind: scan.Secret}, Source: "wiki", Path: "deploy.env", Line: 7}
	found := scan.Found{Hits: []scan.Hit{hit}}
	if _, err := h.app.Exposure.TakeHits(t.Context(), "user ann", found, "scan"); err != nil {
		t.Fatal(err)
	}
	b := newBrowser(t, h.base, client)
	b.sized(1280, 900, "light")
	b.open("/")
	b.awaitText("delta (hris) has a secret that got out")
	b.click("delta (hris) has a secret that got out")
	b.awaitText("What to do")
	b.awaitText("deploy.env")
	b.open("/credentials/delta")
	b.click("Rotate…")
	h.provider.Renew("id-delta", "c4n4ry-delta-new")
	b.fill("secret", "c4n4ry-delta-new")
	b.click("Rotate it")
	b.awaitText("delta is rotated, and works.")
	h.provider.RevokeSecret("id-delta", "c4n4ry-delta")
	h.await("the old one is proven dead", func() bool {
		_, body := h.ask(client, "/leaks/proofs")
		return strings.Contains(body, "delta") && strings.Contains(body, "refused 2 times")
	})
	b.open("/leaks/proofs")
	b.awaitText("delta")
	b.accessible("a proof")
	b.shoot("story-proof")
	b.open("/credentials/delta")
	b.awaitText("Proven dead")
	b.open("/findings?state=resolved")
	b.awaitText("delta (hris)")
	b.fine("the story")
	if html := b.eval(`document.documentElement.outerHTML`); strings.Contains(html, "c4n4ry") {
		t.Error("a secret is on the page")
	}
}
