package main

import (
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
)

// standIn answers as a provider's public documentation has it: what comes otherwise is refused in that provider's words.
type standIn struct {
	path   string
	docs   string
	answer func(*http.Request) (status int, body any)
	// The lines of the configuration; %s is the stand-in's address. And the credential's.
	provider, credential string
	right, wrong         string // secrets
	reason               string // of the wrong one
}

type object = map[string]any

// identityToken is what a workload has in a file: a JWT of its own platform.
func identityToken(t *testing.T, k *rsa.PrivateKey, audience string, ends time.Time) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: k}, (&jose.SignerOptions{}).WithHeader("kid", "c4n4ry"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.Signed(signer).Claims(jwt.Claims{
		Issuer: "https://kubernetes.default.svc", Subject: "system:serviceaccount:hr:ats-sync", Audience: jwt.Audience{audience},
		Expiry: jwt.NewNumericDate(ends),
	}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// signedBy reports whether a JWT is by the key, for the audience, and not over.
func signedBy(text string, k *rsa.PrivateKey, audience string) (claims object, ok bool) {
	token, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return nil, false
	}
	var c jwt.Claims
	if token.Claims(&k.PublicKey, &c, &claims) != nil {
		return nil, false
	}
	return claims, c.Validate(jwt.Expected{AnyAudience: jwt.Audience{audience}, Time: time.Now()}) == nil
}

func standIns(t *testing.T, k theSecrets) map[string]standIn {
	t.Helper()
	const (
		google, aws   = "https://oauth2.googleapis.com/token", "sts.amazonaws.com"
		azure, pool   = "api://AzureADTokenExchange", "//iam.googleapis.com/pool"
		cluster       = "https://kubernetes.default.svc"
		assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	)
	soon := time.Now().Add(time.Hour)
	token := func(audience string, k *rsa.PrivateKey) string { return identityToken(t, k, audience, soon) }
	return map[string]standIn{
		"zoom": {
			path: "/oauth/token", docs: "https://developers.zoom.us/docs/internal-apps/s2s-oauth/",
			answer: func(r *http.Request) (int, any) {
				id, secret, basic := r.BasicAuth()
				switch {
				case r.PostForm.Get("grant_type") != "account_credentials" || r.PostForm.Get("account_id") != "acc-1":
					return 400, object{"reason": "unsupported grant type", "error": "unsupported_grant_type"}
				case !basic || id != "zoom-client" || secret != "c4n4ry-zoom-secret":
					return 400, object{"reason": "Invalid client_id or client_secret", "error": "invalid_client"}
				}
				return 200, object{
					"access_token": "c4n4ry-token", "token_type": "bearer", "expires_in": 3600, "scope": "user:read:admin",
					"api_url": "https://api.zoom.us",
				}
			},
			provider:   `preset: zoom, token_url: "%s", parameters: {account_id: acc-1}`,
			credential: "client_id: zoom-client, scopes: [\"user:read:admin\"]",
			right:      "c4n4ry-zoom-secret", wrong: "c4n4ry-zoom-other", reason: "unspecified",
		},
		"google": {
			path: "/token", docs: "https://developers.google.com/identity/protocols/oauth2/service-account#httprest",
			answer: func(r *http.Request) (int, any) {
				claims, ok := signedBy(r.PostForm.Get("assertion"), k.key, google)
				age, _ := claims["exp"].(float64)
				began, _ := claims["iat"].(float64)
				switch {
				case r.PostForm.Get("grant_type") != checker.GrantJWTBearer || len(r.PostForm) != 2:
					return 400, object{"error": "unsupported_grant_type", "error_description": "Invalid grant_type: "}
				case !ok:
					return 400, object{"error": "invalid_grant", "error_description": "Invalid JWT Signature."}
				case claims["iss"] != "svc@example.com":
					return 400, object{"error": "invalid_grant", "error_description": "Invalid grant: account not found"}
				case age-began > 3600:
					return 400, object{"error": "invalid_grant", "error_description": "Invalid JWT: Token must be a short-lived token"}
				case claims["scope"] != "https://www.googleapis.com/auth/prediction":
					return 400, object{"error": "invalid_scope", "error_description": "Invalid OAuth scope or ID token audience provided."}
				}
				return 200, object{"access_token": "c4n4ry-token", "scope": claims["scope"], "token_type": "Bearer", "expires_in": 3600}
			},
			provider:   `preset: google, token_url: "%s"`,
			credential: `client_id: svc@example.com, scopes: ["https://www.googleapis.com/auth/prediction"]`,
			right:      accountFile(t, k.key), wrong: accountFile(t, k.otherKey), reason: "bad_secret",
		},
		"box": {
			path: "/oauth2/token", docs: "https://developer.box.com/guides/authentication/jwt/without-sdk/",
			answer: func(r *http.Request) (int, any) {
				f := r.PostForm
				claims, ok := signedBy(f.Get("assertion"), k.key, "https://api.box.com/oauth2/token")
				age, _ := claims["exp"].(float64)
				switch {
				case f.Get("grant_type") != checker.GrantJWTBearer:
					return 400, object{"error": "unsupported_grant_type", "error_description": "Invalid grant_type parameter"}
				case f.Get("client_id") != "box-client" || f.Get("client_secret") != "c4n4ry-box-secret":
					return 400, object{"error": "invalid_client", "error_description": "The client credentials are invalid"}
				case !ok:
					return 400, object{"error": "invalid_grant", "error_description": "Please check that the signature is valid."}
				case claims["iss"] != "box-client" || claims["sub"] != "ent-1" || claims["box_sub_type"] != "enterprise" ||
					age > float64(time.Now().Unix()+60):
					return 400, object{"error": "invalid_grant", "error_description": "Please check the 'exp' claim."}
				}
				return 200, object{"access_token": "c4n4ry-token", "expires_in": 3600, "restricted_to": []any{}, "token_type": "bearer"}
			},
			provider: `token_url: "%s", grant_type: "` + checker.GrantJWTBearer + `", parameters: {client_id: "{client_id}"}, ` +
				`secret_parameters: {client_secret: "env:BOX_CLIENT_SECRET"}, assertion: {audience: "https://api.box.com/oauth2/token", ` +
				`subject: ent-1, lifetime: 45s, claims: {box_sub_type: enterprise}}`,
			credential: "client_id: box-client",
			right:      pkcs1(k.key), wrong: pkcs1(k.otherKey),
		},
		"entra-workload": {
			path: "/tenant/oauth2/v2.0/token",
			docs: "https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow",
			answer: func(r *http.Request) (int, any) {
				_, ok := signedBy(r.PostForm.Get("client_assertion"), k.key, azure)
				f := r.PostForm
				switch {
				case f.Get("grant_type") != "client_credentials" || f.Get("scope") != "https://graph.microsoft.com/.default" ||
					f.Get("client_assertion_type") != assertionType || f.Get("client_id") != "app-1":
					return 400, object{"error": "invalid_request", "error_description": "AADSTS900144: The request body must contain …"}
				case !ok:
					return 401, object{
						"error": "invalid_client", "error_codes": []int{700213},
						"error_description": "AADSTS700213: No matching federated identity record found for presented assertion subject.",
					}
				}
				return 200, object{"token_type": "Bearer", "expires_in": 3599, "access_token": "c4n4ry-token"}
			},
			provider:   `preset: entra, token_url: "%s", auth_method: client_assertion, request_scopes: true`,
			credential: `client_id: app-1, scopes: ["https://graph.microsoft.com/.default"]`,
			right: token(
				azure,
				k.key,
			), wrong: token(azure, k.otherKey), // which reads as our mistake: nobody trusts this issuer and subject
		},
		"google-workload": {
			path: "/v1/token", docs: "https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token",
			answer: func(r *http.Request) (int, any) {
				f := r.PostForm
				_, ok := signedBy(f.Get("subject_token"), k.key, pool)
				switch {
				case f.Get("grant_type") != "urn:ietf:params:oauth:grant-type:token-exchange" || f.Get("audience") != pool ||
					f.Get("client_id") != "" ||
					f.Get("requested_token_type") != "urn:ietf:params:oauth:token-type:access_token" ||
					f.Get("subject_token_type") != "urn:ietf:params:oauth:token-type:jwt":
					return 400, object{"error": "invalid_request", "error_description": "Invalid value for \"audience\"."}
				case !ok:
					return 400, object{"error": "invalid_grant", "error_description": "Error connecting to the given credential's issuer."}
				}
				return 200, object{
					"access_token": "c4n4ry-token", "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
					"token_type": "Bearer", "expires_in": 3599,
				}
			},
			provider: `token_url: "%s", auth_method: none, grant_type: "urn:ietf:params:oauth:grant-type:token-exchange", ` +
				`parameters: {audience: "` + pool + `", requested_token_type: "urn:ietf:params:oauth:token-type:access_token", ` +
				`subject_token: "{client_secret}", subject_token_type: "urn:ietf:params:oauth:token-type:jwt"}`,
			credential: "owner: hr",
			right:      token(pool, k.key), wrong: token(pool, k.otherKey),
		},
		"aws-workload": {
			path: "/", docs: "https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html",
			answer: func(r *http.Request) (int, any) {
				f := r.PostForm
				_, ok := signedBy(f.Get("WebIdentityToken"), k.key, aws)
				switch {
				case f.Get("Action") != "AssumeRoleWithWebIdentity" || f.Get("Version") != "2011-06-15" || f.Get("RoleSessionName") == "":
					return 400, object{"Error": object{"Code": "ValidationError", "Type": "Sender", "Message": "x"}}
				case !ok:
					return 400, object{"Error": object{
						"Code": "InvalidIdentityToken", "Type": "Sender",
						"Message": "Couldn't retrieve verification key from your identity provider",
					}}
				case f.Get("RoleArn") != "arn:aws:iam::123456789012:role/ats-sync":
					return 403, object{"Error": object{
						"Code": "AccessDenied", "Type": "Sender", "Message": "Not authorized to perform sts:AssumeRoleWithWebIdentity",
					}}
				}
				return 200, object{
					"AssumeRoleWithWebIdentityResponse": object{"AssumeRoleWithWebIdentityResult": object{"Credentials": object{
						"AccessKeyId": "ASIAIOSFODNN7EXAMPLE", "SecretAccessKey": "c4n4ry-aws", "SessionToken": "c4n4ry-token",
						"Expiration": 1.7e9,
					}}},
				}
			},
			provider: `token_url: "%s", auth_method: custom, request: {body: {Action: AssumeRoleWithWebIdentity, Version: "2011-06-15", ` +
				`RoleArn: "{client_id}", RoleSessionName: keyrounds, WebIdentityToken: "{client_secret}"}}, ` +
				`response: {access_token: ".AssumeRoleWithWebIdentityResponse.AssumeRoleWithWebIdentityResult.Credentials.SessionToken", ` +
				`error: .Error.Code, error_description: .Error.Message}, ` +
				`matchers: [{error: [accessdenied], outcome: rejected, reason: unspecified}]`,
			credential: `client_id: "arn:aws:iam::123456789012:role/ats-sync"`,
			right:      token(aws, k.key), wrong: token(aws, k.otherKey),
		},
		"kubernetes": {
			path: "/version", docs: "https://kubernetes.io/docs/reference/access-authn-authz/authentication/#service-account-tokens",
			answer: func(r *http.Request) (int, any) {
				if _, ok := signedBy(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), k.key, cluster); !ok {
					return 401, object{
						"kind":       "Status",
						"apiVersion": "v1",
						"status":     "Failure",
						"message":    "Unauthorized",
						"reason":     "Unauthorized",
						"code":       401,
					}
				}
				return 200, object{"major": "1", "minor": "34", "gitVersion": "v1.34.1"}
			},
			provider:   `kind: api_key, api_key: {header: Authorization, scheme: Bearer}, probes: [{get: "%s"}]`,
			credential: "owner: hr",
			right: token(
				"https://kubernetes.default.svc",
				k.key,
			), wrong: token(cluster, k.otherKey), reason: "unspecified",
		},
	}
}

