package verdict

import (
	"strings"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/credential"
)

// Explain returns the message of r for a person who knows what was held of the credential after it: what a refusal could
// be. Of one that never worked with its present secret that is what we chose ourselves, and never "revoked"; of one that
// worked it is revoked or rotated, and what else the provider is known to refuse for. Other messages stay as they are.
func Explain(r checker.Result, s State) string {
	switch {
	case r.Outcome != checker.Rejected || r.Choices == nil:
		return r.Message
	case r.Reason.Certain() && !s.NeverHealthy():
		return r.Message // the provider says why
	case s.NeverHealthy():
		return r.Message + "; it never worked with its present secret, so look at: " + strings.Join(r.Choices, "; ")
	}
	could := "revoked or rotated"
	if end := (credential.Credential{Expires: r.Expires}).End(s.Ends); !end.IsZero() && !end.Over().After(r.At) {
		could = "at its end, " + end.At.UTC().Format("2 Jan 2006") + ", or " + could
	}
	if len(r.RefusesFor) > 0 {
		could += ", or " + strings.Join(r.RefusesFor, ", or ")
	}
	return r.Message + "; it worked until " + s.LastSuccess.UTC().Format("2 Jan 2006 15:04 MST") + ", so it could be " + could
}
