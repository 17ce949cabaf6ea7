package checker_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/keyrounds/keyrounds/checker"
)

// What products that stand before a server say when they let nobody through: of who asks, from where and how often,
// never of a client's id or secret.
var gatewayTexts = []string{
	"client blocked", "Your client has been blocked", "client is blocked", "bot detected", "Bot traffic is not allowed",
	"Access denied by security policy", "Request blocked by security policy", "The request was blocked by the firewall",
	"Access denied. Ray ID: 8b1f", "Request rejected. Your support ID is: 123456", "Blocked by WAF rule 942100", "captcha required",
	"Suspicious activity from your client", "Unusual traffic from your application", "automated requests are refused",
	"Your IP address is not allowed", "Access from your country is denied", "VPN and proxy servers are blocked",
	"Jwt is missing", "Jwt issuer is not configured", "Jwt verification fails", "Audiences in Jwt are not allowed",
	"Access denied due to missing subscription key. Make sure to include subscription key when making requests to an API.",
	"Access denied due to invalid subscription key.", "No API key found in request", "Missing Authentication Token",
	"Authorization field missing", "Full authentication is required to access this resource", "Rate limit exceeded for this client",
	"Too many requests from this application", "upstream connect error or disconnect/reset before headers", "quota exceeded",
	"The service is temporarily unavailable", "maintenance", "Client IP banned", "User-Agent blocked", "Imperva: request filtered",
}

// No answer whose only sign is something in front is a refusal, in whichever shape and with whichever status.
func TestGatewaysAreNeverRefusals(t *testing.T) {
	t.Parallel()
	shapes := map[string]func(string) any{
		"message":     func(s string) any { return map[string]any{"message": s} },
		"description": func(s string) any { return map[string]any{"error_description": s} },
		"error":       func(s string) any { return map[string]any{"error": s} },
		"nested":      func(s string) any { return map[string]any{"error": map[string]any{"message": s, "code": 7}} },
		"fault":       func(s string) any { return map[string]any{"fault": map[string]any{"faultstring": s}} },
		"coded":       func(s string) any { return map[string]any{"code": "access_refused", "message": s} },
		"listed":      func(s string) any { return map[string]any{"errors": []any{map[string]any{"message": s}}} },
		"deep":        func(s string) any { return map[string]any{"data": map[string]any{"details": []any{s}}, "message": s} },
	}
	for _, text := range gatewayTexts {
		for shape, make := range shapes {
			body, _ := json.Marshal(make(text))
			for _, status := range []int{400, 401, 403} {
				for _, preset := range checker.Presets() {
					if shape == "message" || preset.Name == checker.Generic {
						neverRejected(t, preset.Name, shape, status, http.Header{"Content-Type": {"application/json"}}, body)
					}
				}
			}
		}
		for _, status := range []int{400, 401, 403} {
			neverRejected(t, "generic", "text", status, http.Header{"Content-Type": {"text/plain"}}, []byte(text))
		}
	}
}

// A challenge for anything but a client's authentication is not of a token endpoint, whatever the body is, as long as
// it has no code of RFC 6749 and does not name the client's fault.
func TestChallengesOfOthers(t *testing.T) {
	t.Parallel()
	for _, challenge := range []string{
		"Bearer", `Bearer realm="x"`,
		`Bearer realm="x, y", error="invalid_token"`, `AzureApiManagementKey realm="x",name="k",type="header"`,
		`Key realm="kong"`, "DPoP", `Digest realm="x", nonce="y"`, "Negotiate", "NTLM", `AWS4-HMAC-SHA256`, `HMAC realm="x"`, "Bearer, Key",
	} {
		for _, body := range []string{
			"", `{}`, `{"message":"Unauthorized"}`, `{"message":"Bad credentials"}`, "Unauthorized", `{"status":401}`,
			`{"message":"Application is disabled on this gateway"}`, `{"message":"Account not found"}`,
		} {
			for _, preset := range checker.Presets() {
				if preset.Provider.Kind == checker.APIKey && challenge != "Negotiate" && challenge != "NTLM" {
					continue // an API asks for its keys as it likes
				}
				neverRejected(t, preset.Name, challenge, 401, http.Header{"Www-Authenticate": {challenge}}, []byte(body))
			}
		}
	}
}

func neverRejected(t *testing.T, preset, what string, status int, h http.Header, body []byte) {
	t.Helper()
	p, err := checker.Provider{Name: "p", Preset: preset, TokenURL: "https://auth.example/token"}.Complete()
	if err != nil {
		t.Fatal(err)
	}
	got := checker.Classify(p, checker.Response{Status: status, Header: h, Body: body})
	if got.Outcome == checker.Rejected || got.Outcome.HasToken() {
		t.Errorf("%s, %s: %d %s\n\tis %s %s by %s", preset, what, status, body, got.Outcome, got.Reason, got.Rule)
	}
}
