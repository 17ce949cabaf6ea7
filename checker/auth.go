package checker

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"time"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/secret"
)

// clientAuth is how a token request shows who the client is.
type clientAuth struct {
	form   url.Values     // members of the body
	header string         // Authorization; "": none
	sent   []secret.Value // what an answer must not show
}

// authenticate makes the client authentication of one request. Its error says nothing of the
// secret.
func authenticate(p Provider, cred credential.Credential, value secret.Value, now time.Time) (clientAuth, error) {
	pair := url.QueryEscape(cred.ClientID) + ":" + url.QueryEscape(value.Reveal())
	a := clientAuth{form: url.Values{}, sent: []secret.Value{
		value, secret.New([]byte(pair)), secret.New([]byte(cred.ClientID + ":" + value.Reveal())),
	}}
	switch p.AuthMethod {
	case ClientSecretBasic: // both parts are form-encoded first (RFC 6749 §2.3.1)
		a.header = "Basic " + base64.StdEncoding.EncodeToString([]byte(pair))
	case ClientSecretJWT, PrivateKeyJWT:
		signed, err := assertion(p, cred.ClientID, value, now)
		if err != nil {
			return a, err
		}
		a.form.Set("client_id", cred.ClientID)
		a.form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		a.form.Set("client_assertion", signed.Reveal())
		a.sent = append(a.sent, signed)
	default:
		a.form.Set("client_id", cred.ClientID)
		a.form.Set("client_secret", value.Reveal())
	}
	return a, nil
}

// dress makes req a form request of the client.
func (a clientAuth) dress(req *http.Request) {
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if a.header != "" {
		req.Header.Set("Authorization", a.header)
	}
}
