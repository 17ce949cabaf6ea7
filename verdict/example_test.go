package verdict_test

import (
	"fmt"
	"time"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/verdict"
)

// A credential that worked is refused: suspected at first, and revoked once that is confirmed.
func ExampleJudge() {
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	fleet := verdict.Fleet{Provider: "idp", States: map[int64]verdict.State{
		1: {
			CredentialID: 1,
			Credential:   "ats-sync",
			Provider:     "idp",
			Status:       verdict.Healthy,
			Since:        at,
			Changed:      at,
			LastSuccess:  at.Add(time.Hour),
		},
	}}
	for _, minutes := range []int{75, 77, 85} {
		r := checker.Result{CredentialID: 1, Credential: "ats-sync", Provider: "idp", At: at.Add(time.Duration(minutes) * time.Minute)}
		r.Outcome, r.Reason = checker.Rejected, checker.Unspecified
		states, events := verdict.Judge(fleet, []checker.Result{r}, verdict.DefaultPolicy())
		fleet.States[1] = states[0]
		fmt.Println(states[0].Status, len(events))
	}
	// Output:
	// suspect 0
	// suspect 0
	// revoked 1
}
