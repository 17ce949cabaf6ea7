package sim

import (
	"cmp"
	"html/template"
	"net/http"
	"slices"
)

// The admin page: revoke, restore, cut a scope, break the provider. It stands for the provider's
// console, and is on loopback without sign-in.
var adminPage = template.Must(template.New("admin").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Simulated SmartRecruiters</title>
<style>body{font:15px/1.5 system-ui,sans-serif;max-width:64rem;margin:1rem auto;padding:0 1rem}` +
	`td,th{text-align:left;padding:.2rem .8rem .2rem 0}form{display:inline}</style></head>
<body><h1>Simulated SmartRecruiters</h1>
<p>This stands for a provider's Credential Manager. What you do here keyrounds finds out by itself.</p>
<p>The provider: <b>{{if .Fault}}{{.Fault}}{{else}}in order{{end}}</b>
{{range .Faults}}<form method="post"><input type="hidden" name="do" value="break">` +
	`<input type="hidden" name="fault" value="{{.}}"><button>{{if .}}{{.}}{{else}}mend{{end}}</button></form> {{end}}</p>
<table><tr><th>Name</th><th>Client id</th><th>State</th><th>Scopes</th><th></th></tr>
{{range .Clients}}<tr><td>{{.Name}}</td><td><code>{{.ID}}</code></td><td>{{if .Revoked}}<b>revoked</b>{{else}}active{{end}}</td>
<td>{{$c := .}}{{range .Scopes}}{{.}} <form method="post"><input type="hidden" name="do" value="cut">` +
	`<input type="hidden" name="id" value="{{$c.ID}}"><input type="hidden" name="scope" value="{{.}}">` +
	`<button>cut</button></form> {{end}}{{if .Cut}}(cut: {{range .Cut}}{{.}} {{end}}){{end}}</td>
<td><form method="post"><input type="hidden" name="id" value="{{.ID}}"><button name="do" value="revoke">Revoke</button> ` +
	`<button name="do" value="restore">Restore</button></form></td></tr>{{end}}
</table></body></html>`))

func (p *Provider) adminPage(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	v := struct {
		Fault   Fault
		Faults  []Fault
		Clients []Client
	}{p.fault, []Fault{NoFault, Refuse, Down, RateLimit, Firewall, EmptyObject}, nil}
	for _, c := range p.clients {
		v.Clients = append(v.Clients, *c)
	}
	p.mu.Unlock()
	slices.SortFunc(v.Clients, func(a, b Client) int { return cmp.Compare(a.Name, b.Name) })
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = adminPage.Execute(w, v)
}

func (p *Provider) adminAct(w http.ResponseWriter, r *http.Request) {
	// Another site's form must not press these buttons.
	if err := http.NewCrossOriginProtection().Check(r); err != nil {
		http.Error(w, "cross-origin", http.StatusForbidden)
		return
	}
	id := r.FormValue("id")
	switch r.FormValue("do") {
	case "revoke":
		p.Revoke(id)
	case "restore":
		p.Restore(id)
	case "cut":
		p.Cut(id, r.FormValue("scope"))
	case "break":
		p.Break(Fault(r.FormValue("fault")))
	}
	http.Redirect(w, r, "/admin", http.StatusSeeOther)
}
