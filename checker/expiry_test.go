package checker_test

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/credential"
)

// A check says when a credential ends by itself: its certificates, its key, or the provider's answer say so.
func TestEnds(t *testing.T) {
	t.Parallel()
	first := time.Now().Add(20 * 24 * time.Hour).Truncate(time.Second).UTC()
	late := newCert(t, "ca", nil, first.Add(1000*time.Hour))
	soon := newCert(t, "client", late, first)
	certificate := func(c *cert) string { return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})) }
	jwk := func(more map[string]any) string {
		b, err := jose.JSONWebKey{Key: soon.key, KeyID: "k"}.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		members := map[string]any{}
		if err := json.Unmarshal(b, &members); err != nil {
			t.Fatal(err)
		}
		for k, v := range more {
			members[k] = v
		}
		b, _ = json.Marshal(members)
		return string(b)
	}
	x5c := []string{base64.StdEncoding.EncodeToString(soon.Raw), base64.StdEncoding.EncodeToString(late.Raw)}
	at := time.Date(2027, 3, 1, 9, 30, 0, 0, time.UTC)
	byCertificate, byKey := credential.End{At: first, By: credential.EndCertificate}, credential.End{At: at, By: credential.EndKey}
	byProvider := credential.End{At: at, By: credential.EndProvider}
	for name, c := range map[string]struct {
		method         checker.AuthMethod
		secret, answer string
		want           credential.End
	}{
		"a secret":                      {checker.ClientSecretPost, "s3cretvalue", "", credential.End{}},
		"a secret that the answer ends": {checker.ClientSecretPost, "s3cretvalue", fmt.Sprint(at.Unix()), byProvider},
		"never":                         {checker.ClientSecretPost, "s3cretvalue", "0", credential.End{}},
		"no number":                     {checker.ClientSecretPost, "s3cretvalue", `"soon"`, credential.End{}},
		"a number beyond time":          {checker.ClientSecretPost, "s3cretvalue", "1e300", credential.End{}},
		"a key":                         {checker.PrivateKeyJWT, pkcs8(t, soon.key), "", credential.End{}},
		"a key with certificates":       {checker.PrivateKeyJWT, certificate(late) + soon.pem(t), "", byCertificate},
		"a JWK":                         {checker.PrivateKeyJWT, jwk(nil), "", credential.End{}},
		"a JWK with exp":                {checker.PrivateKeyJWT, jwk(map[string]any{"exp": at.Unix()}), "", byKey},
		"a JWK with x5c":                {checker.PrivateKeyJWT, jwk(map[string]any{"x5c": x5c}), "", byCertificate},
	} {
		p := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			more := ""
			if c.answer != "" {
				more = `, "client_secret_expires_at": ` + c.answer
			}
			fmt.Fprintf(w, `{"access_token": "t0ken-value-1", "token_type": "bearer"%s}`, more)
		}), func(p *checker.Provider) { p.AuthMethod = c.method })
		r := checker.New(checker.Options{}).Check(t.Context(), p, target("client", c.secret))
		if r.Outcome != checker.OK || r.Ends != c.want {
			t.Errorf("%s: %s %s, ends %v, not %v", name, r.Outcome, r.Message, r.Ends, c.want)
		}
	}
}
