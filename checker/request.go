package checker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/keyrounds/keyrounds/credential"
)

// Request shapes the token request for endpoints that are not quite OAuth. In the texts of Headers
// and Body, as in Provider.Parameters, {client_id}, {client_secret} and {scope} stand for the credential's.
type Request struct {
	Encoding string            // of the body: "form" (default) or "json"
	Headers  map[string]string // besides those of every request
	Body     map[string]any    // with auth_method custom: the whole body
}

// Encodings lists what Request.Encoding can be, the default first.
func Encodings() []string { return []string{"form", "json"} }

// ownHeaders are keyrounds' to send.
var ownHeaders = []string{"Host", "Content-Length", "Content-Type", "Transfer-Encoding", "Connection", "User-Agent"}

// tokenRequest makes the request of RFC 6749 §4.4.2, or what the provider wants in its place.
func tokenRequest(ctx context.Context, p Provider, cred credential.Credential, auth clientAuth) (*http.Request, error) {
	body, mediaType, err := encode(p.Request.Encoding, members(p, cred, auth))
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.TokenURL, strings.NewReader(body))
	if err != nil {
		return nil, errors.New("token_url is not a URL")
	}
	for name, text := range p.Request.Headers {
		req.Header.Set(name, auth.placeholders.Replace(text))
	}
	auth.addHeaders(req)
	req.Header.Set("Content-Type", mediaType)
	return req, nil
}

func members(p Provider, cred credential.Credential, auth clientAuth) map[string]any {
	all := map[string]any{}
	if p.AuthMethod == Custom {
		all, _ = fill(p.Request.Body, auth.placeholders).(map[string]any)
		return all
	}
	for name := range auth.form {
		all[name] = auth.form.Get(name)
	}
	for name, v := range p.Parameters {
		all[name] = auth.placeholders.Replace(v)
	}
	for name, v := range auth.beside {
		all[name] = v.Reveal()
	}
	all["grant_type"] = p.grant()
	if p.RequestScopes && len(cred.Scopes) > 0 {
		all["scope"] = strings.Join(cred.Scopes, " ")
	}
	return all
}

// fill replaces the placeholders in every text of v. What it fills in is encoded later, so that no
// secret can break out of its member.
func fill(v any, placeholders *strings.Replacer) any {
	switch v := v.(type) {
	case string:
		return placeholders.Replace(v)
	case map[string]any:
		filled := make(map[string]any, len(v))
		for k, e := range v {
			filled[k] = fill(e, placeholders)
		}
		return filled
	case []any:
		filled := make([]any, len(v))
		for i, e := range v {
			filled[i] = fill(e, placeholders)
		}
		return filled
	}
	return v
}

func encode(encoding string, members map[string]any) (body, mediaType string, err error) {
	if encoding == "json" {
		b, err := json.Marshal(members)
		return string(b), "application/json", err
	}
	form := url.Values{}
	for name, v := range members {
		text, ok := v.(string)
		if !ok {
			text = fmt.Sprint(v)
		}
		form.Set(name, text)
	}
	return form.Encode(), "application/x-www-form-urlencoded", nil
}
