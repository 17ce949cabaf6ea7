package pages

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/keyrounds/keyrounds/access"
)

//go:embed templates
var templateFiles embed.FS

// shared are the templates that every page has; each other file of templates is a page.
var shared = []string{"templates/page.html", "templates/parts.html", "templates/lists.html"}

var functions = template.FuncMap{
	"asset": assetURL, "icon": icon, "status": statusMark, "severity": severityMark, "usage": usageMark,
	"count": count, "number": number, "join": strings.Join, "roles": access.Roles, "tokenRoles": access.TokenRoles,
	"initials": initials, "place": newPlace,
	"millis": millis, "hollow": newHollow,
}

// place is a line of the navigation.
type place struct {
	URL, Icon, Word string
	Here            bool
}

// newPlace takes the page that it stands on, which embeds a Frame.
func newPlace(on interface{ place() string }, name, url, icon, word string) place {
	return place{url, "n-" + icon, word, on.place() == name}
}

func (f Frame) place() string { return f.Current }

// parsed parses every page once, each with the shared templates.
func parsed() map[string]*template.Template {
	base := template.Must(template.New("").Funcs(functions).ParseFS(templateFiles, shared...))
	all := map[string]*template.Template{}
	entries, err := templateFiles.ReadDir("templates")
	if err != nil {
		panic(err) // it is embedded
	}
	for _, e := range entries {
		name := "templates/" + e.Name()
		if slices.Contains(shared, name) {
			continue
		}
		all[strings.TrimSuffix(e.Name(), path.Ext(e.Name()))] = template.Must(template.Must(base.Clone()).ParseFS(templateFiles, name))
	}
	return all
}

// Show answers with a page: the one of that name in templates, made of data, which embeds a Frame. It is sent whole or not at all.
func (p *Pages) Show(w http.ResponseWriter, _ *http.Request, status int, name string, data any) {
	var b bytes.Buffer
	if err := p.templates[name].ExecuteTemplate(&b, "page", data); err != nil {
		p.Log.Error("a page could not be made", "page", name, "error", err)
		http.Error(w, "this page could not be made", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}
