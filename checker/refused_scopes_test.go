package checker

import (
	"slices"
	"testing"
)

// What a provider says of the scopes that it refuses, in words of several; scopes that it allows are none of them.
func TestRefusedScopes(t *testing.T) {
	t.Parallel()
	declared := []string{"candidates_read", "candidates_write", "https://api.example.com/jobs.read", "jobs"}
	for said, want := range map[string][]string{
		`Invalid scope: candidates_write`: {"candidates_write"},
		`The requested scope is invalid, unknown, or malformed. The OAuth 2.0 Client is not allowed to request scope 'candidates_write'.`: {
			"candidates_write",
		},
		`scope candidates_write is not allowed`:                                {"candidates_write"},
		`Invalid scopes: candidates_read candidates_write.`:                    {"candidates_read", "candidates_write"},
		`AADSTS70011: "https://api.example.com/jobs.read" is not valid`:        {"https://api.example.com/jobs.read"},
		`The scope "other" is invalid. Allowed: candidates_read, jobs`:         nil,
		`candidates_write is unknown; valid scopes are candidates_read jobs`:   {"candidates_write"},
		`scopes must be granted by an administrator of the jobs-team`:          nil,
		`Invalid scope(s): (candidates_write)`:                                 {"candidates_write"},
		``:                                                                     nil,
		`candidates_write_all is refused`:                                      nil,
		`The scope jobs isn't allowed for this client`:                         {"jobs"},
		`Requested scope candidates_read exceeds what the client was granted.`: {"candidates_read"},
	} {
		if got := refusedOf(said, declared); !slices.Equal(got, want) {
			t.Errorf("%q names %q, want %q", said, got, want)
		}
	}
}
