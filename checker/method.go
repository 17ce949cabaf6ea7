package checker

import (
	"context"
	"net/http"

	"github.com/keyrounds/keyrounds/secret"
)

// Kind is what the credentials of a provider are.
type Kind string

// The kinds.
const (
	ClientCredentials Kind = "client_credentials" // exchanged for a token (RFC 6749 §4.4), or by another Provider.Grant
	APIKey            Kind = "api_key"            // sent to the API as it is
)

// Kinds lists what Provider.Kind can be, the default first.
func Kinds() []Kind { return []Kind{ClientCredentials, APIKey} }

// Method asks about one credential, and writes what it learns into the result. What is optional ends with Asking.optional. It neither
// keeps nor wipes the secret, and what it must not leave in a text it appends to Asking.sent.
type Method func(context.Context, *Asking)

// methods are how the credentials of each kind are asked about.
var methods = map[Kind]Method{
	ClientCredentials: byToken,
	APIKey:            byKey,
}

// Asking is one check under way.
type Asking struct {
	batch
	*Result
	target Target
	secret secret.Value
	client *http.Client
	sent   []secret.Value // what no text of the result may hold; the secret is among them
}
