package checker

import (
	"context"
	"encoding/hex"
	"net/netip"
	"time"

	"github.com/google/uuid"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/secret"
)

// Target is a credential and how to get its secret. Secret is called just before the secret is used, once a check,
// and the value is wiped after. Its error is shown in the result, so it must not hold the secret.
type Target struct {
	ID         uuid.UUID // of the result to be; zero: one is made
	Credential credential.Credential
	Secret     func(context.Context) (secret.Value, error)
	// Begin, unless nil, is asked just before the check; false: it is not made, and has no result.
	Begin func() bool
	// Quiet: the result needs no Trace.
	Quiet bool
	// Worked: a token was issued for the present secret before. What never worked may be our choice.
	Worked bool
}

// Result is what one check saw. All text in it that came from outside is clean: scrubbed of secret and token, without
// control characters, cut.
type Result struct {
	ID           uuid.UUID // version 7, made when the check begins
	CredentialID int64
	Credential   string
	Provider     string
	At           time.Time // when the check began
	Reading
	Phases    Phases
	Waits     Waits
	Probes    []ProbeResult
	Trail     Trail
	ClockSkew time.Duration // the provider's Date less our clock; 0 where it sent none
	// Unproven are the declared scopes that nothing of this check shows: they were not requested, neither the answer nor
	// introspection nor the token says what was granted, and no probe tried them. They say nothing against the outcome.
	Unproven []string
	// Choices are what of our own choosing a refusal can be about, in words, and RefusesFor what the provider is known to
	// refuse for beside a client that was revoked or rotated; nil where it was not refused, or says itself that the client
	// is disabled or its secret expired.
	Choices    []string
	RefusesFor []string
	// Expires is what Target.Credential declares of its end, and Ends what its secret and the provider's answer say. Ends is
	// zero as well where the secret was not read.
	Expires time.Time
	Ends    credential.End
	// CertificateExpires is when the token endpoint's own certificate does; zero: not known.
	CertificateExpires time.Time
	Setup              string   // changes when the provider's settings here do: where and how it was asked
	Trace              []string // what happened, line by line, for `check -v`; of a Quiet target nil
}

// Trail is what a check leaves in the logs of those whom it asked, so that our own use can be told
// from others'. Every request of it names Nonce(ID) in its User-Agent.
type Trail struct {
	TokenHash []byte        // SHA-256 of the token; nil: no token
	JTIHash   []byte        // SHA-256 of its claim jti (RFC 7519 §4.1.7); nil: it has none
	Egress    netip.Addr    // this machine's address of the connection; a NAT may show another
	Requests  int           // with the client's name or its token
	Took      time.Duration // from Result.At to the end of the last request, with the reading of the secret; 0: not measured
}

// Footprint is one line of the ledger of our own use: what one check left in others' logs.
type Footprint struct {
	Check        uuid.UUID
	CredentialID int64
	At           time.Time // when it began, or was intended
	Done         bool      // its result is stored; otherwise it is under way, or nobody lived to say
	Trail
}

// Nonce is the part of a check's id that no other check shares: 16 hexadecimal digits.
func Nonce(id uuid.UUID) string { return hex.EncodeToString(id[8:]) }

// Reading is what Classify makes of an answer.
type Reading struct {
	Outcome          Outcome
	Reason           Reason
	Rule             string // which rule decided
	HTTPStatus       int    // 0: no answer
	ErrorCode        string
	ErrorDescription string
	Message          string        // one sentence for a person
	ExpiresIn        time.Duration // 0: not said
	Granted          []string      // nil: not said, which means as requested (RFC 6749 §5.1)
	Missing          []string      // declared, and not granted
	Extra            []string      // granted, and not declared
	RetryAfter       time.Duration // how long the provider asks us to stay away, at most an hour; 0: not at all
}

// Phases says how long each part of an exchange took. A part that did not happen, such as a
// connection that was reused, is 0.
type Phases struct {
	DNS       time.Duration
	Connect   time.Duration
	TLS       time.Duration
	FirstByte time.Duration // from the request's last byte to the answer's first
	Total     time.Duration
}

// Waits says how long a check waited for its turn at its provider, before it began.
type Waits struct {
	Concurrency time.Duration // other checks were under way
	Rate        time.Duration
	Pause       time.Duration // the provider had asked to be left alone
}

// ProbeResult is what one request with the token said about one scope.
type ProbeResult struct {
	Scope      string       `json:"scope"`
	Verdict    ProbeVerdict `json:"verdict"`
	Reason     ProbeReason  `json:"reason,omitempty"`
	HTTPStatus int          `json:"http_status"`
	Message    string       `json:"message,omitempty"`
}

// ProbeVerdict says what a probe showed of its scope.
type ProbeVerdict string

// The verdicts of a probe. Inconclusive says nothing about the scope: the API is in trouble,
// limits us, or answered something unexpected.
const (
	ProbeOK           ProbeVerdict = "ok"
	ProbeDenied       ProbeVerdict = "denied"
	ProbeInconclusive ProbeVerdict = "inconclusive"
)

// ProbeReason says why a probe is not ok.
type ProbeReason string

// The reasons. Those of ProbeDenied come first.
const (
	InsufficientScope ProbeReason = "insufficient_scope" // the token lacks the scope (RFC 6750 §3.1)
	Forbidden         ProbeReason = "forbidden"          // 403 without saying so: a missing role, or a policy
	UnexpectedBody    ProbeReason = "unexpected_body"    // the status is right, what came is not
	InvalidToken      ProbeReason = "invalid_token"      // 401 for a token that is seconds old
	APILimits         ProbeReason = "rate_limited"
	APITrouble        ProbeReason = "provider_error"
	APIIntercepted    ProbeReason = "intercepted"
	APIUnreachable    ProbeReason = "unreachable"
	UnexpectedStatus  ProbeReason = "unexpected_status"
)
