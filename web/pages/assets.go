package pages

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"mime"
	"net/http"
	"path"
	"strings"
)

//go:embed static
var staticFiles embed.FS

// assets are what pages load, by the name that its content gives it (base.3f2a9c81d4e0.css), and those names by the plain ones.
// The icons' names are in no style sheet, so that no file names another.
var assets, assetNames = readAssets()

type asset struct {
	content []byte
	kind    string // its media type
}

func readAssets() (all map[string]asset, names map[string]string) {
	all, names = map[string]asset{}, map[string]string{}
	entries, err := staticFiles.ReadDir("static")
	if err != nil {
		panic(err) // it is embedded
	}
	for _, e := range entries {
		b, err := staticFiles.ReadFile("static/" + e.Name())
		if err != nil {
			panic(err)
		}
		sum, ext := sha256.Sum256(b), path.Ext(e.Name())
		hashed := strings.TrimSuffix(e.Name(), ext) + "." + hex.EncodeToString(sum[:6]) + ext
		all[hashed], names[e.Name()] = asset{b, mime.TypeByExtension(ext)}, hashed
	}
	return all, names
}

// assetURL is where a file of static is. Its content never changes there.
func assetURL(name string) string {
	hashed, ok := assetNames[name]
	if !ok {
		panic("pages: there is no static file " + name) // every page is tested
	}
	return "/static/" + hashed
}

// icon is a symbol of icons.svg, beside a word that says the same.
func icon(name string) template.HTML {
	return template.HTML(`<svg class="i" aria-hidden="true"><use href="` + assetURL("icons.svg") + `#` + template.HTMLEscapeString(name) +
		`"/></svg>`)
}

// static answers GET /static/{file}. Whoever has a file never asks for it again.
func (p *Pages) static(w http.ResponseWriter, r *http.Request) {
	a, ok := assets[r.PathValue("file")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", a.kind)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	_, _ = w.Write(a.content)
}
