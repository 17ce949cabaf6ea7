package authserver

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
)

// Undecoding starts a server that takes one client, by client_secret_basic, and does not form-decode what comes
// (go-oauth2/oauth2). It returns the URL of its token endpoint.
func Undecoding(t testing.TB, id, secret string) string {
	t.Helper()
	return start(t, "gooauth2", id, secret).answer() + "/token"
}

// NodeOAuth starts a server that knows the clients with those secrets, by client_secret_basic and client_secret_post, and
// does not form-decode what comes by Basic (@node-oauth/oauth2-server). It returns the URL of its token endpoint.
func NodeOAuth(t testing.TB, secrets map[string]string) string {
	t.Helper()
	return start(t, "nodeoauth", asJSON(t, secrets)).answer() + "/token"
}

// Zitadel starts a server that knows the clients with those secrets, by client_secret_basic and client_secret_post (the op of
// zitadel/oidc). It returns its issuer.
func Zitadel(t testing.TB, secrets map[string]string) string {
	t.Helper()
	return start(t, "zitadel", asJSON(t, secrets)).answer()
}

// OIDCProvider starts a server that knows the clients (oidc-provider) and serves TLS itself: identity is its certificate and
// key, authorities are those whose client certificates it trusts, both in PEM. It returns its issuer, which asks for no
// client certificate; its metadata names the address that does.
func OIDCProvider(t testing.TB, identity, authorities string, clients ...Client) string {
	t.Helper()
	all := make([]map[string]any, len(clients))
	for i, c := range clients {
		all[i] = c.metadata()
	}
	return start(t, "oidcprovider", asJSON(t, map[string]any{
		"clients": all, "identity": identity, "authorities": authorities,
	})).answer()
}

// OpenIDProvider starts the same server with people who can sign in (OpenID Connect, code flow): their claims by their sub. Nobody is asked
// anything: login_hint of the authorization request says who signs in, and who is not known is refused (access_denied).
func OpenIDProvider(t testing.TB, identity string, people map[string]map[string]any, clients ...Client) string {
	t.Helper()
	all := make([]map[string]any, len(clients))
	for i, c := range clients {
		all[i] = c.metadata()
	}
	return start(t, "oidcprovider", asJSON(t, map[string]any{"clients": all, "identity": identity, "people": people})).answer()
}

// metadata is the client in the words of RFC 7591 §2 and RFC 8705 §2. A certificate is not of them: the program puts it into
// the client's keys.
func (c Client) metadata() map[string]any {
	m := map[string]any{"client_id": c.ID, "token_endpoint_auth_method": c.Method, "scope": strings.Join(c.Scopes, " ")}
	if c.Secret != "" {
		m["client_secret"] = c.Secret
	}
	if c.Key != nil {
		m["jwks"] = map[string]any{"keys": []any{c.Key}}
	}
	switch c.Method {
	case "tls_client_auth":
		m["tls_client_auth_subject_dn"] = c.SubjectDN
	case "self_signed_tls_client_auth":
		m["certificate"] = c.Certificate
	}
	maps.Copy(m, c.Metadata)
	return m
}

func asJSON(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
