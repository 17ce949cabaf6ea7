package checker

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/secret"
)

// AuthMethod is how a client authenticates at the token endpoint, in the words of the OAuth
// registry "OAuth Token Endpoint Authentication Methods" (RFC 7591 §2, RFC 8705 §2).
type AuthMethod string

// The methods. Both parts of client_secret_basic are form-encoded before base64 (RFC 6749 §2.3.1); those of
// client_secret_basic_raw, which is not of the registry, are not (RFC 7617 alone): for servers that do not decode.
const (
	ClientSecretPost        AuthMethod = "client_secret_post"
	ClientSecretBasic       AuthMethod = "client_secret_basic"
	ClientSecretBasicRaw    AuthMethod = "client_secret_basic_raw"
	ClientSecretJWT         AuthMethod = "client_secret_jwt"           // the secret signs an assertion and is not sent (RFC 7523)
	PrivateKeyJWT           AuthMethod = "private_key_jwt"             // so does a private key, which is the credential's secret
	TLSClientAuth           AuthMethod = "tls_client_auth"             // a certificate, which is the secret with its key (RFC 8705 §2.1)
	SelfSignedTLSClientAuth AuthMethod = "self_signed_tls_client_auth" // the same, from no authority (RFC 8705 §2.2)
	ClientAssertion         AuthMethod = "client_assertion"            // the secret is an assertion of another; not of the registry
	NoAuth                  AuthMethod = "none"                        // the client id alone: the secret is in the grant (RFC 7591 §2)
	Custom                  AuthMethod = "custom"                      // the placeholders of Request; not of the registry
)

// AuthMethods lists every method that Provider.AuthMethod can be, in the order in which messages name them.
func AuthMethods() []AuthMethod {
	return []AuthMethod{
		ClientSecretPost, ClientSecretBasic, ClientSecretBasicRaw, ClientSecretJWT, PrivateKeyJWT, TLSClientAuth,
		SelfSignedTLSClientAuth, ClientAssertion, NoAuth, Custom,
	}
}

// clientAuth is how a token request shows who the client is.
type clientAuth struct {
	form         url.Values        // members of the body
	header       string            // Authorization; "": none
	placeholders *strings.Replacer // of Request
	value        secret.Value
	clientID     string
	assertion    secret.Value
	beside       map[string]secret.Value // Provider.SecretParameters
}

// authenticate makes the client authentication of one request. Its error says nothing of the
// secret.
func authenticate(p Provider, cred credential.Credential, value secret.Value, now time.Time) (clientAuth, error) {
	if p.AuthMethod.takesSecret() {
		number, isKey := secret.KeyNumber(value)
		number.Wipe()
		if isKey || strings.HasPrefix(value.Reveal(), "-----BEGIN ") {
			return clientAuth{}, fmt.Errorf("the secret is a key, and %s sends a client secret", p.AuthMethod)
		}
	}
	a := clientAuth{form: url.Values{}, value: value, clientID: cred.Subject}
	if p.AuthMethod == Custom || len(p.Request.Headers) > 0 || len(p.Parameters) > 0 {
		a.placeholders = filler(cred, value)
	}
	switch p.AuthMethod {
	case ClientSecretBasic: // both parts are form-encoded first (RFC 6749 §2.3.1)
		a.header = "Basic " + base64.StdEncoding.EncodeToString([]byte(a.encodedPair()))
	case ClientSecretBasicRaw:
		if strings.Contains(cred.Subject, ":") { // which would end it (RFC 7617 §2)
			return a, fmt.Errorf("a client id with a colon cannot be sent by %s", ClientSecretBasicRaw)
		}
		a.header = "Basic " + base64.StdEncoding.EncodeToString([]byte(cred.Subject+":"+value.Reveal()))
	case ClientSecretJWT, PrivateKeyJWT:
		signed, err := assertion(p, cred, value, now)
		if err != nil {
			return a, err
		}
		a.assert(signed)
	case ClientAssertion: // made elsewhere (RFC 7523 §2.2)
		if err := stillGood(value, now); err != nil {
			return a, err
		}
		a.assert(value)
	case NoAuth:
		if !p.signsGrant() {
			if cred.Subject != "" {
				a.form.Set("client_id", cred.Subject)
			}
			break
		}
		signed, err := assertion(p, cred, value, now)
		if err != nil {
			return a, err
		}
		a.form.Set("assertion", signed.Reveal())
		a.assertion = signed
	case TLSClientAuth, SelfSignedTLSClientAuth: // the certificate is the connection's (RFC 8705 §2)
		a.form.Set("client_id", cred.Subject)
	case Custom:
	default:
		a.form.Set("client_id", cred.Subject)
		a.form.Set("client_secret", value.Reveal())
	}
	return a, nil
}