// The grants, kinds and workload identities of docs/providers.md work at stand-ins that are as strict as the providers' documentation,
// from a configuration file; a wrong secret is refused there for the reason that it gives, or is at least no token.
func TestStandInsOfProviders(t *testing.T) {
	t.Parallel()
	s, k := newSite(t, 0), newSecrets(t)
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s.env = []string{"BOX_CLIENT_SECRET=c4n4ry-box-secret"}
	var providers, credentials strings.Builder
	reasons := map[string]string{}
	for name, in := range standIns(t, k) {
		mux.HandleFunc("/"+name+in.path, func(w http.ResponseWriter, r *http.Request) {
			_ = r.ParseForm()
			status, body := in.answer(r)
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(body)
		})
		fmt.Fprintf(&providers, "  %s: {allow_private_networks: true, %s}\n", name, fmt.Sprintf(in.provider, server.URL+"/"+name+in.path))
		for which, value := range map[string]string{"right": in.right, "wrong": in.wrong} {
			fmt.Fprintf(&credentials, "  - {name: %s-%s, provider: %s, secret: \"file:%s\", %s}\n",
				name, which, name, s.write(name+"-"+which, value), in.credential)
		}
		reasons[name+"-wrong"] = in.reason
	}
	ended := s.write("ended", identityToken(t, k.key, "api://AzureADTokenExchange", time.Now().Add(-time.Minute)))
	fmt.Fprintf(&credentials, "  - {name: ended, provider: entra-workload, client_id: app-1, secret: \"file:%s\"}\n", ended)
	s.write("keyrounds.yaml", fmt.Sprintf(
		"data_dir: %s/data\ndatabase: {url: %q}\nverdict: {refusals_per_hour: 0}\nproviders:\n%scredentials:\n%s",
		s.dir, pgtest.EmptyURL(t), &providers, &credentials,
	))
	out, _ := s.command("check", "-o", "json")
	if strings.Contains(out, "c4n4ry") || strings.Contains(out, "PRIVATE KEY") {
		t.Error("a secret is shown")
	}
	var results []struct{ Credential, Outcome, Reason, Message string }
	if i := strings.Index(out, "["); i < 0 || json.Unmarshal([]byte(out[i:]), &results) != nil || len(results) != 2*len(reasons)+1 {
		t.Fatal(out)
	}
	for _, r := range results {
		why, isWrong := reasons[r.Credential]
		switch {
		case r.Credential == "ended":
			if r.Outcome != "misconfigured" || !strings.Contains(r.Message, "whatever renews it has stopped") {
				t.Errorf("%+v", r)
			}
		case !isWrong && r.Outcome != "ok", isWrong && why != "" && (r.Outcome != "rejected" || r.Reason != why):
			t.Errorf("%+v; want %s", r, why)
		case isWrong && (r.Outcome == "ok" || r.Outcome == "scope_reduced"):
			t.Errorf("%+v", r)
		}
	}
}
