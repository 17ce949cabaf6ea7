package config

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/outbound"
)

// Access says who may do what.
type Access struct {
	access.Settings
	Socket      string // absolute; SocketOff: none; "": keyrounds.sock in DataDir
	SocketGroup string // "": none
}

// SocketOff is the Socket of who wants none.
const SocketOff = "off"

// MaxSocket is how many bytes the path of a socket may have (sockaddr_un, unix(7)).
const MaxSocket = 107

func (b *builder) access(c *Config, f File) {
	in := f.Access
	if in == nil {
		return
	}
	a := &c.Access
	a.People, a.Socket, a.SocketGroup = in.People, in.Socket, in.SocketGroup
	switch {
	case a.Socket == "" || a.Socket == SocketOff:
	case !filepath.IsAbs(a.Socket):
		b.fail("access.socket", "/run/keyrounds/keyrounds.sock, or off", "not an absolute path")
	case len(a.Socket) > MaxSocket:
		b.fail("access.socket", "/run/keyrounds/keyrounds.sock", "%d bytes, and a socket may have %d", len(a.Socket), MaxSocket)
	}
	if in.Session != nil {
		b.duration("access.session.idle", in.Session.Idle, &a.Idle)
		b.duration("access.session.lifetime", in.Session.Lifetime, &a.Lifetime)
	}
	for user, role := range in.Basic {
		if a.Basic == nil {
			a.Basic = map[string]access.Role{}
		}
		a.Basic[user] = b.role("access.basic."+user, role)
	}
	if len(in.Basic) > 0 && f.WebConfig == "" {
		b.fail("access.basic", "web_config: /etc/keyrounds/web.yaml, with basic_auth_users", "there are no such users without a web_config")
	}
	if u, err := url.Parse(f.ExternalURL); len(in.Issuers) > 0 && (err != nil || u.Host == "") {
		b.fail("access.issuers", "external_url: https://keyrounds.example.com", "they send people back to external_url, which is not given")
	}
	names := map[string]bool{}
	for i, issuer := range in.Issuers {
		path := fmt.Sprintf("access.issuers.%d", i)
		for key, taken := range map[string]string{"name": issuer.Name, "issuer": issuer.Issuer} {
			if names[key+taken] {
				b.fail(path+"."+key, "each issuer once", "%q is given twice", taken)
			}
			names[key+taken] = true
		}
		a.Issuers = append(a.Issuers, b.issuer(path, issuer))
	}
}

// role reads a role that has no owner names.
func (b *builder) role(path, text string) access.Role {
	if err := (access.Grant{Role: access.Role(text)}).Check(); err != nil {
		b.fail(path, "viewer, responder or admin", "%q is no role that this can have", text)
	}
	return access.Role(text)
}

func (b *builder) issuer(path string, in IssuerIn) access.Issuer {
	i := access.Issuer{
		Name: in.Name, Title: in.Title, URL: in.Issuer, ClientID: in.ClientID, Scopes: in.Scopes, GroupsClaim: in.GroupsClaim,
		AllowPrivate: in.AllowPrivateNetworks, Proxy: in.Proxy, CAFile: in.CAFile,
	}
	if !credential.ValidName(i.Name) {
		b.fail(path+".name", "[a-z0-9][a-z0-9-]*", "%q is no name", i.Name)
	}
	if i.Title == "" {
		i.Title = i.Name
	}
	if !safeURL(i.URL, i.AllowPrivate) {
		b.fail(path+".issuer", "https://example.okta.com", "not a URL with https")
	}
	if i.ClientID == "" {
		b.fail(path+".client_id", "as the client is registered at the issuer", "is missing")
	}
	i.ClientSecret = b.reference(path+".client_secret", in.ClientSecret)
	if i.Scopes == nil {
		i.Scopes = []string{"profile", "email"}
	}
	if i.GroupsClaim == "" {
		i.GroupsClaim = "groups"
	}
	for n, r := range in.Roles {
		g := access.Grant{Role: access.Role(r.Role), Owners: r.Owners}
		if err := g.Check(); err != nil {
			b.fail(fmt.Sprintf("%s.roles.%d", path, n), "{group: NAME, role: viewer}", "%v", err)
		}
		if strings.TrimSpace(r.Group) == "" {
			b.fail(fmt.Sprintf("%s.roles.%d.group", path, n), "default_role is for who is in none", "is empty")
		}
		i.Roles = append(i.Roles, access.GroupRole{Group: r.Group, Grant: g})
	}
	if in.DefaultRole != "" {
		i.Default.Role = b.role(path+".default_role", in.DefaultRole)
	}
	if len(i.Roles) == 0 && in.DefaultRole == "" {
		b.fail(path+".roles", "[{group: NAME, role: viewer}], or default_role: viewer", "nobody would have a role")
	}
	if _, err := outbound.Transport(outbound.Policy{Proxy: i.Proxy, TLS: outbound.TLS{CAFile: i.CAFile}}); err != nil {
		b.fail(path, "", "%v", err)
	}
	return i
}