// assert shows who the client is by an assertion (RFC 7521 §4.2).
func (a *clientAuth) assert(signed secret.Value) {
	a.form.Set("client_id", a.clientID)
	a.form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
	a.form.Set("client_assertion", signed.Reveal())
	a.assertion = signed
}

// stillGood: whoever renews an assertion in a file may have stopped, which is not the credential's fault.
func stillGood(value secret.Value, now time.Time) error {
	c, ok := claimsOf(value.Reveal())
	switch {
	case !ok:
		return errors.New("the secret is no JWT, which client_assertion sends")
	case c.Exp > 0 && now.After(time.Unix(int64(min(c.Exp, 1e11)), 0)):
		return fmt.Errorf(
			"the assertion ended on %s: whatever renews it has stopped",
			time.Unix(int64(min(c.Exp, 1e11)), 0).UTC().Format(time.RFC3339),
		)
	}
	return nil
}

// Renewed reports whether the secrets of the method are renewed by themselves, every hour or so.
func (m AuthMethod) Renewed() bool { return m == ClientAssertion }

// encodedPair is id and secret as RFC 6749 §2.3.1 writes them for Basic.
func (a clientAuth) encodedPair() string {
	return url.QueryEscape(a.clientID) + ":" + url.QueryEscape(a.value.Reveal())
}

// sent is what an answer must not show. The value must not be wiped yet.
func (a clientAuth) sent() []secret.Value {
	all := []secret.Value{a.value, secret.New([]byte(a.encodedPair())), secret.New([]byte(a.clientID + ":" + a.value.Reveal()))}
	if !a.assertion.IsZero() {
		all = append(all, a.assertion)
	}
	return slices.AppendSeq(all, maps.Values(a.beside))
}

// addHeaders makes req a form request of the client.
func (a clientAuth) addHeaders(req *http.Request) {
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if a.header != "" {
		req.Header.Set("Authorization", a.header)
	}
}

// takesKey reports whether the secret of the method is a private key.
func (m AuthMethod) takesKey() bool {
	return m == PrivateKeyJWT || m.showsCertificate()
}

// showsCertificate reports whether the method is a certificate in the handshake.
func (m AuthMethod) showsCertificate() bool {
	return m == TLSClientAuth || m == SelfSignedTLSClientAuth
}

// takesSecret reports whether the secret of the method is a client secret, which a key is not.
func (m AuthMethod) takesSecret() bool {
	return m == ClientSecretPost || m == ClientSecretBasic || m == ClientSecretBasicRaw || m == ClientSecretJWT
}

// changedByEncoding reports whether client_secret_basic sends anything else than client_secret_basic_raw would.
func changedByEncoding(p Provider, cred credential.Credential, value secret.Value) bool {
	return p.AuthMethod == ClientSecretBasic &&
		(url.QueryEscape(value.Reveal()) != value.Reveal() || url.QueryEscape(cred.Subject) != cred.Subject)
}

// changedByDecoding reports whether a server that decodes reads anything else than what client_secret_basic_raw sends.
func changedByDecoding(p Provider, cred credential.Credential, value secret.Value) bool {
	return p.AuthMethod == ClientSecretBasicRaw && strings.ContainsAny(cred.Subject+value.Reveal(), "+%")
}
