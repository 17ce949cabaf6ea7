package checker

// Outcome is what one check says. It is stored and shown as written here; "" is no outcome.
type Outcome string

// The outcomes.
const (
	OK            Outcome = "ok"             // a usable token with every declared scope
	ScopeReduced  Outcome = "scope_reduced"  // a token, but a declared scope is missing or does not work
	ScopeDenied   Outcome = "scope_denied"   // the scopes or the resource asked for are refused
	GrantDenied   Outcome = "grant_denied"   // the client may not use this grant
	Rejected      Outcome = "rejected"       // the provider refuses the client itself
	Misconfigured Outcome = "misconfigured"  // our request is wrong, goes to the wrong place, or could not be made
	RateLimited   Outcome = "rate_limited"   // too many requests
	ProviderError Outcome = "provider_error" // the provider is in trouble
	Intercepted   Outcome = "intercepted"    // a firewall, proxy or captive portal answered
	Malformed     Outcome = "malformed"      // an answer that is no token and no error
	Unreachable   Outcome = "unreachable"    // no HTTP answer
)

// Outcomes lists every outcome, those with a token first.
func Outcomes() []Outcome {
	return []Outcome{
		OK, ScopeReduced, ScopeDenied, GrantDenied, Rejected, Misconfigured,
		RateLimited, ProviderError, Intercepted, Malformed, Unreachable,
	}
}

// HasToken reports whether the provider issued a token, which shows that the client is alive.
func (o Outcome) HasToken() bool { return o == OK || o == ScopeReduced }

// Certain reports whether the provider answered for itself about this client: with a token, or by refusing the
// client, its scopes or its grant. Every other outcome says nothing of the credential.
func (o Outcome) Certain() bool {
	return o.HasToken() || o == Rejected || o == ScopeDenied || o == GrantDenied
}

// Reason refines an outcome; "" says no more than the outcome does.
type Reason string

// The reasons of Rejected. Unspecified: the provider does not tell.
const (
	UnknownClient Reason = "unknown_client"
	BadSecret     Reason = "bad_secret"
	ExpiredSecret Reason = "expired_secret"
	Disabled      Reason = "disabled"
	Unspecified   Reason = "unspecified"
)

// The reasons of other outcomes.
const (
	SecretUnreadable Reason = "secret_unreadable"  // Misconfigured: the secret could not be resolved here
	InternalError    Reason = "internal_error"     // Misconfigured: a fault of keyrounds itself
	ProbeFailed      Reason = "probe_failed"       // ScopeReduced: the token has the scope and may not use it
	TokenInactive    Reason = "token_inactive"     // ScopeReduced: introspection does not know the fresh token
	ClockOff         Reason = "clock"              // Misconfigured: our clock and the provider's differ too much for an assertion
	TooLarge         Reason = "response_too_large" // Malformed
	Redirected       Reason = "redirect"           // Misconfigured or Intercepted
	AddressDenied    Reason = "address_denied"     // Misconfigured: an address that may not be dialled
	DNSFailed        Reason = "dns"                // Unreachable, like all that follow
	ConnectFailed    Reason = "connect"
	TimedOut         Reason = "timeout"
	ConnectionLost   Reason = "connection_lost"
	TLSExpired       Reason = "tls_expired"
	TLSWrongHost     Reason = "tls_wrong_host"
	TLSUnknownCA     Reason = "tls_unknown_authority"
	TLSFailed        Reason = "tls"
)

// Certain reports whether the provider itself says why it refuses the client, so that one confirmation is enough: an
// unknown client, a wrong or expired secret, or a disabled client.
func (r Reason) Certain() bool {
	switch r {
	case UnknownClient, BadSecret, ExpiredSecret, Disabled:
		return true
	}
	return false
}
