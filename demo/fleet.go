package demo

import (
	"context"
	"fmt"
	"time"

	"github.com/keyrounds/keyrounds/action"
	"github.com/keyrounds/keyrounds/app"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/secret"
	"github.com/keyrounds/keyrounds/sim"
)

// fleetProvider has the credentials of a large fleet, which take no part in the story.
const fleetProvider = "partners"

// fleetPeace is how long all of it works that ever does.
const fleetPeace = time.Minute

var (
	fleetPlaces = []string{"agency", "branch", "campus", "plant", "shop"}
	fleetTowns  = []string{
		"aarhus", "bergen", "cadiz", "delft", "essen", "faro", "ghent", "hull", "izmir", "jena", "krakow", "leeds",
		"malmo",
	}
	fleetJobs    = []string{"feed", "import", "jobs", "sync"}
	fleetOwners  = []string{"recruiting", "marketing", "it", "finance", "people-analytics", "web"}
	fleetPurpose = map[string]string{
		"feed": "sends hires to the payroll partner", "import": "job list of this site", "jobs": "posts to the local job board",
		"sync": "applications of this site",
	}
)

// addFleet registers n more credentials, of which four have a wrong secret, and ten are revoked a while later.
func addFleet(ctx context.Context, a *app.App, provider *sim.Provider, n int) error {
	var revoked []string
	defer func() {
		time.AfterFunc(fleetPeace, func() {
			for _, id := range revoked {
				provider.Revoke(id)
			}
		})
	}()
	const atOnce = 1000
	for from := 0; from < n; from += atOnce {
		var creds []credential.Credential
		var secrets []secret.Value
		for i := from; i < min(n, from+atOnce); i++ {
			job := fleetJobs[i%len(fleetJobs)]
			name := fmt.Sprintf("%s-%s-%s-%d", fleetPlaces[i%len(fleetPlaces)], fleetTowns[i%len(fleetTowns)], job, i+1)
			client := sim.Client{
				ID: "fleet-" + name, Name: name, Secret: fmt.Sprintf("demo-%d-secret", i),
				Scopes: []string{"company_read"},
			}
			provider.Add(client)
			if i%(n/10+1) == 5 {
				revoked = append(revoked, client.ID)
			}
			typed := client.Secret
			if i%(n/4+1) == 7 {
				typed = "demo-wrong-secret"
			}
			creds = append(creds, credential.Credential{
				Name: name, Provider: fleetProvider, Subject: client.ID, Secret: secret.Sealed, Description: fleetPurpose[job],
				Scopes: client.Scopes, Owner: fleetOwners[i%len(fleetOwners)],
				Labels:   map[string]string{"site": fleetTowns[i%len(fleetTowns)]},
				Schedule: "@every 5m", UnusedAfter: 90 * 24 * time.Hour, Created: time.Now().AddDate(0, 0,
					-i%700).UTC().Truncate(24 * time.Hour),
			})
			secrets = append(secrets, secret.New([]byte(typed)))
		}
		if err := a.Actions.Add(ctx, "demo", creds, secrets, action.AtOnce, nil); err != nil {
			return err
		}
	}
	return nil
}
