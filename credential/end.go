package credential

import (
	"fmt"
	"time"
)

// End is when a credential ends by itself, whoever uses it. The zero End: that is not known, or it never does.
type End struct {
	At time.Time `json:"at,omitzero"`
	By EndSource `json:"by,omitempty"`
}

// EndSource says who says when a credential ends. It is stored and shown as written here.
type EndSource string

// The sources of an End.
const (
	EndDeclared    EndSource = "declared"    // Credential.Expires
	EndCertificate EndSource = "certificate" // notAfter of its certificate, or of one that signed it (RFC 5280 §4.1.2.5)
	EndKey         EndSource = "key"         // exp of the JWK that is its secret
	EndProvider    EndSource = "provider"    // client_secret_expires_at in an answer (RFC 7591 §3.2.1)
)

// Words say who says so, for a person.
func (s EndSource) Words() string {
	switch s {
	case EndDeclared:
		return "as expires says"
	case EndCertificate:
		return "as its certificate says"
	case EndKey:
		return "as its key says"
	case EndProvider:
		return "as the provider says"
	}
	return ""
}

// IsZero reports whether no end is known.
func (e End) IsZero() bool { return e.At.IsZero() }

// Over returns when e is over for certain: a declared end is a date as a rule, and holds until that day (UTC) is over.
// Whoever is told before counts from At, so that nobody is told too late.
func (e End) Over() time.Time {
	if e.By == EndDeclared && e.At.Equal(e.At.UTC().Truncate(24*time.Hour)) {
		return e.At.Add(24 * time.Hour)
	}
	return e.At
}

// Earlier returns the earlier of two ends, the one that is known where the other is not, and e of two that are the
// same.
func (e End) Earlier(other End) End {
	if e.IsZero() || !other.IsZero() && other.At.Before(e.At) {
		return other
	}
	return e
}

// End returns when c ends: as it is declared, or as was seen, whichever is sooner.
func (c Credential) End(seen End) End {
	declared := End{}
	if !c.Expires.IsZero() {
		declared = End{c.Expires, EndDeclared}
	}
	return declared.Earlier(seen)
}

// ParseEnd reads when a credential expires: a date, which counts from its beginning in UTC, so that nobody is told
// too late, or a time of RFC 3339.
func ParseEnd(text string) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is neither a date nor a time", text)
}

// EndHint says what ParseEnd reads.
const EndHint = "a date such as 2027-03-01, or a time such as 2027-03-01T09:30:00Z"
